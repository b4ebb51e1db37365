r"""The digital link: coded bits through modulation, fading, noise and detector.

    bits -> (LDPC: interleaver) -> s -> y = s + n, n ~ CN(0, no / gain) -> hard: bits of the nearest symbol -> (undone)
                                                                        -> soft: LLR of each bit, int8    -> (undone)
    bits -> bsc: each bit wrong with p = Q(sqrt(2 gain Es/N0))

``no = 1 / (Es/N0)``; ``gain`` is that of the fading after combining, known to the receiver (`shared.links.fading`);
constellations and LLRs are those of `shared.links.modulation`. For BPSK (s = 1 - 2 b; hard: b_hat = [y < 0]; LLR =
-4 y gain / no) every detector errs with probability p; ``bsc`` draws the errors directly, exact and fast.

Source: J. G. Proakis, *Digital Communications*, eq. 5-2-5.
"""

from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from shared.coding.bits import by_value
from shared.coding.channel_code import ChannelCode
from shared.coding.codes import make_channel_code
from shared.links.erasure import arrives
from shared.links.fading import FADINGS
from shared.links.interleaving import sending_order
from shared.links.label import DigitalLabel, parse_digital_label
from shared.links.modulation import MODULATIONS
from shared.rng import Randomness, Stage
from shared.types import Payload, Received, ReceivedKind

LLR_SCALE = 8.0  # int8 steps per unit of LLR: saturates at |LLR| = 15.9, an error probability of 1.3e-7
LLR_MAX = 127


def bpsk_bit_error_probability(snr_db: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return Q(sqrt(2 Es/N0)).

    Args:
        snr_db: [...] Es/N0 in dB.

    Returns:
        [...] float64.
    """
    return np.asarray(0.5 * erfc(np.sqrt(10 ** (np.asarray(snr_db, dtype=np.float64) / 10))))


class DigitalLink:
    """The link of a `DigitalLabel`.

    Attributes:
        modulation: Its modulation.

    Example:
        >>> link = DigitalLink(DigitalLabel("soft", "16qam"))
        >>> link.label, link.num_channel_uses(130)
        ('digital:soft:16qam', 33)
    """

    family = "digital"

    def __init__(self, options: DigitalLabel) -> None:
        self.label = str(options)
        self.kind = ReceivedKind.LLRS if options.detector == "soft" else ReceivedKind.HARD_BITS
        self.erasure = options.erasure
        self.code: ChannelCode = make_channel_code(options.code)
        self.modulation = MODULATIONS[options.modulation]
        self._options = options

    @classmethod
    def of_label(cls, label: str) -> "DigitalLink":
        """Build the link of a label: see `shared.links.label.parse_digital_label`."""
        return cls(parse_digital_label(label))

    def num_channel_uses(self, num_coded_bits: int) -> int:
        """See `shared.links.base.Link.num_channel_uses`."""
        return self.modulation.num_symbols(num_coded_bits)

    def transmit(self, payload: Payload, snr_db: NDArray[np.float32], randomness: Randomness) -> Received:
        """See `shared.links.base.Link.transmit`."""
        gain = FADINGS[self._options.fading](randomness, self.num_channel_uses(payload.bits.shape[1]))
        snr = 10 ** (np.asarray(snr_db, dtype=np.float64)[:, None] / 10) * gain
        if (payload.length == payload.bits.shape[1]).all():
            values = self._send(payload.bits, snr, randomness)
        else:
            values = self._send_by_length(payload, snr, randomness)
        if self.erasure == 0:
            return Received(self.kind, values, payload.length)
        arrived = arrives(self.erasure, randomness)
        values[~arrived] = 0
        return Received(self.kind, values, np.where(arrived, payload.length, 0))

    def _send_by_length(
        self, payload: Payload, snr: NDArray[np.float64], randomness: Randomness
    ) -> NDArray[np.uint8] | NDArray[np.int8]:
        """Return what `_send` makes of reports of several lengths: the noise of each depends on its own alone."""
        zeros = np.zeros(payload.bits.shape, dtype=np.uint8)
        values = zeros.view(np.int8) if self.kind is ReceivedKind.LLRS else zeros
        for num_bits, rows in by_value(payload.length):
            snr_of_rows = snr[rows, : self.num_channel_uses(num_bits)]
            values[rows, :num_bits] = self._send(payload.bits[rows, :num_bits], snr_of_rows, randomness.of(rows))
        return values

    def _send(
        self, bits: NDArray[np.uint8], snr: NDArray[np.float64], randomness: Randomness
    ) -> NDArray[np.uint8] | NDArray[np.int8]:
        """Return what the detector makes of each bit, all reports of one length.

        Args:
            bits: [batch, num_bits] uint8.
            snr: [batch, num_symbols] or [batch, 1], Es/N0 after combining, linear.
            randomness: Streams of the reports.
        """
        if self._options.detector == "bsc":
            wrong = randomness.uniform(Stage.LINK, bits.shape[1]) < bpsk_bit_error_probability(10 * np.log10(snr))
            return bits ^ wrong
        if not self.code.interleaved:
            return self._detect(bits, snr, randomness)
        order = sending_order(bits.shape[1], self.modulation.bits_per_symbol)
        return self._detect(bits[:, order], snr, randomness)[:, np.argsort(order)]

    def _detect(
        self, bits: NDArray[np.uint8], snr: NDArray[np.float64], randomness: Randomness
    ) -> NDArray[np.uint8] | NDArray[np.int8]:
        """Return the same for bits in the order in which they are sent, symbol by symbol."""
        if self.kind is ReceivedKind.LLRS and self.modulation.bits_per_axis == 1:
            return self._linear_llrs(bits, snr, randomness)
        symbols = self.modulation.map(bits)
        y = randomness.normal(Stage.LINK, prod(symbols.shape[1:])).reshape(symbols.shape)
        y *= np.sqrt(0.5 / snr).astype(np.float32)[:, :, None]
        y += symbols
        if self._options.detector == "hard":
            return self.modulation.hard(y)[:, : bits.shape[1]]
        return quantize_llrs(self.modulation.llrs(y, (1 / snr).astype(np.float32))[:, : bits.shape[1]])

    def _linear_llrs(
        self, bits: NDArray[np.uint8], snr: NDArray[np.float64], randomness: Randomness
    ) -> NDArray[np.int8]:
        """Return the same of one bit an axis, where `Modulation.llrs` is linear: of s and of n apart, in place."""
        if snr.shape[1] > 1:  # a symbol's own
            snr = np.repeat(snr, self.modulation.num_axes, axis=1)[:, : bits.shape[1]]
        slope = 4 * LLR_SCALE * self.modulation.innermost * snr
        scaled = bits.astype(np.float32)
        scaled -= np.float32(0.5)
        scaled *= (2 * self.modulation.innermost * slope).astype(np.float32)
        noise = randomness.normal(Stage.LINK, bits.shape[1])
        noise *= (slope * np.sqrt(0.5 / snr)).astype(np.float32)
        scaled -= noise
        return _round(scaled)


def quantize_llrs(llrs: NDArray[np.floating]) -> NDArray[np.int8]:
    """Quantise LLRs to -127 ... 127 steps of 1/8 without 0, so that a sign is always there to decide by.

    Args:
        llrs: [...] floating point.

    Returns:
        [...] int8.
    """
    return _round(llrs * LLR_SCALE)


def _round(scaled: NDArray[np.floating]) -> NDArray[np.int8]:
    """Return the steps of LLRs in steps; ``scaled`` is written to."""
    negative = (scaled <= 0).view(np.int8)
    np.rint(scaled.clip(-LLR_MAX, LLR_MAX, out=scaled), out=scaled)
    steps: NDArray[np.int8] = scaled.astype(np.int8)
    zero = (steps == 0).view(np.int8)  # arithmetic is faster here than a choice of entries
    steps += zero
    zero &= negative
    steps -= 2 * zero
    return steps
