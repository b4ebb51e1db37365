"""Summaries that are told again when they change, computed once for all who listen to the same one.

    commit --> sums of the store --> changed? --> every listener of the topic
       ^                                |
       '--- not before interval_s, or as long as the sums took, whichever is longer

A topic lives while somebody listens to it. Sums that are being made are left to finish when the last listener goes: a
query that is cancelled costs the store its connection.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bs_server.api.schemas import Summary
from bs_server.store import GroupWriter, ReportFilter, Store
from shared.errors import OverloadedError, UnavailableError
from shared.summary import Group, GroupColumn

log = logging.getLogger(__name__)

MAX_LISTENERS = 100  # each holds a connection open, and may ask for sums of its own
CLOSE_S = 2.0  # for sums to finish when the service shuts down


async def summarise(store: Store, where: ReportFilter, group_by: list[GroupColumn]) -> Summary:
    """Return the metrics of the reports of each group."""
    totals = await store.totals(where, group_by)
    return Summary(group_by=group_by, groups=[Group.of(group, group_by) for group in totals])


@dataclass(frozen=True, slots=True)
class Topic:
    """What is listened to.

    Attributes:
        where: Which reports.
        group_by: By what they are grouped.
        interval_s: Least time from one summary to the next.
    """

    where: ReportFilter
    group_by: tuple[GroupColumn, ...]
    interval_s: float


class SummaryFeed:
    """Tells listeners the summary of their topic, at once and after every change.

    Args:
        store: Where the sums come from.
        writer: Says when something was committed.
    """

    def __init__(self, store: Store, writer: GroupWriter) -> None:
        self._store = store
        self._writer = writer
        self._channels: dict[Topic, _Channel] = {}
        self._summing: dict[Topic, asyncio.Task[tuple[int, Summary]]] = {}
        self._num_listeners = 0
        self._closed = False

    @property
    def num_seats_taken(self) -> int:
        """Seats taken by listeners, and by sums that are still being made for listeners that left."""
        return self._num_listeners + len(self._summing.keys() - self._channels.keys())

    @contextmanager
    def seat(self) -> Iterator[None]:
        """Hold one of the `MAX_LISTENERS` seats; whoever answers a listener holds it around the whole answer.

        Not part of `listen`: a listener that leaves before its first summary never begins to iterate.

        Raises:
            OverloadedError: If all are taken.
            UnavailableError: If the service shuts down.
        """
        if self._closed:
            raise UnavailableError("The base station is shutting down.")
        if self.num_seats_taken >= MAX_LISTENERS:
            raise OverloadedError(
                f"At most {MAX_LISTENERS} clients may listen to summaries at a time; come back later.",
                retry_delay_ms=1000,
            )
        self._num_listeners += 1
        try:
            yield
        finally:
            self._num_listeners -= 1

    async def listen(self, topic: Topic) -> AsyncIterator[str]:
        """Yield the summary as JSON: one at once, then each that differs from the one before, until `close`."""
        if self._closed:
            return
        channel = self._channels.get(topic)
        if channel is None:
            channel = self._channels[topic] = _Channel()
            channel.producer = asyncio.create_task(self._produce(topic, channel))
        channel.num_listeners += 1
        told: str | None = None
        try:
            while not channel.ended:
                news = channel.news
                if channel.latest is None or channel.latest == told:
                    await news.wait()
                    continue
                told = channel.latest
                yield told
        finally:
            channel.num_listeners -= 1
            if not channel.num_listeners:
                self._end(topic, channel)

    async def close(self) -> None:
        """End every listener's stream."""
        self._closed = True
        channels = dict(self._channels)
        for topic, channel in channels.items():
            self._end(topic, channel)
        await asyncio.gather(*(channel.producer for channel in channels.values()), return_exceptions=True)
        summing = list(self._summing.values())
        if summing:
            _, late = await asyncio.wait(summing, timeout=CLOSE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _end(self, topic: Topic, channel: "_Channel") -> None:
        """End a topic; who comes next begins it anew."""
        if self._channels.get(topic) is channel:
            del self._channels[topic]
        channel.end()

    async def _produce(self, topic: Topic, channel: "_Channel") -> None:
        """Tell the summary after every change, until the topic ends; a failing store ends it."""
        try:
            while True:
                start_s = time.monotonic()
                if topic not in self._summing:
                    self._summing[topic] = asyncio.create_task(self._sum(topic))
                num_commits, summary = await asyncio.shield(self._summing[topic])
                channel.tell(summary.model_dump_json())
                await asyncio.sleep(max(topic.interval_s, time.monotonic() - start_s))
                await self._writer.wait_for_commit(after=num_commits)
        except Exception:
            log.exception("a summary could not be computed")
            self._end(topic, channel)

    async def _sum(self, topic: Topic) -> tuple[int, Summary]:
        """Return the summary, and how many commits it holds at least."""
        try:
            num_commits = self._writer.num_commits
            return num_commits, await summarise(self._store, topic.where, list(topic.group_by))
        finally:
            del self._summing[topic]


class _Channel:
    """The latest summary of a topic, and a bell that rings for the next."""

    def __init__(self) -> None:
        self.latest: str | None = None
        self.ended = False
        self.num_listeners = 0
        self.news = asyncio.Event()
        self.producer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(self, summary: str) -> None:
        self.latest = summary
        self._ring()

    def end(self) -> None:
        self.ended = True
        self.producer.cancel()
        self._ring()

    def _ring(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()
