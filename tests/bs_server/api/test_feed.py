import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import cast

import pytest

from bs_server.api import feed as feed_module
from bs_server.api.feed import SummaryFeed, Topic
from bs_server.config import Settings
from bs_server.store import GroupWriter, ReportFilter, ReportRow, SessionRow
from bs_server.store.sql import SqlStore
from shared.errors import OverloadedError, UnavailableError
from shared.summary import GroupColumn, GroupTotals
from shared.types import CsiShape

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
SESSION = SessionRow("s", "klt", "a" * 64, CsiShape("angular-delay", 1, 2, 3), "ideal", "", 1.0)
ALL = Topic(ReportFilter(), ("codec",), interval_s=0.02)


class CountingStore(SqlStore):
    """SQLite that counts the sums it makes, and waits before the next, or fails at it, when told to."""

    num_totals = 0
    fails = False

    def __init__(self, url: str, keep_reconstructions: int) -> None:
        super().__init__(url, keep_reconstructions)
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def totals(self, where: ReportFilter, group_by: Sequence[GroupColumn]) -> list[GroupTotals]:
        self.num_totals += 1
        await self.may_go_on.wait()
        if self.fails:
            raise OSError("the disk is gone")
        return await super().totals(where, group_by)


@pytest.fixture
async def store(local: Settings) -> AsyncIterator[CountingStore]:
    store = CountingStore(local.database_url, keep_reconstructions=1)
    await store.open()
    await store.add_session(SESSION)
    yield store
    await store.close()


@pytest.fixture
async def writer(store: CountingStore) -> AsyncIterator[GroupWriter]:
    writer = GroupWriter(store)
    task = asyncio.create_task(writer.run())
    async with asyncio.timeout(30):
        yield writer
    task.cancel()


@pytest.fixture
async def feed(store: CountingStore, writer: GroupWriter) -> AsyncIterator[SummaryFeed]:
    feed = SummaryFeed(store, writer)
    yield feed
    await feed.close()


def report_row(sequence: int, rate: int = 128) -> ReportRow:
    return ReportRow("s", 0, sequence, 0.0, rate, rate, 0.0, 0.5, 0.5, 1, False, 0.0, 0.0, 1, rate, rate)


async def listening(feed: SummaryFeed, topic: Topic = ALL) -> AsyncGenerator[str, None]:
    with feed.seat():
        async with aclosing(cast(AsyncGenerator[str, None], feed.listen(topic))) as summaries:
            async for summary in summaries:
                yield summary


def num_reports(summary: str) -> int:
    return sum(group["num_reports"] for group in json.loads(summary)["groups"])


async def test_a_listener_is_told_at_once_and_after_each_change(feed: SummaryFeed, writer: GroupWriter) -> None:
    async with aclosing(listening(feed)) as summaries:
        assert num_reports(await anext(summaries)) == 0
        for sequence in range(3):
            await writer.write([report_row(sequence)], [])
            assert num_reports(await anext(summaries)) == sequence + 1
        waiting = asyncio.ensure_future(anext(summaries))
        await writer.write([report_row(0)], [])  # a repetition: a commit that changes nothing
        await writer.write([report_row(9)], [])
        assert num_reports(await waiting) == 4


async def test_a_change_outside_the_filter_is_not_told(
    feed: SummaryFeed, store: CountingStore, writer: GroupWriter, eventually: Eventually
) -> None:
    async with aclosing(listening(feed, Topic(ReportFilter(rate=256), ("codec",), 0.02))) as summaries:
        assert num_reports(await anext(summaries)) == 0
        news = asyncio.ensure_future(anext(summaries))
        await writer.write([report_row(0, rate=128)], [])
        await eventually(lambda: store.num_totals == 2)
        assert not news.done()
        await writer.write([report_row(1, rate=256)], [])
        assert num_reports(await news) == 1


async def test_many_listeners_share_the_sums(feed: SummaryFeed, store: CountingStore, writer: GroupWriter) -> None:
    told: list[list[int]] = [[] for _ in range(30)]

    async def listen(numbers: list[int]) -> None:
        async with aclosing(listening(feed)) as summaries:
            async for summary in summaries:
                numbers.append(num_reports(summary))
                if numbers[-1] == 20:
                    return

    listeners = [asyncio.create_task(listen(numbers)) for numbers in told]
    for sequence in range(20):
        await writer.write([report_row(sequence)], [])
    await asyncio.gather(*listeners)
    assert all(numbers == sorted(set(numbers)) for numbers in told)
    assert store.num_totals <= 1 + 20
    assert feed.num_seats_taken == 0


async def test_sums_are_not_made_more_often_than_the_interval(
    feed: SummaryFeed, store: CountingStore, writer: GroupWriter
) -> None:
    loop = asyncio.get_running_loop()
    topic = Topic(ReportFilter(), ("codec",), interval_s=0.5)
    async with aclosing(listening(feed, topic)) as summaries:
        start_s, sequence = loop.time(), 0  # before the first is told, from which the interval counts
        await anext(summaries)

        async def second() -> int:
            await anext(summaries)
            return store.num_totals

        news = asyncio.create_task(second())
        while not news.done():
            await writer.write([report_row(sequence)], [])
            sequence += 1
        assert loop.time() - start_s > 0.49
        assert sequence > 1
        assert await news == 2


async def test_a_topic_ends_with_its_last_listener_and_begins_anew(
    feed: SummaryFeed, store: CountingStore, writer: GroupWriter
) -> None:
    first, second = listening(feed), listening(feed)
    assert [num_reports(await anext(summaries)) for summaries in (first, second)] == [0, 0]
    assert (feed.num_seats_taken, store.num_totals) == (2, 1)
    await first.aclose()
    await writer.write([report_row(0)], [])
    assert num_reports(await anext(second)) == 1
    await second.aclose()
    assert feed.num_seats_taken == 0
    before = store.num_totals
    await writer.write([report_row(1)], [])
    await asyncio.sleep(2 * ALL.interval_s)
    assert store.num_totals == before
    async with aclosing(listening(feed)) as third:
        assert num_reports(await anext(third)) == 2


async def test_sums_that_nobody_waits_for_any_more_are_left_to_finish_and_serve_who_comes_next(
    feed: SummaryFeed, store: CountingStore, writer: GroupWriter, eventually: Eventually
) -> None:
    await writer.write([report_row(0)], [])
    store.may_go_on.clear()
    waiting = asyncio.ensure_future(anext(listening(feed)))
    await eventually(lambda: store.num_totals == 1)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert feed.num_seats_taken == 1  # the sums'
    async with aclosing(listening(feed)) as summaries:
        news = asyncio.ensure_future(anext(summaries))
        await eventually(lambda: ALL in feed._channels)
        await writer.write([report_row(1)], [])
        assert (feed.num_seats_taken, store.num_totals) == (1, 1)  # the listener's
        store.may_go_on.set()
        summary = await news
        while num_reports(summary) < 2:
            summary = await anext(summaries)


async def test_sums_that_do_not_finish_hold_up_closing_only_for_a_while(
    feed: SummaryFeed, store: CountingStore, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "CLOSE_S", 0.1)
    store.may_go_on.clear()
    waiting = asyncio.ensure_future(anext(listening(feed), "ended"))
    await eventually(lambda: store.num_totals == 1)
    async with asyncio.timeout(5):
        await feed.close()
        assert await waiting == "ended"


async def test_closing_ends_every_listener_and_takes_no_other(feed: SummaryFeed, eventually: Eventually) -> None:
    told: list[int] = []

    async def listen(topic: Topic) -> None:
        async with aclosing(listening(feed, topic)) as summaries:
            async for summary in summaries:
                told.append(num_reports(summary))

    others = Topic(ReportFilter(codec="klt"), (), interval_s=60)
    listeners = [asyncio.create_task(listen(topic)) for topic in (ALL, ALL, others)]
    await eventually(lambda: len(told) == len(listeners))
    await feed.close()
    async with asyncio.timeout(5):
        await asyncio.gather(*listeners)
    assert told == [0] * 3
    with pytest.raises(UnavailableError, match="shutting down"), feed.seat():
        pass
    assert [summary async for summary in feed.listen(ALL)] == []


async def test_a_feed_that_closes_at_once_ends_a_listener_that_has_just_come(feed: SummaryFeed) -> None:
    waiting = asyncio.ensure_future(anext(listening(feed), "ended"))
    await asyncio.sleep(0)
    await feed.close()
    async with asyncio.timeout(5):
        assert await waiting == "ended"


async def test_a_store_that_fails_ends_the_stream_and_the_next_listener_begins_anew(
    feed: SummaryFeed, store: CountingStore, writer: GroupWriter
) -> None:
    async with aclosing(listening(feed)) as summaries:
        await anext(summaries)
        store.fails = True
        await writer.write([report_row(0)], [])
        assert await anext(summaries, "ended") == "ended"
    store.fails = False
    async with aclosing(listening(feed)) as summaries:
        assert num_reports(await anext(summaries)) == 1


async def test_a_listener_too_many_is_refused_until_one_leaves(
    feed: SummaryFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "MAX_LISTENERS", 2)
    with feed.seat():
        with (
            feed.seat(),
            pytest.raises(OverloadedError, match="At most 2 clients may listen to summaries"),
            feed.seat(),
        ):
            pass
        with feed.seat():
            pass


async def test_sums_that_nobody_waits_for_any_more_take_a_seat(
    feed: SummaryFeed, store: CountingStore, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "MAX_LISTENERS", 1)
    store.may_go_on.clear()
    waiting = asyncio.ensure_future(anext(listening(feed)))
    await eventually(lambda: store.num_totals == 1)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert feed.num_seats_taken == 1
    with pytest.raises(OverloadedError), feed.seat():
        pass
    store.may_go_on.set()
    await eventually(lambda: feed.num_seats_taken == 0)
    with feed.seat():
        pass
