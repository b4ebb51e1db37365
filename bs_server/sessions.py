"""An open session, and its ledger of reports: each (ue_id, sequence) is decoded and counted once.

new --claim--> on its way --settle--> stored        --release--> new again (nothing was stored)
"""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from shared.channels import ChannelSet
from shared.links import Link
from shared.model_files import CodecCard
from shared.refinement.label import NEVER, RefinementLabel
from shared.scoring import DEFAULT_SCORING, Scoring
from shared.types import Fallback

Identity = tuple[int, int]


class Ledger:
    """Which reports of a session are stored, and which are on their way.

    A UE numbers its reports upwards, so what is stored of it is a few runs of numbers: memory grows with the gaps, not
    with the reports.

    Args:
        stored: (ue_id, first sequence, last sequence) of what is stored, runs without a gap, increasing.

    Example:
        >>> ledger = Ledger()
        >>> ledger.settle([(7, 0), (7, 1)])
        >>> ledger.is_stored((7, 1)), ledger.is_stored((7, 2))
        (True, False)
    """

    def __init__(self, stored: Sequence[tuple[int, int, int]] = ()) -> None:
        self._runs: dict[int, list[list[int]]] = {}  # UE -> disjoint [first, end), increasing
        self._on_their_way: dict[Identity, asyncio.Future[None]] = {}
        for ue_id, first, last in stored:
            self._runs.setdefault(ue_id, []).append([first, last + 1])

    def is_stored(self, identity: Identity) -> bool:
        """Return whether a report is in the store."""
        ue_id, sequence = identity
        runs = self._runs.get(ue_id, [])
        before = bisect_right(runs, sequence, key=itemgetter(0)) - 1
        return before >= 0 and sequence < runs[before][1]

    def on_its_way(self, identity: Identity) -> "asyncio.Future[None] | None":
        """Return a future that is done when a report that is on its way is settled or released, or None."""
        return self._on_their_way.get(identity)

    @property
    def is_idle(self) -> bool:
        """Whether no report is on its way."""
        return not self._on_their_way

    async def idle(self) -> None:
        """Wait until no report is on its way."""
        while self._on_their_way:
            await asyncio.wait(list(self._on_their_way.values()))

    def claim(self, identities: list[Identity]) -> None:
        """Note that reports are on their way."""
        loop = asyncio.get_running_loop()
        for identity in identities:
            self._on_their_way[identity] = loop.create_future()

    def settle(self, identities: list[Identity]) -> None:
        """Note that reports are stored."""
        for ue_id, sequence in identities:
            runs = self._runs.setdefault(ue_id, [])
            if runs and runs[-1][1] == sequence:  # nearly always
                runs[-1][1] += 1
            elif not self.is_stored((ue_id, sequence)):
                _insert(runs, sequence)
        self.release(identities)

    def release(self, identities: list[Identity]) -> None:
        """Note that reports are no longer on their way."""
        for identity in identities:
            future = self._on_their_way.pop(identity, None)
            if future is not None and not future.done():
                future.set_result(None)


def _insert(runs: list[list[int]], number: int) -> None:
    """Add a number that is in none of the runs, and join the runs that it connects."""
    after = bisect_right(runs, number, key=itemgetter(0))
    if after > 0 and runs[after - 1][1] == number:
        runs[after - 1][1] = number + 1
        if after < len(runs) and runs[after][0] == number + 1:
            runs[after - 1][1] = runs.pop(after)[1]
    elif after < len(runs) and runs[after][0] == number + 1:
        runs[after][0] = number
    else:
        runs.insert(after, [number, number + 1])


@dataclass(frozen=True, slots=True)
class Session:
    """An open session.

    Attributes:
        session_id: UUID.
        card: Card of its codec.
        link: The emulated link; what it hands on is the kind of the session's frames.
        dataset: What truth indices refer to, or None.
        ledger: Its reports.
        estimator: Name of the UE's channel estimator.
        cnr_db: SNR of its pilots; None for a perfect estimate.
        scoring: What is scored besides what always is.
        fallback: What stands for a report that cannot be used.
        refinement: How reports are refined.
        run: Seed of the UE's run, with a refinement.
        refiner_sha256: Digest of the refiner that the label meant when the session was opened, or "".
    """

    session_id: str
    card: CodecCard
    link: Link
    dataset: ChannelSet | None
    ledger: Ledger = field(default_factory=Ledger)
    estimator: str = "perfect"
    cnr_db: float | None = None
    scoring: Scoring = DEFAULT_SCORING
    fallback: Fallback = "mean"
    refinement: RefinementLabel = NEVER
    run: int = 0
    refiner_sha256: str = ""
