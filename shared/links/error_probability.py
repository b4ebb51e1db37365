r"""The bit error probability of hard decisions in closed form, over AWGN and Rayleigh fading.

    BER = mean over the bits k = 1 ... log2 L of an axis of (1/L) sum_i w_ki erfc((2 i + 1) sqrt(d^2 Es/N0)),
    i = 0 ... (1 - 2^-k) L - 1,   w_ki = (-1)^floor(i 2^(k-1) / L) (2^(k-1) - floor(i 2^(k-1) / L + 1/2))

L levels an axis, the innermost at +-d. Averaged over an exponentially distributed gain, erfc(sqrt(a Es/N0)) becomes
1 - sqrt(a Es/N0 / (1 + a Es/N0)); for BPSK that is 0.5 (1 - sqrt(g / (1 + g))).

Source: K. Cho, D. Yoon, "On the general BER expression of one- and two-dimensional amplitude modulations", IEEE Trans.
Commun. 50 (7), 2002, eqs. 10, 16; J. G. Proakis, *Digital Communications*, eq. 14-3-7.
"""

from math import floor
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from shared.links.modulation import Modulation


def bit_error_probability(
    modulation: Modulation, snr_db: NDArray[np.floating], fading: Literal["awgn", "rayleigh"] = "awgn"
) -> NDArray[np.float64]:
    """Return the mean bit error probability over the bits of a symbol.

    Args:
        modulation: The modulation.
        snr_db: [...] mean Es/N0 in dB.
        fading: AWGN, or one coefficient CN(0, 1) that the receiver knows.

    Returns:
        [...] float64.

    Example:
        >>> from shared.links.modulation import MODULATIONS
        >>> float(bit_error_probability(MODULATIONS["16qam"], np.array([10.0]))[0]).__round__(4)
        0.059
    """
    snr = 10 ** (np.asarray(snr_db, dtype=np.float64) / 10)
    probability = np.zeros_like(snr)
    for distance, weight in _terms(len(modulation.levels)):
        a = np.square(distance * modulation.innermost) * snr
        probability += weight * (erfc(np.sqrt(a)) if fading == "awgn" else 1 - np.sqrt(a / (1 + a)))
    return probability


def _terms(num_levels: int) -> list[tuple[int, float]]:
    """Return (2 i + 1, weight) of each erfc, averaged over the bits of an axis."""
    bits = num_levels.bit_length() - 1
    terms = []
    for k in range(1, bits + 1):
        step = 2 ** (k - 1) / num_levels
        for i in range(num_levels - num_levels // 2**k):
            weight = (-1) ** floor(i * step) * (2 ** (k - 1) - floor(i * step + 0.5))
            terms.append((2 * i + 1, weight / (num_levels * bits)))
    return terms
