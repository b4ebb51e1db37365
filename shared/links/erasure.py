"""Erasure: a report that never arrives, whole, whatever its bits or symbols."""

import numpy as np
from numpy.typing import NDArray

from shared.rng import Randomness, Stage


def arrives(erasure: float, randomness: Randomness) -> NDArray[np.bool_]:
    """Return [batch] bool, False for a report that is lost.

    Args:
        erasure: Probability of that, in [0, 1).
        randomness: Streams of the reports.

    Example:
        >>> arrives(0.0, Randomness(1, np.arange(3), np.arange(3))).tolist()
        [True, True, True]
    """
    if erasure == 0:
        return np.ones(len(randomness.sequence), dtype=np.bool_)
    return randomness.uniform(Stage.ERASURE, 1)[:, 0] >= erasure
