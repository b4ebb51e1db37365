"""Split UEs by the ground on which they stand: whole strips of street go to one split, with a gap between splits.

      +-------+-------+-------+-------+
      | train | train | test  | train |     strips across the longer side of each rectangle
      +-------+-------+-------+-------+
                     ^ ^     ^ ^            UEs nearer than the gap to another split's: left out of the earlier split

A random split of a dense grid gives each test UE neighbours in the training set, at a few wavelengths.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from shared.channels.raytraced.settings import Rectangle
from shared.errors import InvalidArgumentError

LEFT_OUT = -1


def split_by_area(
    positions: NDArray[np.floating],
    area: tuple[Rectangle, ...],
    counts: list[int],
    strip_m: float,
    gap_m: float,
    seed: int,
) -> NDArray[np.int64]:
    """Return the split of each UE.

    The strips are shuffled, and each goes to the split that lacks most UEs. A UE that has one of a later split within
    the gap is left out: the last split, the test, stays whole.

    Args:
        positions: [num_ues, 2 or 3] m, each in a rectangle of ``area``.
        area: Rectangles; a UE in several belongs to the first.
        counts: UEs that each split should have, before the gaps.
        strip_m: Length of a strip, about.
        gap_m: Smallest distance between UEs of two splits.
        seed: Seed of the shuffle.

    Returns:
        [num_ues] int64, number of the split, or `LEFT_OUT`.

    Raises:
        InvalidArgumentError: If a split gets no UE.

    Example:
        >>> line = np.stack([np.arange(100.0), np.zeros(100)], axis=1)
        >>> split = split_by_area(line, (Rectangle(0, 100, -1, 1),), [80, 20], strip_m=10, gap_m=2, seed=1)
        >>> int((split == 1).sum())
        20
    """
    strip, num_strips = _strips(positions, area, strip_m)
    sizes = np.bincount(strip, minlength=num_strips)
    lacking = np.array(counts, dtype=np.float64) * (len(positions) / sum(counts))
    split_of = np.zeros(num_strips, dtype=np.int64)
    for one in np.random.Generator(np.random.Philox(key=[seed, 1])).permutation(num_strips):
        split_of[one] = np.argmax(lacking)
        lacking[split_of[one]] -= sizes[one]
    split = split_of[strip]
    for earlier in range(len(counts) - 2, -1, -1):
        mine, later = np.flatnonzero(split == earlier), positions[split > earlier]
        if len(mine) and len(later):
            distance, _ = cKDTree(later).query(positions[mine], distance_upper_bound=gap_m)
            split[mine[distance < gap_m]] = LEFT_OUT
    found = [int((split == number).sum()) for number in range(len(counts))]
    if 0 in found:
        raise InvalidArgumentError(
            f"`strip_m` must leave each split UEs; got {strip_m:g} with a gap of {gap_m:g} m: {found} UEs."
        )
    return split


def _strips(
    positions: NDArray[np.floating], area: tuple[Rectangle, ...], strip_m: float
) -> tuple[NDArray[np.int64], int]:
    """Return the strip of each UE, and how many strips there are."""
    strip = np.full(len(positions), -1, dtype=np.int64)
    first = 0
    for rectangle in area:
        low = np.array([rectangle.x_min, rectangle.y_min])
        high = np.array([rectangle.x_max, rectangle.y_max])
        axis = int(np.argmax(high - low))
        num = max(1, round(float(high[axis] - low[axis]) / strip_m))
        place = positions[:, :2].astype(np.float64)
        inside = ((place >= low - 1e-3) & (place <= high + 1e-3)).all(axis=1) & (strip < 0)  # float32 rounds
        along = (place[:, axis] - low[axis]) / (high[axis] - low[axis])
        strip[inside] = first + np.clip(along[inside] * num, 0, num - 1).astype(np.int64)
        first += num
    if (strip < 0).any():
        raise InvalidArgumentError("`positions` must lie in the rectangles of `area`; found some that do not.")
    return strip, first
