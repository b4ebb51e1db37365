"""A bounded queue of entries that hands them out in batches of one key.

    append --> [key A: e e e | key B: e e] --next_batch--> the key whose head has waited longest,
               when it has `max_batch` reports or its head has waited `max_wait_s`

Cancelled and expired entries are dropped on the way out and never reach a thread.
"""

import asyncio
from collections import deque

from bs_server.batching.entry import BatchKey, Entry
from shared.errors import DeadlineError, OverloadedError

MIN_RETRY_MS, MAX_RETRY_MS = 5, 5000


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
        self._waiting: dict[BatchKey, deque[Entry]] = {}
        self._arrived = asyncio.Event()
        self._reports_per_s = 1000.0

    def append(self, entries: list[Entry]) -> None:
        """Add all entries of a frame, or none.

        Raises:
            OverloadedError: If they do not fit; carries the delay after which they probably do.
        """
        num_reports = sum(entry.num_reports for entry in entries)
        if self.num_reports + num_reports > self._max_reports:
            self._drop_dead()
        if self.num_reports + num_reports > self._max_reports:
            delay_ms = 1000 * self.num_reports / self._reports_per_s
            raise OverloadedError(
                f"The queue holds {self.num_reports} of {self._max_reports} reports; {num_reports} more do not fit.",
                retry_delay_ms=int(min(max(delay_ms, MIN_RETRY_MS), MAX_RETRY_MS)),
            )
        for entry in entries:
            self._waiting.setdefault(entry.key, deque()).append(entry)
        self.num_reports += num_reports
        self._arrived.set()

    async def next_batch(self) -> list[Entry]:
        """Wait for a batch: entries of one key, at most ``max_batch`` reports unless one entry alone has more."""
        loop = asyncio.get_running_loop()
        while True:
            self._arrived.clear()
            now_s = loop.time()  # read once: the head that lives now is the head that is taken
            head = self._longest_waiting(now_s)
            if head is None:
                await self._arrived.wait()
                continue
            remaining_s = head.arrival_s + self._max_wait_s - now_s
            if remaining_s <= 0 or self._is_full(head.key):
                return self._take(head.key, now_s)
            try:
                async with asyncio.timeout(remaining_s):
                    await self._arrived.wait()
            except TimeoutError:
                pass

    def observe_rate(self, num_reports: int, seconds: float) -> None:
        """Note how fast batches are served, for the retry delay."""
        self._reports_per_s += 0.2 * (num_reports / max(seconds, 1e-6) - self._reports_per_s)

    def _longest_waiting(self, now_s: float) -> Entry | None:
        """Return the oldest live head, dropping dead ones."""
        heads = []
        for key, entries in list(self._waiting.items()):
            while entries and not self._is_live(entries[0], now_s):
                self.num_reports -= entries.popleft().num_reports
            if entries:
                heads.append(entries[0])
            else:
                del self._waiting[key]
        return min(heads, key=lambda entry: entry.arrival_s, default=None)

    def _is_full(self, key: BatchKey) -> bool:
        size = 0
        for entry in self._waiting[key]:
            size += entry.num_reports
            if size >= self._max_batch:
                return True
        return False

    def _take(self, key: BatchKey, now_s: float) -> list[Entry]:
        """Remove and return a batch, whose first entry is known to be live."""
        entries = self._waiting[key]
        batch: list[Entry] = []
        size = 0
        while entries and (not batch or size + entries[0].num_reports <= self._max_batch):
            entry = entries.popleft()
            self.num_reports -= entry.num_reports
            if self._is_live(entry, now_s):
                batch.append(entry)
                size += entry.num_reports
        if not entries:
            del self._waiting[key]
        return batch

    def _drop_dead(self) -> None:
        """Make room: drop every entry that nobody waits for or that is too late, wherever it stands."""
        now_s = asyncio.get_running_loop().time()
        for key, entries in list(self._waiting.items()):
            live = deque(entry for entry in entries if self._is_live(entry, now_s))
            self.num_reports -= sum(entry.num_reports for entry in entries) - sum(entry.num_reports for entry in live)
            if live:
                self._waiting[key] = live
            else:
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
