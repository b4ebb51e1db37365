"""The number of a subset: the combinatorial index by which the codebooks name beams and taps.

    n_0 < n_1 < ... < n_{k-1}, of 0 ... N - 1   <-->   sum_i C(N - 1 - n_i, k - i), of 0 ... C(N, k) - 1

Source: 3GPP TS 38.214, 5.2.2.2.3 and 5.2.2.2.5 (i_1,2 and i_1,6).
"""

import math

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


def width_of(count: int) -> int:
    """Return the bits that name one of ``count``: ceil(log2(count)).

    Example:
        >>> width_of(1), width_of(8), width_of(9)
        (0, 3, 4)
    """
    return (count - 1).bit_length()


def index_of(members: Numbers, total: int) -> Numbers:
    """Return the index of each subset.

    Args:
        members: [batch, size], increasing, of 0 ... ``total - 1``.
        total: N.

    Returns:
        [batch] in ``[0, C(total, size))``.

    Example:
        >>> index_of(np.array([[0, 1], [0, 2], [2, 3]]), 4).tolist()
        [5, 4, 0]
    """
    size = members.shape[1]
    table = _binomials(total, size)
    index: Numbers = table[total - 1 - members, size - np.arange(size)].sum(axis=1)
    return index


def members_of(index: Numbers, total: int, size: int) -> tuple[Numbers, NDArray[np.bool_]]:
    """Invert `index_of`.

    Args:
        index: [batch] 0 or more.
        total: N.
        size: Members of a subset.

    Returns:
        [batch, size] increasing, and [batch] whether there is a subset of that index; else its members mean nothing.

    Example:
        >>> members_of(np.array([5, 4, 0]), 4, 2)[0].tolist()
        [[0, 1], [0, 2], [2, 3]]
    """
    table = _binomials(total, size)
    exists = index < table[total, size]
    left = np.where(exists, index, 0)
    members = np.zeros((len(index), size), dtype=np.int64)
    for i in range(size):
        column = table[:total, size - i]  # C(x, size - i), not falling in x
        x = np.searchsorted(column, left, side="right") - 1
        members[:, i] = total - 1 - x
        left = left - column[x]
    return members, exists


def _binomials(total: int, size: int) -> Numbers:
    """Return C(x, y) for x = 0 ... total, y = 0 ... size."""
    return np.array([[math.comb(x, y) for y in range(size + 1)] for x in range(total + 1)], dtype=np.int64)
