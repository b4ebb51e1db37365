"""Common random numbers: what the points of a sweep draw alike is drawn once.

A report of a seed, UE and sequence number draws the same noise, fading and losses whatever its codec and data set, and
where it draws as many numbers, its rate: points that differ by these alone are compared over the same link. A sweep
asks for each draw once a codec and data set, in the same order, and keeps the first: where all draws of a grid take
more than there is room for, the rest is drawn every time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.rng import Randomness, Stage

MAX_BYTES = 2**28  # forty points of 1,000 reports and 1,600 coded bits

Key = tuple[str, int, Stage, int, bytes, bytes]


class KeptDraws:
    """Draws of the reports of a sweep.

    Args:
        max_bytes: What they may take of memory; what finds no room is not kept.

    Example:
        >>> kept = KeptDraws()
        >>> reports = kept.randomness(7, np.array([3, 3]), np.array([0, 1]))
        >>> first, again = reports.uniform(Stage.LINK, 2), reports.uniform(Stage.LINK, 2)
        >>> bool((first == again).all()), kept.num_drawn
        (True, 1)
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.num_drawn = 0
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._kept: dict[Key, NDArray[Any]] = {}

    def randomness(self, run: int, ue_id: NDArray[np.integer], sequence: NDArray[np.integer]) -> Randomness:
        """Return what `Randomness` of the same arguments draws, drawn here once."""
        return _KeptRandomness(run, ue_id, sequence, self)

    def recall(self, key: Key, draw: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return a copy of what ``draw`` returned for ``key``, and call it if that is not there."""
        found = self._kept.get(key)
        if found is not None:
            return found.copy()
        drawn = draw()
        self.num_drawn += 1
        if self._num_bytes + drawn.nbytes <= self._max_bytes:
            self._kept[key] = drawn.copy()
            self._num_bytes += drawn.nbytes
        return drawn


@dataclass(frozen=True, slots=True)
class _KeptRandomness(Randomness):
    """Randomness that draws through `KeptDraws`."""

    kept: KeptDraws

    def uniform(self, stage: Stage, count: int) -> NDArray[np.float64]:
        return self.kept.recall(self._key("uniform", stage, count), lambda: Randomness.uniform(self, stage, count))

    def normal(self, stage: Stage, count: int) -> NDArray[np.float32]:
        return self.kept.recall(self._key("normal", stage, count), lambda: Randomness.normal(self, stage, count))

    def _key(self, distribution: str, stage: Stage, count: int) -> Key:
        return distribution, self.run, stage, count, self.ue_id.tobytes(), self.sequence.tobytes()
