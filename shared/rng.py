"""Counter-based randomness: every report draws from its own Philox stream, whoever shares its batch.

    key = (run, ue_id)    counter = (0, 0, stage, sequence)

The low half of the counter advances with the draws. The same (run, ue, sequence, stage) gives the same numbers in any
process, order and batch. Drawn on the host, so that the device does not matter. Philox4x64-10: Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", SC 2011.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgumentError


class Stage(IntEnum):
    """Stations of the data's way that draw; the numbers are never reused."""

    LINK = 1
    ESTIMATION = 2
    FADING = 3
    ERASURE = 4


@dataclass(frozen=True, slots=True)
class Randomness:
    """The random streams of a batch of reports.

    Attributes:
        run: Seed of the run.
        ue_id: [batch] uint32.
        sequence: [batch] uint64, number of the report at its UE.

    Example:
        >>> randomness = Randomness(run=7, ue_id=np.array([3]), sequence=np.array([0]))
        >>> again = Randomness(run=7, ue_id=np.array([3]), sequence=np.array([0]))
        >>> bool(randomness.generators(Stage.LINK)[0].random() == again.generators(Stage.LINK)[0].random())
        True
    """

    run: int
    ue_id: NDArray[np.integer]
    sequence: NDArray[np.integer]

    def __post_init__(self) -> None:
        """Refuse a run that Philox has no key for."""
        if not 0 <= self.run < 2**64:
            raise InvalidArgumentError(f"`run` must be in [0, 2^64); got {self.run}.")

    def generators(self, stage: Stage) -> list[np.random.Generator]:
        """Return one fresh generator per report, at the start of its stream of ``stage``."""
        return [
            np.random.Generator(np.random.Philox(key=[self.run, int(ue)], counter=[0, 0, int(stage), int(sequence)]))
            for ue, sequence in zip(self.ue_id, self.sequence, strict=True)
        ]
