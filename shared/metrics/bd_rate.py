"""Bjontegaard delta rate: how many more bits one codec needs than another for the same NMSE.

    points of each curve --> log10(rate) as a function of the NMSE in dB --> mean distance over the NMSE that both reach

Interpolated by monotone piecewise cubics (PCHIP), as in JCT-VC's common test conditions; not by the single cubic of
VCEG-M33, which oscillates, nor by Akima's.

Source: G. Bjontegaard, VCEG-M33, 2001; F. N. Fritsch, R. E. Carlson, SIAM J. Numer. Anal. 17, 1980.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from shared.errors import InvalidArgumentError

FEWEST_POINTS = 3  # of two, the result would be that of a straight line


def bd_rate(reference: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]]) -> float:
    """Return the mean change of rate from ``reference`` to ``other`` at equal NMSE.

    Args:
        reference: (rate in bits, NMSE in dB) of at least 3 rates, in any order; the NMSE must fall with the rate.
        other: The same for the codec that is compared.

    Returns:
        Share of the rate: -0.2 where ``other`` needs 20 % fewer bits; the mean is of the logarithm of the ratio.

    Raises:
        InvalidArgumentError: If a curve has too few points, values that are not finite, a rate that is not positive or
            an NMSE that does not fall with the rate, or if the curves have no NMSE in common.

    Example:
        >>> klt = [(64, -4.0), (128, -7.0), (256, -11.0)]
        >>> round(bd_rate(klt, [(rate / 2, nmse_db) for rate, nmse_db in klt]), 12)
        -0.5
    """
    curves = {"reference": _curve("reference", reference), "other": _curve("other", other)}
    low = max(nmse_db[0] for nmse_db, _ in curves.values())
    high = min(nmse_db[-1] for nmse_db, _ in curves.values())
    if low >= high:
        ranges = " and ".join(f"[{nmse_db[0]:g}, {nmse_db[-1]:g}]" for nmse_db, _ in curves.values())
        raise InvalidArgumentError(f"`other` must reach an NMSE that `reference` reaches too; they span {ranges} dB.")
    areas = [float(PchipInterpolator(*curve).integrate(low, high)) for curve in curves.values()]
    return float(10 ** ((areas[1] - areas[0]) / (high - low)) - 1)


def _curve(name: str, points: Sequence[tuple[float, float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return NMSE in dB, rising, and log10 of the rates."""
    if len(points) < FEWEST_POINTS:
        raise InvalidArgumentError(f"`{name}` must have at least {FEWEST_POINTS} points; got {len(points)}.")
    rate, nmse_db = np.array(sorted(points, reverse=True), dtype=np.float64).T
    if not np.isfinite([rate, nmse_db]).all() or rate[-1] <= 0:
        raise InvalidArgumentError(f"`{name}` must have finite values and positive rates; got {list(points)}.")
    if (np.diff(nmse_db) <= 0).any() or (np.diff(rate) >= 0).any():
        raise InvalidArgumentError(f"`{name}` must have an NMSE that falls with the rate; got {list(points)}.")
    return nmse_db, np.log10(rate)
