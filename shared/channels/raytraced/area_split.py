"""Split UEs by the ground on which they stand: a whole stretch of street to each split, with a gap between them.

      +-----------+-----+---------+------------------+
      |   train   | val |  test   |      train       |     along the longer side of each rectangle
      +-----------+-----+---------+------------------+
                 ^ ^   ^         ^                        UEs nearer than the gap to those of a later split: left out

A random split of a dense grid gives each test UE neighbours in the training set, at a few wavelengths.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from shared.channels.raytraced.settings import Rectangle
from shared.errors import InvalidArgumentError

LEFT_OUT = -1


def split_by_area(
    positions: NDArray[np.floating], area: tuple[Rectangle, ...], counts: list[int], gap_m: float, seed: int
) -> NDArray[np.int64]:
    """Return the split of each UE.

    The first split, the training set, lies on both sides of the others. A UE that has one of a later split within the
    gap is left out: the last split, the test, stays whole.

    Args:
        positions: [num_ues, 2 or 3] m, each in a rectangle of ``area``.
        area: Rectangles; a UE in several belongs to the first.
        counts: UEs of each split, before the gaps; only their ratios matter.
        gap_m: Smallest distance between UEs of two splits.
        seed: Decides where in each rectangle the other splits lie.

    Returns:
        [num_ues] int64, number of the split, or `LEFT_OUT`.

    Raises:
        InvalidArgumentError: If a UE lies outside, or a split gets no UE.

    Example:
        >>> line = np.stack([np.arange(100.0), np.zeros(100)], axis=1)
        >>> split = split_by_area(line, (Rectangle(0, 100, -1, 1),), [80, 20], gap_m=3, seed=1)
        >>> [int((split == number).sum()) for number in (LEFT_OUT, 0, 1)]
        [4, 76, 20]
    """
    generator = np.random.Generator(np.random.Philox(key=[seed, 1]))
    bounds = np.cumsum(counts) / sum(counts)
    place = positions[:, :2].astype(np.float64)
    split = np.full(len(place), LEFT_OUT, dtype=np.int64)
    placed = np.zeros(len(place), dtype=np.bool_)
    for rectangle in area:
        low = np.array([rectangle.x_min, rectangle.y_min])
        high = np.array([rectangle.x_max, rectangle.y_max])
        inside = ((place >= low - 1e-3) & (place <= high + 1e-3)).all(axis=1) & ~placed  # float32 rounds
        mine = np.flatnonzero(inside)
        mine = mine[np.argsort(place[mine, int(np.argmax(high - low))], kind="stable")]
        begin = generator.random() * bounds[0]  # the training set goes on behind the others with what it lacks
        along = (begin + (np.arange(len(mine)) + 0.5) / max(1, len(mine))) % 1.0
        split[mine] = np.searchsorted(bounds[:-1], along, side="right")
        placed |= inside
    if not placed.all():
        raise InvalidArgumentError("`positions` must lie in the rectangles of `area`; found some that do not.")
    _keep_apart(split, place, len(counts), gap_m)
    found = [int((split == number).sum()) for number in range(len(counts))]
    if 0 in found:
        raise InvalidArgumentError(f"`gap_m` must leave each split by area some UEs; got {gap_m:g}: {found}.")
    return split


def _keep_apart(split: NDArray[np.int64], place: NDArray[np.float64], num_splits: int, gap_m: float) -> None:
    """Mark, in place, what lies too near to a later split."""
    for earlier in range(num_splits - 2, -1, -1):
        mine, later = np.flatnonzero(split == earlier), place[split > earlier]
        if len(mine) and len(later):
            distance, _ = cKDTree(later).query(place[mine])
            split[mine[distance < gap_m]] = LEFT_OUT
