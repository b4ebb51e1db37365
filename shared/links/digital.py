r"""The digital link: coded bits through modulation, fading, noise and detector.

    bits -> (LDPC: interleaver) -> s -> y = s + n, n ~ CN(0, no / gain) -> hard: bits of the nearest symbol -> (undone)
                                                                        -> soft: LLR of each bit, int8    -> (undone)
    bits -> bsc: each bit wrong with p = Q(sqrt(2 gain Es/N0))

``no = 1 / (Es/N0)``; ``gain`` is that of the fading after combining, known to the receiver (`shared.links.fading`);
constellations and LLRs are those of `shared.links.modulation`. For BPSK (s = 1 - 2 b; hard: b_hat = [y < 0]; LLR =
-4 y gain / no) every detector errs with probability p; ``bsc`` draws the errors directly, exact and fast.

Source: J. G. Proakis, *Digital Communications*, eq. 5-2-5.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from shared.coding.channel_code import ChannelCode
from shared.coding.codes import make_channel_code
from shared.links.erasure import arrives
from shared.links.fading import FADINGS
from shared.links.interleaving import sending_orders
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
        num_symbols = self.num_channel_uses(payload.bits.shape[1])
        gain = FADINGS[self._options.fading](randomness, num_symbols)
        combined_db = np.asarray(snr_db, dtype=np.float64)[:, None] + 10 * np.log10(gain)
        length = np.where(arrives(self.erasure, randomness), payload.length, 0)
        if self._options.detector == "bsc":
            values: NDArray[np.uint8] | NDArray[np.int8] = _flip(payload, combined_db, randomness)
        else:
            values = self._send(payload, 10 ** (-combined_db / 10), randomness)
        sent = np.arange(values.shape[1]) < length[:, None]
        return Received(self.kind, values * sent, length)

    def _send(
        self, payload: Payload, no: NDArray[np.float64], randomness: Randomness
    ) -> NDArray[np.uint8] | NDArray[np.int8]:
        """Return what the detector makes of each bit, symbol by symbol.

        Args:
            payload: Bits.
            no: [batch, num_symbols] or [batch, 1], variance of the noise after combining.
            randomness: Streams of the reports.
        """
        if not self.code.interleaved:
            return self._detect(payload.bits, payload.length, no, randomness)
        orders = sending_orders(payload.length, payload.bits.shape[1], self.modulation.bits_per_symbol)
        report = np.arange(len(orders))[:, None]
        detected = self._detect(payload.bits[report, orders], payload.length, no, randomness)
        return detected[report, np.argsort(orders, axis=1)]

    def _detect(
        self, bits: NDArray[np.uint8], length: NDArray[np.int64], no: NDArray[np.float64], randomness: Randomness
    ) -> NDArray[np.uint8] | NDArray[np.int8]:
        """Return the same for bits in the order in which they are sent."""
        symbols = self.modulation.map(bits)
        noise = np.zeros((*symbols.shape, self.modulation.num_axes))
        for row, num_bits, generator in zip(noise, length, randomness.generators(Stage.LINK), strict=True):
            generator.standard_normal(out=row[: self.num_channel_uses(int(num_bits))])
        y = symbols + self.modulation.from_axes(noise * np.sqrt(no / 2)[:, :, None])
        if self._options.detector == "hard":
            return self.modulation.hard(y)[:, : bits.shape[1]]
        return quantize_llrs(self.modulation.llrs(y, no)[:, : bits.shape[1]])


def _flip(payload: Payload, combined_db: NDArray[np.float64], randomness: Randomness) -> NDArray[np.uint8]:
    """Return the bits after a binary symmetric channel; a symbol of BPSK is a bit."""
    uniform = np.ones(payload.bits.shape)
    for row, length, generator in zip(uniform, payload.length, randomness.generators(Stage.LINK), strict=True):
        generator.random(out=row[:length])
    return payload.bits ^ (uniform < bpsk_bit_error_probability(combined_db))


def quantize_llrs(llrs: NDArray[np.float64]) -> NDArray[np.int8]:
    """Quantise LLRs to -127 ... 127 steps of 1/8 without 0, so that a sign is always there to decide by.

    Args:
        llrs: [...] float64.

    Returns:
        [...] int8.
    """
    magnitude = np.clip(np.round(np.abs(llrs) * LLR_SCALE), 1, LLR_MAX)
    return np.where(llrs > 0, magnitude, -magnitude).astype(np.int8)
