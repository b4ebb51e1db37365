"""Two queues, so that an expensive channel code holds up only reports that have one.

    append --+--> plain: uncoded, CRC only, symbols ----------------------> device thread
             '--> coded --> channel thread: channel decoding, CRC check ----^

Each queue holds at most ``max_reports`` for itself: coded reports that pile up take no room of the others.

Refinement costs many times what decoding does, so it is what goes first when reports pile up: with
``refine_queue_reports`` of them waiting in both queues, a batch that starts is decoded and not refined.
"""

from bs_server.batching.entry import Entry
from bs_server.batching.queue import BatchQueue

# What is decided in less than a quarter of a millisecond a report, 65,536 bits included. A code is expensive unless it
# stands here.
CHEAP_CODES = frozenset({"uncoded", "crc"})


class Lanes:
    """The queues between the handlers and the threads that decode; live on one event loop.

    Attributes:
        plain: Reports whose channel decoding costs nothing to speak of.
        coded: The others.

    Args:
        max_reports: Reports that may wait in each.
        max_batch: Most reports of a batch.
        max_wait_s: Longest wait of a batch for more reports.
        refine_queue_reports: Reports that wait when there is no time to refine any more; 0: there never is.

    Example:
        >>> lanes = Lanes(max_reports=100, max_batch=8, max_wait_s=0.002, refine_queue_reports=50)
        >>> lanes.num_reports, lanes.has_time_to_refine
        (0, True)
    """

    def __init__(self, max_reports: int, max_batch: int, max_wait_s: float, refine_queue_reports: int) -> None:
        self._refine_queue_reports = refine_queue_reports
        self.plain = BatchQueue(max_reports, max_batch, max_wait_s)
        self.coded = BatchQueue(max_reports, max_batch, max_wait_s)

    @property
    def num_reports(self) -> int:
        """Reports that wait."""
        return self.plain.num_reports + self.coded.num_reports

    @property
    def has_time_to_refine(self) -> bool:
        """Whether few enough reports wait for a batch that starts now to be refined."""
        return self.num_reports < self._refine_queue_reports

    def append(self, entries: list[Entry]) -> None:
        """Add all entries of a frame, or none; they are of one session, whose link has one channel code.

        Raises:
            OverloadedError: If they do not fit into their queue; carries the delay after which they probably do.
        """
        if entries:
            self.of(entries[0].key.code).append(entries)

    def of(self, code: str) -> BatchQueue:
        """Return the queue of reports with a channel code."""
        return self.plain if code in CHEAP_CODES else self.coded
