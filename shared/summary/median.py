"""The median NMSE of a group from counts in bins of 0.01 dB: counts add up, where medians do not."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BINS_PER_DECADE = 1000  # of 0.01 dB
LIMIT = 308  # decades of double precision
ZERO = -(10**6)  # bin of an NMSE of 0, below that of any other

Counts = NDArray[np.int64]  # [num_bins, 2], bin and how many are in it, bins increasing
NO_COUNTS: Counts = np.zeros((0, 2), dtype=np.int64)


def count_bins(nmse: NDArray[np.float64]) -> Counts:
    """Return the counts of NMSEs.

    Args:
        nmse: [n] float64, linear, 0 or more; infinite counts as the largest, what is not a number does not count.

    Example:
        >>> count_bins(np.array([1.0, 0.5, 0.5])).tolist()
        [[-301, 2], [0, 1]]
    """
    nmse = nmse[~np.isnan(nmse)]
    decades = np.log10(np.where(nmse > 0, nmse, 1.0)).clip(-LIMIT, LIMIT)
    bins = np.where(nmse > 0, np.round(BINS_PER_DECADE * decades).astype(np.int64), ZERO)
    return np.stack(np.unique(bins, return_counts=True), axis=1).astype(np.int64)


def add_counts(parts: Sequence[Counts]) -> Counts:
    """Return the counts of all parts together.

    Example:
        >>> add_counts([np.array([[0, 1], [7, 2]]), np.array([[7, 3]])]).tolist()
        [[0, 1], [7, 5]]
    """
    joined = np.concatenate([NO_COUNTS, *parts])
    bins, rows = np.unique(joined[:, 0], return_inverse=True)
    counts = np.zeros(len(bins), dtype=np.int64)
    np.add.at(counts, rows, joined[:, 1])
    return np.stack([bins, counts], axis=1)


def median_of(counts: Counts) -> float | None:
    """Return the median, linear, to 0.005 dB; None of no count.

    Example:
        >>> median_of(np.array([[-300, 2], [0, 1]])), median_of(np.array([[ZERO, 1], [0, 1]])), median_of(NO_COUNTS)
        (0.5011872336272722, 0.5, None)
    """
    ends = np.cumsum(counts[:, 1])
    if not len(ends):
        return None
    middle = (int(ends[-1]) - 1) // 2, int(ends[-1]) // 2  # ranks from 0
    bins = [int(counts[np.searchsorted(ends, rank, side="right"), 0]) for rank in middle]
    return sum(0.0 if one == ZERO else float(10 ** (one / BINS_PER_DECADE)) / 2 for one in bins)
