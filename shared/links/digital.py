r"""Uncoded BPSK over AWGN, as the binary symmetric channel that it is or symbol by symbol.

    bits -> s = 1 - 2 b -> y = s + n, n ~ N(0, no / 2) -> hard: b_hat = [y < 0]
                                                        -> soft: LLR = ln P(b=1|y) / P(b=0|y) = -4 y / no

``no = 1 / (Es/N0)``. Sign of the LLR as in Sionna: positive favours 1. Both detectors err with probability
``p = Q(sqrt(2 Es/N0))``; ``bsc`` draws the errors directly, exact and fast.

Source: J. G. Proakis, *Digital Communications*, eq. 5-2-5.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from shared.rng import Randomness, Stage
from shared.types import Payload, Received, ReceivedKind

Detector = Literal["bsc", "hard", "soft"]
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
    """Uncoded BPSK over AWGN.

    Example:
        >>> float(bpsk_bit_error_probability(np.array([0.0]))[0]).__round__(4)
        0.0786
    """

    family = "digital"

    def __init__(self, detector: Detector) -> None:
        self.label = f"digital:{detector}"
        self.kind = ReceivedKind.LLRS if detector == "soft" else ReceivedKind.HARD_BITS
        self._detector = detector

    def transmit(self, payload: Payload, snr_db: NDArray[np.float32], randomness: Randomness) -> Received:
        """See `shared.links.base.Link.transmit`."""
        generators = randomness.generators(Stage.LINK)
        if self._detector == "bsc":
            uniform = np.ones(payload.bits.shape)
            for row, length, generator in zip(uniform, payload.length, generators, strict=True):
                generator.random(out=row[:length])
            flips = uniform < bpsk_bit_error_probability(snr_db)[:, None]
            return Received(self.kind, payload.bits ^ flips, payload.length)
        noise = np.zeros(payload.bits.shape)
        for row, length, generator in zip(noise, payload.length, generators, strict=True):
            generator.standard_normal(out=row[:length])
        no = 10 ** (-np.asarray(snr_db, dtype=np.float64) / 10)[:, None]
        y = (1.0 - 2.0 * payload.bits) + noise * np.sqrt(no / 2)
        sent = np.arange(payload.bits.shape[1]) < payload.length[:, None]
        if self._detector == "hard":
            return Received(self.kind, ((y < 0) & sent).astype(np.uint8), payload.length)
        return Received(self.kind, np.where(sent, _llr_int8(y, no), 0).astype(np.int8), payload.length)


def _llr_int8(y: NDArray[np.float64], no: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantise LLRs to -127 ... 127 without 0, so that the sign is always that of the observation."""
    magnitude = np.clip(np.round(np.abs(4 * y / no) * LLR_SCALE), 1, LLR_MAX)
    return np.where(y < 0, magnitude, -magnitude)
