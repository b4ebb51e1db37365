r"""Counter-based randomness: every report owns a part of one Philox stream, whoever shares its batch.

    key = run    counter, 256 bits = | blocks : 64 | stage : 32 | ue_id : 32 | sequence * blocks + block : 128 |

    words -> uniform: 53 bits each
    words -> normal: r = sqrt(-2 ln u) of 40 bits, angle of 24 bits -> r cos(angle), r sin(angle)

A report that draws n words of 64 bits owns blocks = ceil(n / 4) values of the counter, four words each; those of the
UE's next report follow, so that reports in a row are drawn at once. The same (run, ue, sequence, stage, blocks) gives
the same words in any process, order and batch, and all else gives others. They are drawn on the host, whatever the
device.

Sources: J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x64-10). G. E. P. Box, M.
E. Muller, "A note on the generation of random normal deviates", Ann. Math. Statist. 29, 1958; NumPy's own normal
numbers take now more words, now fewer, so that no report would know where its own begin.
"""

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import DTypeLike, NDArray

from shared.errors import InvalidArgumentError

WORDS_PER_BLOCK = 4
ANGLE_BITS = 24  # as many as a float32 holds; the other 40 reach to 7.5 standard deviations


class Stage(IntEnum):
    """Stations of the data's way that draw; the numbers are never reused."""

    LINK = 1
    ESTIMATION = 2
    FADING = 3
    ERASURE = 4
    REFINEMENT = 5


@dataclass(frozen=True, slots=True)
class _Key(ISeedSequence):
    """The key of Philox as its seed: told ``key=``, NumPy also asks the system for entropy, and throws that away."""

    run: int

    def generate_state(self, n_words: int, dtype: DTypeLike = np.uint64) -> NDArray[np.uint32 | np.uint64]:
        """Return the two words of the key."""
        return np.array([self.run, 0], dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class Randomness:
    """The random numbers of a batch of reports.

    Attributes:
        run: Seed of the run.
        ue_id: [batch] uint32.
        sequence: [batch] uint64, number of the report at its UE.

    Example:
        >>> pair = Randomness(run=7, ue_id=np.array([3, 3]), sequence=np.array([0, 1]))
        >>> second = Randomness(run=7, ue_id=np.array([3]), sequence=np.array([1]))
        >>> bool((pair.uniform(Stage.LINK, 2)[1] == second.uniform(Stage.LINK, 2)[0]).all())
        True
    """

    run: int
    ue_id: NDArray[np.integer]
    sequence: NDArray[np.integer]

    def __post_init__(self) -> None:
        """Refuse a run that Philox has no key for, and UEs that would draw the numbers of another stage."""
        if not 0 <= self.run < 2**64:
            raise InvalidArgumentError(f"`run` must be in [0, 2^64); got {self.run}.")
        if len(self.ue_id) and not 0 <= int(self.ue_id.min()) <= int(self.ue_id.max()) < 2**32:
            found = f"{int(self.ue_id.min())} to {int(self.ue_id.max())}"
            raise InvalidArgumentError(f"`ue_id` must be in [0, 2^32); got {found}.")

    def of(self, rows: NDArray[np.integer]) -> "Randomness":
        """Return that of some reports: ``rows`` of the batch."""
        return Randomness(self.run, self.ue_id[rows], self.sequence[rows])

    def words(self, stage: Stage, count: int) -> NDArray[np.uint64]:
        """Draw words.

        Args:
            stage: Who draws.
            count: Words of each report. If that takes more or fewer blocks, all words are others.

        Returns:
            [batch, count] uint64, uniform.
        """
        blocks, num_reports = -(-count // WORDS_PER_BLOCK), len(self.sequence)
        philox, position = np.random.Philox(_Key(self.run)), 0  # type: ignore[arg-type]  # it takes any ISeedSequence
        stretches = [np.empty((0, blocks * WORDS_PER_BLOCK), dtype=np.uint64)]
        for first, end in pairwise([*self._starts(), num_reports]):
            stream = (blocks << 64) + (int(stage) << 32) + int(self.ue_id[first])
            start = (stream << 128) + int(self.sequence[first]) * blocks
            philox.advance(start - position)
            stretches.append(philox.random_raw((end - first, blocks * WORDS_PER_BLOCK)))
            position = start + (end - first) * blocks
        words = stretches[-1] if len(stretches) <= 2 else np.concatenate(stretches)  # one stretch is not copied
        return words[:, :count]

    def uniform(self, stage: Stage, count: int) -> NDArray[np.float64]:
        """Draw numbers that are uniform in [0, 1).

        Args:
            stage: Who draws.
            count: Numbers of each report; see `words`.

        Returns:
            [batch, count] float64, multiples of 2^-53.
        """
        return np.asarray((self.words(stage, count) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)

    def normal(self, stage: Stage, count: int) -> NDArray[np.float32]:
        """Draw numbers of the standard normal distribution.

        Args:
            stage: Who draws.
            count: Numbers of each report; see `words`, of which two numbers take one.

        Returns:
            [batch, count] float32: the cosines of all pairs, then their sines, so that another count gives others. None
            is beyond 7.5, and the tail is right to 0.3 % up to 7, a probability of 1e-12; the rounding of logarithm and
            cosine is that of the machine.
        """
        num_pairs = -(-count // 2)
        words = self.words(stage, -(-num_pairs // WORDS_PER_BLOCK) * WORDS_PER_BLOCK)  # whole blocks lie side by side
        low = words.astype(np.uint32)
        low &= np.uint32(2**ANGLE_BITS - 1)
        angle = low.astype(np.float32)
        angle *= np.float32(2 * np.pi / 2**ANGLE_BITS)
        words >>= np.uint64(ANGLE_BITS)
        radius = words.view(np.int64).astype(np.float32)  # processors convert signed ones
        radius += np.float32(0.5)  # no logarithm of 0
        radius *= np.float32(2.0 ** (ANGLE_BITS - 64))
        np.log(radius, out=radius)
        radius *= np.float32(-2)
        np.sqrt(radius, out=radius)
        normal = words.view(np.float32)  # memory at hand is faster than fresh
        np.multiply(radius[:, :num_pairs], np.cos(angle)[:, :num_pairs], out=normal[:, :num_pairs])
        np.sin(angle, out=angle)
        np.multiply(radius[:, :num_pairs], angle[:, :num_pairs], out=normal[:, num_pairs : 2 * num_pairs])
        return normal[:, :count]

    def _starts(self) -> list[int]:
        """Return the first row of each stretch of reports whose blocks lie side by side."""
        ue, sequence = self.ue_id, self.sequence
        # 0 is the successor of 2^64 - 1 to uint64, not to the counter
        apart = (ue[1:] != ue[:-1]) | (sequence[1:] - sequence[:-1] != 1) | (sequence[1:] == 0)
        return [0, *(apart.nonzero()[0] + 1).tolist()][: len(sequence)]
