"""Split UEs by the ground on which they stand: whole blocks of it to each split, with a gap between the splits.

      +-------+-------+-------+-------+
      | train | train | test  | train |      a gap wide, UEs of train and val next to a block of a later split are
      +-------+-------+-------+-------+      left out
      | test  | train | train |  val  |
      +-------+-------+-------+-------+

A random split of a dense grid gives each test UE neighbours in the training set, at a few wavelengths. The blocks lie
in both directions, so that a test UE's angles and delays are known from other places: whole stretches of street
would take the test's beams from the training set altogether, and with them all that could be learned.
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
    block_m: float,
    gap_m: float,
    seed: int,
) -> NDArray[np.int64]:
    """Return the split of each UE.

    The blocks are shuffled, and each goes to the split that lacks the largest share of its UEs. A UE that has one of a
    later split within the gap is left out: the last split, the test, stays whole.

    Args:
        positions: [num_ues, 2 or 3] m, each in a rectangle of ``area``.
        area: Rectangles; a UE in several belongs to the first.
        counts: UEs of each split, before the gaps; only their ratios matter.
        block_m: Side of a block, about: a rectangle has a whole number of them.
        gap_m: Smallest distance between UEs of two splits.
        seed: Seed of the shuffle.

    Returns:
        [num_ues] int64, number of the split, or `LEFT_OUT`.

    Raises:
        InvalidArgumentError: If a UE lies outside, or a split gets no UE.

    Example:
        >>> line = np.stack([np.arange(100.0), np.zeros(100)], axis=1)
        >>> split = split_by_area(line, (Rectangle(0, 100, -1, 1),), [80, 20], block_m=10, gap_m=2, seed=1)
        >>> int((split == 1).sum())
        20
    """
    place = positions[:, :2].astype(np.float64)
    block, num_blocks = _blocks(place, area, block_m)
    sizes = np.bincount(block, minlength=num_blocks)
    wanted = np.array(counts, dtype=np.float64) * (len(place) / sum(counts))
    lacking = wanted.copy()
    split_of = np.zeros(num_blocks, dtype=np.int64)
    for one in np.random.Generator(np.random.Philox(key=[seed, 1])).permutation(num_blocks):
        split_of[one] = np.argmax(lacking / wanted)
        lacking[split_of[one]] -= sizes[one]
    split = split_of[block]
    _keep_apart(split, place, len(counts), gap_m)
    found = [int((split == number).sum()) for number in range(len(counts))]
    if 0 in found:
        raise InvalidArgumentError(
            f"`block_m` and `gap_m` must leave each split some UEs; got {block_m:g} and {gap_m:g}: {found}."
        )
    return split


def _blocks(place: NDArray[np.float64], area: tuple[Rectangle, ...], block_m: float) -> tuple[NDArray[np.int64], int]:
    """Return the block of each UE, and how many blocks there are."""
    block = np.full(len(place), -1, dtype=np.int64)
    first = 0
    for rectangle in area:
        low = np.array([rectangle.x_min, rectangle.y_min])
        high = np.array([rectangle.x_max, rectangle.y_max])
        num = np.maximum(1, np.round((high - low) / block_m)).astype(np.int64)
        inside = ((place >= low - 1e-3) & (place <= high + 1e-3)).all(axis=1) & (block < 0)  # float32 rounds
        column, row = ((place[inside] - low) / (high - low) * num).clip(0, num - 1).astype(np.int64).T
        block[inside] = first + row * num[0] + column
        first += int(num.prod())
    if (block < 0).any():
        raise InvalidArgumentError("`positions` must lie in the rectangles of `area`; found some that do not.")
    return block, first


def _keep_apart(split: NDArray[np.int64], place: NDArray[np.float64], num_splits: int, gap_m: float) -> None:
    """Mark, in place, what lies too near to a later split."""
    for earlier in range(num_splits - 2, -1, -1):
        mine, later = np.flatnonzero(split == earlier), place[split > earlier]
        if len(mine) and len(later):
            distance, _ = cKDTree(later).query(place[mine])
            split[mine[distance < gap_m]] = LEFT_OUT
