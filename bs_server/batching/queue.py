"""A bounded queue of entries that hands them out in batches of one key, fairly between sessions.

    append --> [key A: session e e e, session e | key B: session e] --next_batch--> a batch of one key that is ready

A key is ready when it has `max_batch` reports or one of its entries has waited `max_wait_s`. Sessions are served by
their virtual time, the reports that they were served so far: the least goes first, which says both the key and what
goes into the batch; within a session and key, entries keep their order. A session that had nothing waiting starts at
the time of those that had. So one with few reports goes before the backlog of one with many.

Where a frame does not fit, the newest frames of the session with the most waiting make room, as long as that then still
has `MARGIN` times as much as the newcomer would (longest-queue drop): a full queue refuses whoever fills it, and those
that are alike do not push out each other's frames, which were checked and unpacked. A frame is pushed out whole, and
not once a part of it has left.

Cancelled and expired entries are dropped on the way out and never reach a thread; they are not counted as served.

Sources: P. Goyal, H. Vin, H. Cheng, "Start-time fair queueing", SIGCOMM 1996; B. Suter et al., "Design considerations
for supporting TCP with per-flow queueing", INFOCOM 1998.
"""

import asyncio
import heapq
import math
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from bs_server.batching.entry import BatchKey, Entry
from shared.errors import DeadlineError, OverloadedError

MIN_RETRY_MS, MAX_RETRY_MS = 5, 5000
SWEEP_S = 0.02  # between two searches of a full queue for entries that nobody waits for
MARGIN = 2  # how many times a newcomer's reports somebody must hold to make room for it
MANY_SESSIONS = 10_000  # above which those with nothing ahead of the others are forgotten


@dataclass(slots=True, eq=False)
class _Frame:
    """The entries that came together.

    Attributes:
        num_reports: Of all of them.
        num_entries: Of all of them.
        num_left: Those that have not left yet.
        pushed_out: Whether they made room for others: then they count no more, wherever they still stand.
    """

    num_reports: int
    num_entries: int
    num_left: int
    pushed_out: bool = False


_Waiting: TypeAlias = deque[tuple[int, Entry, _Frame]]  # of one key and session: number of arrival first


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
        self._waiting: dict[BatchKey, dict[str, _Waiting]] = {}
        self._of_key: Counter[BatchKey] = Counter()  # reports
        self._held: Counter[str] = Counter()  # reports, of the sessions that have some
        self._frames: dict[str, deque[_Frame]] = {}  # of the same sessions, oldest first
        self._served: dict[str, float] = {}  # virtual times
        self._virtual = 0.0  # of whoever was served last
        self._arrived = asyncio.Event()
        self._num_arrived = 0
        self._swept_s = -math.inf
        self._reports_per_s = 1000.0

    def admit(self, session_id: str, num_reports: int) -> None:
        """Refuse what `append` would refuse now: the queue is full, and others have too little in it to make room.

        Args:
            session_id: Of a frame.
            num_reports: Its.

        Raises:
            OverloadedError: As `append` does.
        """
        self._room_for(session_id, num_reports)

    def append(self, entries: list[Entry]) -> None:
        """Add all entries of a frame, which are of one session, or none.

        Raises:
            OverloadedError: If they do not fit; carries the delay after which they probably do.
        """
        if not entries:
            return
        frame = _Frame(sum(entry.num_reports for entry in entries), len(entries), len(entries))
        session_id = entries[0].session_id
        self._push_out(self._room_for(session_id, frame.num_reports))
        if not self.num_reports:
            self._virtual = 0.0
            self._served.clear()
        if len(self._served) > MANY_SESSIONS:
            self._served = {one: at for one, at in self._served.items() if at > self._virtual or one in self._held}
        if session_id not in self._held:
            self._served[session_id] = max(self._served.get(session_id, 0.0), self._virtual)
        for entry in entries:
            of_key = self._waiting.setdefault(entry.key, {})
            of_key.setdefault(session_id, deque()).append((self._num_arrived, entry, frame))
            self._of_key[entry.key] += entry.num_reports
            self._num_arrived += 1
        self._frames.setdefault(session_id, deque()).append(frame)
        self._held[session_id] += frame.num_reports
        self.num_reports += frame.num_reports
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
        first = math.inf, 0
        for key in list(self._waiting):
            for session_id in list(self._waiting[key]):
                self._drop_dead_heads(key, session_id, now_s)
            if key not in self._waiting:
                continue
            of_key = self._waiting[key]
            full = self._of_key[key] >= self._max_batch
            oldest_s = min(waiting[0][1].arrival_s for waiting in of_key.values())
            if not full and oldest_s + self._max_wait_s > now_s:
                until_s = min(until_s, oldest_s + self._max_wait_s)
                continue
            head = min((self._served[session_id], waiting[0][0]) for session_id, waiting in of_key.items())
            if head < first:
                ready, first = key, head
        return ready, until_s

    def _take(self, key: BatchKey, now_s: float) -> list[Entry]:
        """Remove and return a batch of a key whose heads are known to be live."""
        of_key = self._waiting[key]
        order = [(self._served[session_id], waiting[0][0], session_id) for session_id, waiting in of_key.items()]
        heapq.heapify(order)
        batch: list[Entry] = []
        size = 0
        while order:
            served, _, session_id = heapq.heappop(order)
            _, entry, frame = of_key[session_id][0]
            if batch and size + entry.num_reports > self._max_batch:
                break
            of_key[session_id].popleft()
            batch.append(entry)
            size += entry.num_reports
            self._virtual = max(self._virtual, served)
            self._served[session_id] = served + entry.num_reports
            self._left(entry, frame)
            self._drop_dead_heads(key, session_id, now_s)
            if session_id in of_key:
                heapq.heappush(order, (self._served[session_id], of_key[session_id][0][0], session_id))
        return batch

    def _drop_dead_heads(self, key: BatchKey, session_id: str, now_s: float) -> None:
        """Drop what nobody waits for at the head of a key's session, and what is empty then."""
        waiting = self._waiting[key][session_id]
        while waiting and not self._is_live(waiting[0][1], now_s):
            _, entry, frame = waiting.popleft()
            self._left(entry, frame)
        if not waiting:
            del self._waiting[key][session_id]
            if not self._waiting[key]:
                del self._waiting[key]
                del self._of_key[key]

    def _left(self, entry: Entry, frame: _Frame) -> None:
        """Count an entry that has left."""
        if frame.pushed_out:
            return
        frame.num_left -= 1
        frames = self._frames[entry.session_id]
        while frames and not frames[0].num_left:
            frames.popleft()
        self._of_key[entry.key] -= entry.num_reports
        self._release(entry.session_id, entry.num_reports)

    def _release(self, session_id: str, num_reports: int) -> None:
        self.num_reports -= num_reports
        self._held[session_id] -= num_reports
        if not self._held[session_id]:
            del self._held[session_id]
            del self._frames[session_id]

    def _room_for(self, session_id: str, num_reports: int) -> list[tuple[str, _Frame]]:
        """Return the frames, and whose they are, that have to be pushed out for a newcomer; mostly none.

        Args:
            session_id: Of the newcomer.
            num_reports: Its.

        Raises:
            OverloadedError: If those that may be pushed out are too few.
        """
        if self.num_reports + num_reports > self._max_reports:
            self._sweep()
        needed = self.num_reports + num_reports - self._max_reports
        if needed <= 0:
            return []
        wanted = MARGIN * (self._held[session_id] + num_reports)
        if max(self._held.values(), default=0) <= wanted:  # most refusals under overload, and cheap with many sessions
            raise self._no_room(num_reports)
        held, newest = dict(self._held), dict[str, Iterator[_Frame]]()
        chosen: list[tuple[str, _Frame]] = []
        while needed > 0:
            victim = max(held, key=held.__getitem__, default=session_id)
            if victim == session_id:
                raise self._no_room(num_reports)
            if victim not in newest:
                newest[victim] = (one for one in reversed(self._frames[victim]) if one.num_left == one.num_entries)
            frame = next(newest[victim], None)
            if frame is None:  # all of its frames have been served in part
                del held[victim]
                continue
            if held[victim] - frame.num_reports < wanted:
                raise self._no_room(num_reports)
            held[victim] -= frame.num_reports
            needed -= frame.num_reports
            chosen.append((victim, frame))
        return chosen

    def _push_out(self, chosen: list[tuple[str, _Frame]]) -> None:
        """Tell those who wait for some frames that these made room."""
        for victim, frame in chosen:
            frame.pushed_out = True
            self._frames[victim].remove(frame)
            self._release(victim, frame.num_reports)
        told = "The queue is full, and another session has fewer reports in it: these made room."
        victims, out = {victim for victim, _ in chosen}, {frame for _, frame in chosen}
        for of_key in self._waiting.values() if out else ():
            for victim in victims & of_key.keys():
                for _, entry, frame in of_key[victim]:
                    if frame in out:
                        self._of_key[entry.key] -= entry.num_reports
                        if not entry.result.done():
                            entry.result.set_exception(self._overloaded(told))

    def _no_room(self, num_reports: int) -> OverloadedError:
        what = f"{self.num_reports} of {self._max_reports} reports; {num_reports} more do not fit"
        return self._overloaded(f"The queue holds {what}.")

    def _overloaded(self, sentence: str) -> OverloadedError:
        delay_ms = 1000 * self.num_reports / self._reports_per_s
        return OverloadedError(sentence, retry_delay_ms=int(min(max(delay_ms, MIN_RETRY_MS), MAX_RETRY_MS)))

    def _sweep(self) -> None:
        """Make room: drop every entry that nobody waits for or that is too late, wherever it stands."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._swept_s < SWEEP_S:
            return
        self._swept_s = now_s
        for key in list(self._waiting):
            for session_id, waiting in list(self._waiting[key].items()):
                live: _Waiting = deque()
                for item in waiting:
                    if self._is_live(item[1], now_s):
                        live.append(item)
                    else:
                        self._left(item[1], item[2])
                self._waiting[key][session_id] = live
                self._drop_dead_heads(key, session_id, now_s)

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
