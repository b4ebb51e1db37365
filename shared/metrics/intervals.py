"""Confidence intervals of what a simulation counts and averages."""

import math
from dataclasses import dataclass

from scipy.stats import norm, t

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval; ``low <= high``."""

    low: float
    high: float


def mean_interval(
    mean: float, sum_of_squares: float, count: int, lowest: float = 0.0, highest: float = math.inf
) -> Interval | None:
    """Return the Student-t interval of a mean, cut off at the values that a sample can have.

    Its 95 % need samples whose mean is nearly normal. A mean of error probabilities, most of them tiny, is not until
    many reports have contributed: its interval is then too short.

    Args:
        mean: Sample mean.
        sum_of_squares: Sum of the squared samples.
        count: Samples.
        lowest: Least value of a sample; ``-math.inf`` for a difference, such as a loss.
        highest: Greatest value of a sample; 1 for a similarity or a probability.

    Returns:
        The 95 % interval, or None for fewer than two samples.
    """
    if count < 2:
        return None
    variance = max(sum_of_squares - count * mean * mean, 0.0) / (count - 1)
    half = float(t.ppf(0.5 + CONFIDENCE / 2, count - 1)) * math.sqrt(variance / count)
    return Interval(max(mean - half, lowest), min(mean + half, highest))


def ratio_interval(
    total: float, base: float, sum_squares: float, sum_products: float, sum_base_squares: float, count: int
) -> Interval | None:
    r"""Return the interval of a ratio of sums, :math:`p = \sum_i e_i / \sum_i b_i`, cut off at 0.

    Linearised: the residuals :math:`e_i - p b_i` are taken as independent between reports, not within one.

    Args:
        total: Sum of e, wrong bits say.
        base: Sum of b, bits.
        sum_squares: Sum of e^2.
        sum_products: Sum of e b.
        sum_base_squares: Sum of b^2.
        count: Reports.

    Returns:
        The 95 % interval, or None for fewer than two reports.

    Source: W. G. Cochran, *Sampling Techniques*, 3rd ed., eq. 2.39.
    """
    if count < 2:
        return None
    p = total / base
    residual = max(sum_squares - 2 * p * sum_products + p * p * sum_base_squares, 0.0) / (count - 1)
    half = float(t.ppf(0.5 + CONFIDENCE / 2, count - 1)) * math.sqrt(residual / count) / (base / count)
    return Interval(max(p - half, 0.0), p + half)


def wilson_interval(num_events: int, count: int) -> Interval | None:
    """Return the Wilson score interval of a proportion.

    Args:
        num_events: Times the event happened.
        count: Times it could have.

    Returns:
        The 95 % interval, or None without observations.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22, 1927.
    """
    if count < 1:
        return None
    z = float(norm.ppf(0.5 + CONFIDENCE / 2))
    p = num_events / count
    centre = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    # At the ends the exact value, which rounding would miss by 1e-18.
    return Interval(
        max(centre - half, 0.0) if num_events else 0.0, min(centre + half, 1.0) if num_events < count else 1.0
    )


def to_db(ratio: float) -> float | None:
    """Return 10 log10 of a power ratio, or None for 0, which has no value in dB."""
    return 10 * math.log10(ratio) if ratio > 0 else None
