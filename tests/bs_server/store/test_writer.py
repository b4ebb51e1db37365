import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing

import pytest

from bs_server.config import Settings
from bs_server.store import GroupWriter, ReconstructionRow, ReportFilter, ReportRow, SessionRow
from bs_server.store.sql import SqlStore
from shared.errors import NotFoundError, StoreError
from shared.types import CsiShape

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
SESSION = SessionRow("s", "klt", "a" * 64, CsiShape("angular-delay", 1, 2, 3), "ideal", "", 1.0)


class CountingStore(SqlStore):
    """SQLite that counts its commits, and fails at the next when told to."""

    num_commits = 0
    fails = False

    async def append(self, reports: Sequence[ReportRow], reconstructions: Sequence[ReconstructionRow]) -> None:
        self.num_commits += 1
        if self.fails:
            raise OSError("no space left on device")
        await super().append(reports, reconstructions)


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
    yield writer
    task.cancel()


def report_row(sequence: int) -> ReportRow:
    return ReportRow("s", 0, sequence, 0.0, 128, 128, 0.0, None, None, None, False, 0.0, 0.0, 1, 128, 128)


async def stored(store: CountingStore) -> list[int]:
    return [row.sequence for row in await store.reports(ReportFilter(), 1000, 0)]


async def test_many_writers_share_a_commit_and_return_after_it(store: CountingStore, writer: GroupWriter) -> None:
    async def write(sequence: int) -> None:
        await writer.write([report_row(sequence)], [])
        assert sequence in await stored(store)

    async with asyncio.timeout(20):
        await asyncio.gather(*(write(sequence) for sequence in range(50)))
    assert sorted(await stored(store)) == list(range(50))
    assert store.num_commits == 1


async def test_writers_that_come_during_a_commit_share_the_next(
    store: CountingStore, writer: GroupWriter, eventually: Callable[[Callable[[], object]], Awaitable[None]]
) -> None:
    first = asyncio.create_task(writer.write([report_row(0)], []))
    await eventually(lambda: store.num_commits)
    async with asyncio.timeout(20):
        await asyncio.gather(first, *(writer.write([report_row(sequence)], []) for sequence in range(1, 9)))
    assert store.num_commits == 2
    assert sorted(await stored(store)) == list(range(9))


async def test_a_failure_reaches_every_writer_of_the_group_and_the_next_group_succeeds(
    store: CountingStore, writer: GroupWriter
) -> None:
    store.fails = True
    async with asyncio.timeout(20):
        outcomes = await asyncio.gather(
            *(writer.write([report_row(sequence)], []) for sequence in range(3)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [StoreError] * 3
        assert await stored(store) == []
        assert writer.failing
        store.fails = False
        await asyncio.gather(*(writer.write([report_row(sequence)], []) for sequence in range(3)))
    assert sorted(await stored(store)) == [0, 1, 2]
    assert store.num_commits == 2
    assert not writer.failing


async def test_a_writer_that_gives_up_disturbs_nobody(store: CountingStore, writer: GroupWriter) -> None:
    leaves = asyncio.create_task(writer.write([report_row(0)], []))
    stays = asyncio.create_task(writer.write([report_row(1)], []))
    await asyncio.sleep(0)
    leaves.cancel()
    async with asyncio.timeout(20):
        await stays
        await writer.write([report_row(2)], [])
    assert sorted(await stored(store))[-2:] == [1, 2]


async def test_who_waits_for_a_commit_is_told_of_the_next_and_not_of_a_failure(
    store: CountingStore, writer: GroupWriter
) -> None:
    waiting = asyncio.create_task(writer.wait_for_commit(after=0))
    async with asyncio.timeout(20):
        store.fails = True
        with pytest.raises(StoreError, match="did not take them"):
            await writer.write([report_row(0)], [])
        assert (writer.num_commits, waiting.done()) == (0, False)
        store.fails = False
        await writer.write([report_row(0)], [])
        await waiting
        await writer.wait_for_commit(after=0)
    assert writer.num_commits == 1


async def test_reports_of_a_session_that_is_gone_take_no_others_with_them(
    store: CountingStore, writer: GroupWriter
) -> None:
    gone = report_row(7)._replace(session_id="gone")
    async with asyncio.timeout(20):
        outcomes = await asyncio.gather(
            *(writer.write([row], []) for row in (report_row(0), gone, report_row(1))), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [type(None), NotFoundError, type(None)]
    assert await stored(store) == [0, 1]
    assert not writer.failing


async def test_what_was_stored_is_summed_up_once_nothing_more_comes(
    store: CountingStore, writer: GroupWriter, local: Settings, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    def summed_up() -> int:
        with closing(sqlite3.connect(local.database_url.removeprefix("sqlite:///"))) as database:
            return int(database.execute("SELECT report_id FROM summed_up").fetchone()[0])

    monkeypatch.setattr("bs_server.store.totals.FEW_REPORTS", 1)
    monkeypatch.setattr("bs_server.store.totals.CHUNK_REPORTS", 2)
    monkeypatch.setattr("bs_server.store.writer.IDLE_S", 0.05)
    await writer.write([report_row(sequence) for sequence in range(5)], [])
    await eventually(lambda: summed_up() == 5)
    await writer.write([report_row(5)], [])
    await eventually(lambda: summed_up() == 6)
