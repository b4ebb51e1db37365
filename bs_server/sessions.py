"""An open session, and its ledger of reports: each (ue_id, sequence) is decoded and counted once.

new --claim--> on its way --settle--> stored        --release--> new again (nothing was stored)
"""

import asyncio
from dataclasses import dataclass, field

from shared.channels import ChannelSet
from shared.model_files import CodecCard

Identity = tuple[int, int]


class Ledger:
    """Which reports of a session are stored, and which are on their way.

    A UE numbers its reports upwards, so what is stored of it is a run 0 ... n - 1 and a few beyond: memory does not
    grow with the session.

    Example:
        >>> ledger = Ledger()
        >>> ledger.settle([(7, 0), (7, 1)])
        >>> ledger.is_stored((7, 1)), ledger.is_stored((7, 2))
        (True, False)
    """

    def __init__(self, stored: list[Identity] | None = None) -> None:
        self._next: dict[int, int] = {}
        self._beyond: dict[int, set[int]] = {}
        self._on_their_way: dict[Identity, asyncio.Future[None]] = {}
        self.settle(sorted(stored or []))

    def is_stored(self, identity: Identity) -> bool:
        """Return whether a report is in the store."""
        ue_id, sequence = identity
        return sequence < self._next.get(ue_id, 0) or sequence in self._beyond.get(ue_id, ())

    def on_its_way(self, identity: Identity) -> "asyncio.Future[None] | None":
        """Return a future that is done when a report that is on its way is settled or released, or None."""
        return self._on_their_way.get(identity)

    @property
    def is_idle(self) -> bool:
        """Whether no report is on its way."""
        return not self._on_their_way

    def claim(self, identities: list[Identity]) -> None:
        """Note that reports are on their way."""
        loop = asyncio.get_running_loop()
        for identity in identities:
            self._on_their_way[identity] = loop.create_future()

    def settle(self, identities: list[Identity]) -> None:
        """Note that reports are stored."""
        for ue_id, sequence in identities:
            beyond = self._beyond.setdefault(ue_id, set())
            beyond.add(sequence)
            expected = self._next.get(ue_id, 0)
            while expected in beyond:
                beyond.remove(expected)
                expected += 1
            self._next[ue_id] = expected
        self.release(identities)

    def release(self, identities: list[Identity]) -> None:
        """Note that reports are no longer on their way."""
        for identity in identities:
            future = self._on_their_way.pop(identity, None)
            if future is not None and not future.done():
                future.set_result(None)


@dataclass(frozen=True, slots=True)
class Session:
    """An open session.

    Attributes:
        session_id: UUID.
        card: Card of its codec.
        link: Label of the emulated link.
        dataset: What truth indices refer to, or None.
        ledger: Its reports.
    """

    session_id: str
    card: CodecCard
    link: str
    dataset: ChannelSet | None
    ledger: Ledger = field(default_factory=Ledger)
