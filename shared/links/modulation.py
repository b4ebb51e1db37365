r"""Bits <-> symbols: BPSK, QPSK and QAM with the Gray labels of TS 38.211.

    bits b0 b1 b2 b3 ... --even: I, odd: Q--> two PAM symbols, s = (s_I + j s_Q) / scale      (BPSK: s = 1 - 2 b, real)

    PAM of m bits a_1 ... a_m:  x_m = 1 - 2 a_m,  x_k = (1 - 2 a_k) (2^(m-k) - x_(k+1)),  s_I = x_1

First bit first; unit mean energy. Noise and decisions separate by axis, so an observation is y = x + n with
n ~ N(0, no / 2) on each axis, and

    hard: the level nearest to y (of all symbols the most likely one)
    LLR:  ln sum_(x: b=1) exp(-(y - x)^2 / no) - ln sum_(x: b=0) exp(-(y - x)^2 / no)        (exact, "log-APP")

Sign of the LLR as in Sionna: positive favours 1. With one bit an axis the sign is the hard decision; with more it is
the decision of the likeliest *bit*, which differs from the bit of the likeliest symbol close to a threshold.

Source: 3GPP TS 38.211, clause 5.1. Its BPSK (5.1.2) is ours turned by 45 degrees: the real one has half its noise on
the axis that carries nothing, and the same error probability.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.links.label import ModulationName


@dataclass(frozen=True, slots=True, eq=False)
class Modulation:
    """A modulation whose axes are Gray-labelled PAM.

    Attributes:
        name: Its word in the label of a link.
        num_axes: 2 (in-phase and quadrature), or 1 for BPSK.
        levels: [2^bits_per_axis] float64, the level of each label, first bit the most significant.
        innermost: The smallest positive level, of which the others are odd multiples.

    Example:
        >>> qpsk = MODULATIONS["qpsk"]
        >>> x = qpsk.map(np.array([[0, 1]], dtype=np.uint8))
        >>> (x @ [1, 1j]).round(3).tolist(), qpsk.hard(x).tolist()
        ([[(0.707-0.707j)]], [[0, 1]])
    """

    name: ModulationName
    num_axes: int
    levels: NDArray[np.float64]
    innermost: float

    @property
    def bits_per_axis(self) -> int:
        """Bits of a label on one axis."""
        return len(self.levels).bit_length() - 1

    @property
    def bits_per_symbol(self) -> int:
        """Bits of a symbol."""
        return self.num_axes * self.bits_per_axis

    def num_symbols(self, num_bits: int) -> int:
        """Return how many symbols carry ``num_bits``, the last one filled with zeros."""
        return -(-num_bits // self.bits_per_symbol)

    def map(self, bits: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map bits to symbols.

        Args:
            bits: [batch, num_bits] uint8, each 0 or 1; filled with zeros to whole symbols.

        Returns:
            [batch, num_symbols(num_bits), num_axes] float32, in-phase and, but for BPSK, quadrature; unit mean energy
            over the constellation.
        """
        batch, num_bits = bits.shape
        num_symbols = self.num_symbols(num_bits)
        missing = num_symbols * self.bits_per_symbol - num_bits
        whole = np.pad(bits, ((0, 0), (0, missing))) if missing else bits
        by_axis = whole.reshape(batch, num_symbols, self.bits_per_axis, self.num_axes)
        signs = 1 - 2 * by_axis.view(np.int8)
        x = signs[:, :, -1]
        for k in range(self.bits_per_axis - 2, -1, -1):
            x = signs[:, :, k] * (2 ** (self.bits_per_axis - 1 - k) - x)
        return x * np.float32(self.innermost)

    def hard(self, y: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Decide each symbol for the nearest of the constellation.

        Args:
            y: [batch, num_symbols, num_axes] symbols plus noise.

        Returns:
            [batch, num_symbols * bits_per_symbol] uint8.
        """
        order = np.argsort(self.levels)
        ascending = self.levels[order]
        nearest = np.searchsorted((ascending[1:] + ascending[:-1]) / 2, y, side="right")
        bits = (order[nearest][:, :, None] >> self._shifts()[:, None]) & 1  # [batch, symbol, bit, axis]
        return bits.astype(np.uint8).reshape(len(y), y.shape[1] * self.bits_per_symbol)

    def llrs(self, y: NDArray[np.floating], no: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the exact log-likelihood ratio of each bit, all bits being equally likely.

        Args:
            y: [batch, num_symbols, num_axes] symbols plus noise.
            no: [batch, num_symbols] or [batch, 1], variance of the complex noise.

        Returns:
            [batch, num_symbols * bits_per_symbol], ln(P(b=1) / P(b=0)); float32 of float32 and one bit an axis, where
            they are linear, else float64, beyond 700 in magnitude saturated.
        """
        variance = no[:, :, None]
        if self.bits_per_axis == 1:  # the two exponentials divide to one
            llrs_of_axes = y * (-4 * self.innermost / variance)
            return llrs_of_axes.reshape(len(y), y.shape[1] * self.bits_per_symbol)
        metric = -(np.square(y[..., None] - self.levels) / variance[..., None])  # [batch, symbol, axis, level]
        likelihood: NDArray[np.float64] = np.exp(metric - metric.max(axis=-1, keepdims=True))
        is_one = ((np.arange(len(self.levels))[:, None] >> self._shifts()) & 1).astype(np.float64)  # [level, bit]
        tiny = np.finfo(np.float64).tiny
        one, zero = (np.maximum(likelihood @ share, tiny) for share in (is_one, 1 - is_one))
        llrs = np.asarray(np.moveaxis(np.log(one / zero), 3, 2), dtype=np.float64)  # [batch, symbol, bit, axis]
        return llrs.reshape(len(y), y.shape[1] * self.bits_per_symbol)

    def _shifts(self) -> NDArray[np.int64]:
        return np.arange(self.bits_per_axis - 1, -1, -1)


def _pam(bits_per_axis: int) -> NDArray[np.float64]:
    """Return [2^bits_per_axis] levels 1, 3, 5 ... and their negatives by label."""
    label = np.arange(1 << bits_per_axis)
    level = np.where(label & 1, -1.0, 1.0)
    for k in range(1, bits_per_axis):
        level = np.where(label >> k & 1, -1.0, 1.0) * ((1 << k) - level)
    return level


def _qam(name: ModulationName, bits_per_axis: int) -> Modulation:
    levels = _pam(bits_per_axis)
    innermost = float(1 / np.sqrt(2 * np.mean(levels**2)))
    return Modulation(name, 2, levels * innermost, innermost)


MODULATIONS: dict[ModulationName, Modulation] = {
    "bpsk": Modulation("bpsk", 1, _pam(1), 1.0),
    "qpsk": _qam("qpsk", 1),
    "16qam": _qam("16qam", 2),
    "64qam": _qam("64qam", 3),
    "256qam": _qam("256qam", 4),
}
