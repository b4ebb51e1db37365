"""A bounded queue of entries that hands them out in batches of one key, fairly between sessions.

    append --> [key A: e e e | key B: e e] --next_batch--> of the keys that are ready, the one whose head is next

A key is ready when it has `max_batch` reports or one of its entries has waited `max_wait_s`. Which head is next, and
which entries of a key go into a batch, is start-time fair queueing: an entry's start tag is the larger of the tag that
is being served and of the tag at which its session's entry before ends; it ends by its number of reports later. So a
session with few reports goes before the backlog of one with many, and a lone session is served in order.

Where a frame does not fit, the newest entries of the session with the most waiting make room, as long as that has more
than the newcomer would then (longest-queue drop): a full queue refuses whoever fills it.

Cancelled and expired entries are dropped on the way out and never reach a thread.

Sources: P. Goyal, H. Vin, H. Cheng, "Start-time fair queueing", SIGCOMM 1996; B. Suter et al., "Design considerations
for supporting TCP with per-flow queueing", INFOCOM 1998.
"""

import asyncio
import heapq
import math
from collections import Counter
from typing import TypeAlias

from bs_server.batching.entry import BatchKey, Entry
from shared.errors import DeadlineError, OverloadedError

MIN_RETRY_MS, MAX_RETRY_MS = 5, 5000
MANY_SESSIONS = 10_000  # above which those with nothing ahead are forgotten

_Waiting: TypeAlias = tuple[float, int, Entry]  # start tag, number of arrival, entry


class BatchQueue:
    """One queue between the handlers and the threads that decode; lives on one event loop.

    Args:
        max_reports: Reports that may wait.
        max_batch: Most reports of a batch.
        max_wait_s: Longest wait of a batch for more reports.

    Example:
        >>> BatchQueue(max_reports=100, max_batch=8, max_wait_s=0.002).num_reports
        0
    """

    def __init__(self, max_reports: int, max_batch: int, max_wait_s: float) -> None:
        self.num_reports = 0
        self._max_reports = max_reports
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._waiting: dict[BatchKey, list[_Waiting]] = {}  # heaps
        self._arrived = asyncio.Event()
        self._reports_per_s = 1000.0
        self._num_arrived = 0
        self._tag = 0.0  # of what is served
        self._ends: dict[str, float] = {}  # session -> where its last entry ends

    def append(self, entries: list[Entry]) -> None:
        """Add all entries of a frame, or none.

        Raises:
            OverloadedError: If they do not fit; carries the delay after which they probably do.
        """
        num_reports = sum(entry.num_reports for entry in entries)
        if self.num_reports + num_reports > self._max_reports:
            self._drop_dead()
        if self.num_reports + num_reports > self._max_reports and not self._make_room(entries, num_reports):
            raise self._overloaded(num_reports)
        if not self.num_reports:
            self._tag = 0.0
            self._ends.clear()
        if len(self._ends) > MANY_SESSIONS:
            self._ends = {session_id: end for session_id, end in self._ends.items() if end > self._tag}
        for entry in entries:
            tag = max(self._tag, self._ends.get(entry.session_id, 0.0))
            self._ends[entry.session_id] = tag + entry.num_reports
            heapq.heappush(self._waiting.setdefault(entry.key, []), (tag, self._num_arrived, entry))
            self._num_arrived += 1
        self.num_reports += num_reports
        self._arrived.set()

    async def next_batch(self) -> list[Entry]:
        """Wait for a batch: entries of one key, at most ``max_batch`` reports unless one entry alone has more."""
        loop = asyncio.get_running_loop()
        while True:
            self._arrived.clear()
            now_s = loop.time()  # read once: the head that lives now is the head that is taken
            ready, until_s = self._ready(now_s)
            if ready is not None:
                return self._take(ready, now_s)
            try:
                async with asyncio.timeout(until_s - now_s if math.isfinite(until_s) else None):
                    await self._arrived.wait()
            except TimeoutError:
                pass

    def observe_rate(self, num_reports: int, seconds: float) -> None:
        """Note how fast batches are served, for the retry delay."""
        self._reports_per_s += 0.2 * (num_reports / max(seconds, 1e-6) - self._reports_per_s)

    def _ready(self, now_s: float) -> tuple[BatchKey | None, float]:
        """Return the key to serve, dropping dead heads; or None, and when the first will be ready."""
        ready, until_s = None, math.inf
        for key, heap in list(self._waiting.items()):
            while heap and not self._is_live(heap[0][2], now_s):
                self.num_reports -= heapq.heappop(heap)[2].num_reports
            if not heap:
                del self._waiting[key]
            elif (at_s := self._ready_s(heap)) > now_s:
                until_s = min(until_s, at_s)
            elif ready is None or heap[0][:2] < self._waiting[ready][0][:2]:
                ready = key
        return ready, until_s

    def _ready_s(self, heap: list[_Waiting]) -> float:
        """Return when a key is ready: at once with a full batch, else when its oldest entry has waited enough."""
        size, oldest_s = 0, math.inf
        for _, _, entry in heap:
            size += entry.num_reports
            if size >= self._max_batch:
                return -math.inf
            oldest_s = min(oldest_s, entry.arrival_s)
        return oldest_s + self._max_wait_s

    def _take(self, key: BatchKey, now_s: float) -> list[Entry]:
        """Remove and return a batch, whose first entry is known to be live."""
        heap = self._waiting[key]
        batch: list[Entry] = []
        size = 0
        while heap and (not batch or size + heap[0][2].num_reports <= self._max_batch):
            tag, _, entry = heapq.heappop(heap)
            self._tag = max(self._tag, tag)
            self.num_reports -= entry.num_reports
            if self._is_live(entry, now_s):
                batch.append(entry)
                size += entry.num_reports
        if not heap:
            del self._waiting[key]
        return batch

    def _make_room(self, entries: list[Entry], num_reports: int) -> bool:
        """Push out what others have too much of, all that is needed or nothing; return whether there is room now.

        Args:
            entries: Of the newcomer, one session.
            num_reports: Theirs.
        """
        session_id = entries[0].session_id
        held: Counter[str] = Counter()
        of_session: dict[str, list[tuple[int, Entry]]] = {}
        for heap in self._waiting.values():
            for _, number, entry in heap:
                held[entry.session_id] += entry.num_reports
                of_session.setdefault(entry.session_id, []).append((number, entry))
        wanted, needed = held[session_id] + num_reports, self.num_reports + num_reports - self._max_reports
        for waiting in of_session.values():
            waiting.sort(key=lambda one: one[0])
        pushed: set[int] = set()
        while needed > 0:
            victim = max(held, key=lambda one: held[one], default=session_id)
            if victim == session_id or not of_session[victim]:
                return False
            number, entry = of_session[victim].pop()
            held[victim] -= entry.num_reports
            if held[victim] < wanted:
                return False
            needed -= entry.num_reports
            pushed.add(number)
        self._push_out(pushed)
        return True

    def _push_out(self, numbers: set[int]) -> None:
        for key, heap in list(self._waiting.items()):
            kept = [one for one in heap if one[1] not in numbers]
            for _, number, entry in heap:
                if number in numbers:
                    self.num_reports -= entry.num_reports
                    entry.result.set_exception(self._overloaded(entry.num_reports))
            if not kept:
                del self._waiting[key]
            elif len(kept) < len(heap):
                heapq.heapify(kept)
                self._waiting[key] = kept

    def _overloaded(self, num_reports: int) -> OverloadedError:
        delay_ms = 1000 * self.num_reports / self._reports_per_s
        return OverloadedError(
            f"The queue holds {self.num_reports} of {self._max_reports} reports; {num_reports} more do not fit.",
            retry_delay_ms=int(min(max(delay_ms, MIN_RETRY_MS), MAX_RETRY_MS)),
        )

    def _drop_dead(self) -> None:
        """Make room: drop every entry that nobody waits for or that is too late, wherever it stands."""
        now_s = asyncio.get_running_loop().time()
        for key, heap in list(self._waiting.items()):
            live = [one for one in heap if self._is_live(one[2], now_s)]
            if len(live) == len(heap):
                continue
            self.num_reports -= sum(one[2].num_reports for one in heap) - sum(one[2].num_reports for one in live)
            heapq.heapify(live)
            self._waiting[key] = live
            if not live:
                del self._waiting[key]

    @staticmethod
    def _is_live(entry: Entry, now_s: float) -> bool:
        """Return whether somebody waits for an entry that is in time; tell whoever waits for one that is not."""
        if entry.result.done():
            return False
        if now_s <= entry.deadline_s:
            return True
        late_ms = 1000 * (now_s - entry.deadline_s)
        entry.result.set_exception(DeadlineError(f"The deadline passed {late_ms:.0f} ms ago in the queue."))
        return False
