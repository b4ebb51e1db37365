"""What every store must do.

PostgreSQL takes part where CSILINK_TEST_POSTGRES_URL names a server on which databases may be made.
"""

import asyncio
import itertools
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from bs_server.store import (
    STORES,
    GroupColumn,
    GroupTotals,
    ReconstructionRow,
    ReportFilter,
    ReportRow,
    SessionRow,
    Store,
    make_store,
)
from shared.errors import DataFileError
from shared.types import CsiShape

SHAPE = CsiShape("angular-delay", 1, 2, 3)
KEEP = 5


async def administer(url: str, *statements: str) -> None:
    """Run statements outside a transaction."""
    drivername = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    parsed = make_url(url)
    engine = create_async_engine(parsed.set(drivername=drivername[parsed.drivername]), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
    finally:
        await engine.dispose()


@pytest.fixture(params=list(STORES))
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/csilink.db"
        return
    server = os.environ.get("CSILINK_TEST_POSTGRES_URL")
    if server is None:
        pytest.skip("CSILINK_TEST_POSTGRES_URL is not set")
    name = f"csilink_test_{uuid.uuid4().hex}"
    await administer(server, f"CREATE DATABASE {name}")
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    await administer(server, f"DROP DATABASE {name}")


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = make_store(url, keep_reconstructions=KEEP)
    await store.open()
    yield store
    await store.close()


def session_row(
    codec: str = "klt",
    link: str = "ideal",
    opened_at: float = 1.5,
    estimator: str = "perfect",
    cnr_db: float | None = None,
) -> SessionRow:
    return SessionRow(
        str(uuid.uuid4()), codec, "a" * 64, SHAPE, link, "b" * 64, opened_at, estimator=estimator, cnr_db=cnr_db
    )


def report_row(session: SessionRow, sequence: int, ue_id: int = 0, nmse: float | None = 0.5) -> ReportRow:
    sgcs, bit_errors = (None, None) if nmse is None else (0.75, 3)
    return ReportRow(session.session_id, ue_id, sequence, 2.5, 128, -2.5, nmse, sgcs, bit_errors, True, 1.5, 2.25, 7)


def reconstruction_row(report: ReportRow, *, truth: bool = True) -> ReconstructionRow:
    h_hat = np.full(SHAPE.dims, report.sequence + 1j, dtype=np.complex64)
    return ReconstructionRow(report.session_id, report.ue_id, report.sequence, h_hat, -h_hat if truth else None)


async def everything(store: Store, where: ReportFilter | None = None) -> list[ReportRow]:
    return await store.reports(where or ReportFilter(), limit=10_000, after_id=0)


class TestSessions:
    async def test_a_session_comes_back_as_it_was_added(self, store: Store) -> None:
        for row in (session_row(), session_row(estimator="ls", cnr_db=-2.3)):
            await store.add_session(row)
            assert await store.session(row.session_id) == row
        assert await store.session(str(uuid.uuid4())) is None
        assert await store.session("\0") is None

    async def test_a_session_closes_and_goes_on(self, store: Store) -> None:
        row, other = session_row(), session_row()
        for session in (row, other):
            await store.add_session(session)
        await store.close_session(row.session_id, 9.25)
        assert await store.session(row.session_id) == replace(row, closed_at=9.25)
        await store.reopen_session(row.session_id)
        assert await store.session(row.session_id) == row
        assert await store.session(other.session_id) == other

    async def test_sessions_come_newest_first_page_by_page(self, store: Store) -> None:
        rows = [session_row(opened_at=time) for time in (3.0, 1.0, 4.0, 1.5, 9.0)]
        for row in rows:
            await store.add_session(row)
        await store.append([report_row(rows[2], 0), report_row(rows[2], 1)], [])
        pages, before = [], None
        while page := await store.sessions(2, before):
            pages.append([(row.opened_at, row.num_reports) for row in page])
            before = page[-1].opened_at
        assert pages == [[(9.0, 0), (4.0, 2)], [(3.0, 0), (1.5, 0)], [(1.0, 0)]]


class TestAppending:
    async def test_a_report_comes_back_as_it_was_added(self, store: Store) -> None:
        session = session_row(codec="angular-topk", link="digital:bsc", estimator="ls", cnr_db=10.1)
        await store.add_session(session)
        largest = report_row(session, sequence=2**63 - 1, ue_id=2**32 - 1, nmse=None)
        await store.append([report_row(session, 0), largest], [])
        found = await everything(store)
        names = partial(replace, codec="angular-topk", link="digital:bsc", estimator="ls", cnr_db=10.1)
        assert found == [
            names(report_row(session, 0), report_id=found[0].report_id),
            names(largest, report_id=found[1].report_id),
        ]
        assert await store.report(found[1].report_id) == found[1]
        assert await store.report(found[1].report_id + 1) is None
        assert sorted(await store.identities(session.session_id)) == [(0, 0), (2**32 - 1, 2**63 - 1)]

    async def test_a_repeated_report_stays_as_it_is(self, store: Store) -> None:
        session, other = session_row(), session_row()
        await store.add_session(session)
        await store.add_session(other)
        first = report_row(session, 0)
        await store.append([first], [reconstruction_row(first)])
        again = replace(first, nmse=99.0, received_at=99.0)
        changed = replace(reconstruction_row(first), h_hat=np.zeros(SHAPE.dims, dtype=np.complex64))
        await store.append([again, report_row(session, 1), again, report_row(other, 0)], [changed])
        found = await everything(store)
        assert [(row.session_id, row.sequence, row.nmse, row.received_at) for row in found] == [
            (session.session_id, 0, 0.5, 2.5),
            (session.session_id, 1, 0.5, 2.5),
            (other.session_id, 0, 0.5, 2.5),
        ]
        kept = await store.reconstruction(found[0].report_id)
        assert kept is not None
        assert kept.h_hat[0, 0, 0] == 1j

    async def test_all_of_an_append_is_stored_or_nothing(self, store: Store) -> None:
        session, stranger = session_row(), session_row()
        await store.add_session(session)
        good, bad = report_row(session, 0), report_row(stranger, 0)
        with pytest.raises(IntegrityError):
            await store.append([good, bad], [reconstruction_row(good)])
        assert await everything(store) == []
        await store.append([good], [])
        assert [row.has_reconstruction for row in await everything(store)] == [False]

    async def test_writers_at_the_same_time_lose_nothing(self, store: Store) -> None:
        session = session_row()
        await store.add_session(session)
        batches = [[report_row(session, sequence, ue_id) for sequence in range(5)] for ue_id in range(8)]
        await asyncio.gather(*(store.append(batch, []) for batch in batches), everything(store))
        assert len(await store.identities(session.session_id)) == 40

    async def test_a_store_opened_again_holds_what_it_held(self, store: Store, url: str) -> None:
        session = session_row()
        await store.add_session(session)
        await store.append([report_row(session, 0)], [])
        await store.close()
        again = make_store(url, KEEP)
        await again.open()
        assert await again.session(session.session_id) == replace(session, num_reports=1)
        await again.close()


class TestReading:
    async def test_reports_are_found_by_identity_however_many(self, store: Store) -> None:
        session, other = session_row(), session_row()
        await store.add_session(session)
        await store.add_session(other)
        await store.append([report_row(session, n) for n in range(500)] + [report_row(other, 501)], [])
        wanted = [(0, n) for n in range(450, 900)] + [(1, 0)]
        found = await store.find(session.session_id, wanted)
        assert sorted(row.sequence for row in found) == list(range(450, 500))
        assert await store.find(session.session_id, []) == []

    async def test_pages_end_and_hold_every_report_once(self, store: Store) -> None:
        session = session_row()
        await store.add_session(session)
        await store.append([report_row(session, n) for n in range(10)], [])
        pages, after_id = [], 0
        while page := await store.reports(ReportFilter(), limit=4, after_id=after_id):
            pages.append([row.sequence for row in page])
            after_id = page[-1].report_id
        assert pages == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]

    async def test_the_newest_report_is_the_last_of_all_pages(self, store: Store) -> None:
        assert await store.newest_report_id() == 0
        session = session_row()
        await store.add_session(session)
        for n in range(3):
            await store.append([report_row(session, n)], [])
            assert await store.newest_report_id() == (await everything(store))[-1].report_id

    async def test_a_filter_means_its_column_and_nothing_else(self, store: Store) -> None:
        one, two = session_row("klt", "ideal"), session_row("float", "digital:bsc", estimator="ls", cnr_db=10.1)
        await store.add_session(one)
        await store.add_session(two)
        rows = [
            report_row(one, 0),
            report_row(two, 0),
            replace(report_row(one, 1), rate=256),
            replace(report_row(one, 2), snr_db=10.1),
            report_row(one, 3, ue_id=7),
        ]
        await store.append(rows, [])
        numbers = {(row.session_id, row.sequence): number for number, row in enumerate(rows)}
        cases = {
            ReportFilter(): {0, 1, 2, 3, 4},
            ReportFilter(session_id=two.session_id): {1},
            ReportFilter(codec="klt"): {0, 2, 3, 4},
            ReportFilter(link="digital:bsc"): {1},
            ReportFilter(ue_id=7): {4},
            ReportFilter(ue_id=0, rate=256): {2},
            ReportFilter(snr_db=10.1): {3},
            ReportFilter(estimator="ls"): {1},
            ReportFilter(estimator="perfect"): {0, 2, 3, 4},
            ReportFilter(cnr_db=10.1): {1},
            ReportFilter(estimator="perfect", cnr_db=10.1): set(),
            ReportFilter(codec="klt", link="digital:bsc"): set(),
            ReportFilter(session_id="\0", codec="\0"): set(),
        }
        for where, expected in cases.items():
            found = await everything(store, where)
            assert {numbers[row.session_id, row.sequence] for row in found} == expected
            assert await store.reports(where, limit=10_000, after_id=0, scan=True) == found
            total = await store.totals(where, [])
            assert [group.num_reports for group in total] == ([len(expected)] if expected else [])


class TestReconstructions:
    async def test_the_newest_are_kept_and_come_back_as_they_were(self, store: Store) -> None:
        session = session_row()
        await store.add_session(session)
        for start in (0, 4, 8):
            rows = [report_row(session, n) for n in range(start, start + 4)]
            await store.append(rows, [reconstruction_row(row, truth=row.sequence % 2 == 0) for row in rows])
        reports = await everything(store)
        assert [row.sequence for row in reports if row.has_reconstruction] == [7, 8, 9, 10, 11]
        for report in reports:
            kept = await store.reconstruction(report.report_id)
            assert (kept is not None) == report.has_reconstruction
            if kept is not None:
                wanted = reconstruction_row(report, truth=report.sequence % 2 == 0)
                np.testing.assert_array_equal(kept.h_hat, wanted.h_hat)
                assert kept.h_hat.dtype == np.complex64
                assert (kept.h is None) == (wanted.h is None)
                if kept.h is not None and wanted.h is not None:
                    np.testing.assert_array_equal(kept.h, wanted.h)

    async def test_none_are_kept_where_none_shall_be(self, url: str) -> None:
        store = make_store(url, keep_reconstructions=0)
        await store.open()
        session = session_row()
        await store.add_session(session)
        row = report_row(session, 0)
        await store.append([row], [reconstruction_row(row)])
        assert [report.has_reconstruction for report in await everything(store)] == [False]
        await store.close()


class TestOpening:
    async def test_another_schema_version_is_refused_and_left_alone(self, url: str) -> None:
        await administer(
            url, "CREATE TABLE schema_info (version INTEGER PRIMARY KEY)", "INSERT INTO schema_info VALUES (99)"
        )
        with pytest.raises(DataFileError, match="must hold schema version 1 to 2; found 99"):
            await make_store(url, KEEP).open()
        with pytest.raises(Exception, match="sessions"):
            await administer(url, "SELECT * FROM sessions")

    @pytest.mark.parametrize("already", [(), ("estimator",), ("estimator", "cnr_db")])
    async def test_a_database_of_version_1_gets_what_it_lacks_and_keeps_what_it_holds(
        self, url: str, already: tuple[str, ...]
    ) -> None:
        """Also one whose upgrade was cut off after some columns."""
        store, session = make_store(url, KEEP), session_row()
        await store.open()
        await store.add_session(session)
        await store.append([report_row(session, 0)], [])
        await store.close()
        lacking = [name for name in ("estimator", "cnr_db") if name not in already]
        drops = [f"ALTER TABLE sessions DROP COLUMN {name}" for name in lacking]
        await administer(url, *drops, "UPDATE schema_info SET version = 1")
        for _ in range(2):  # the second time it is up to date
            await store.open()
            assert await store.session(session.session_id) == replace(session, num_reports=1)
            assert [row.estimator for row in await everything(store)] == ["perfect"]
            other = session_row(estimator="ls", cnr_db=3.0)
            await store.add_session(other)
            assert await store.session(other.session_id) == other
            await store.close()


COLUMNS: tuple[GroupColumn, ...] = get_args(GroupColumn)
SESSIONS: tuple[tuple[str, str, str, float | None], ...] = (
    ("klt", "ideal", "perfect", None),
    ("klt", "digital:bsc", "ls", -3.0),
    ("float", "ideal", "ls", 10.1),
)
scores = st.tuples(
    st.floats(0, 1e6).filter(lambda value: value == 0 or value > 1e-100), st.floats(0, 1), st.integers(0, 128)
)
DrawnReport = tuple[int, int, float, tuple[float, float, int] | None, bool, float, float, int]
drawn_reports: st.SearchStrategy[DrawnReport] = st.tuples(
    st.integers(0, len(SESSIONS) - 1),
    st.sampled_from([32, 128, 1024]),
    st.sampled_from([-5.0, 0.0, 2.5, 10.1]),
    st.none() | scores,
    st.booleans(),
    st.floats(0, 1000),
    st.floats(0, 1000),
    st.integers(1, 256),
)


class TestTotals:
    numbers = itertools.count()

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        drawn=st.lists(drawn_reports, max_size=12), group_by=st.lists(st.sampled_from(COLUMNS), unique=True, max_size=3)
    )
    async def test_totals_are_those_of_numpy(
        self, store: Store, drawn: list[DrawnReport], group_by: list[GroupColumn]
    ) -> None:
        ue_id = next(self.numbers)  # tells the examples apart: the only column by which nothing is grouped
        rows = await self.add(store, drawn, ue_id)
        assert_close(await store.totals(ReportFilter(ue_id=ue_id), group_by), reference(rows, group_by))

    async def test_totals_are_those_of_numpy_for_every_grouping(self, store: Store) -> None:
        rng = np.random.default_rng(1)
        drawn = []
        for _ in range(150):
            scored = (float(rng.exponential()), float(rng.random()), int(rng.integers(3)))
            drawn.append(
                (
                    int(rng.integers(3)),
                    int(rng.choice([32, 128])),
                    float(rng.choice([-5.0, 10.1])),
                    scored if rng.random() < 0.7 else None,
                    bool(rng.random() < 0.2),
                    float(rng.random()),
                    float(rng.random()),
                    int(rng.integers(1, 65)),
                )
            )
        rows = await self.add(store, drawn)
        combinations = [group_by for size in range(4) for group_by in itertools.combinations(COLUMNS, size)]
        remainders = set()
        for group_by in [*combinations, COLUMNS[::-1]]:
            wanted = reference(rows, group_by)
            assert_close(await store.totals(ReportFilter(), group_by), wanted)
            remainders |= {group.num_scored % 2 for group in wanted}
        assert remainders == {0, 1}  # medians of odd and of even counts

    @staticmethod
    async def add(store: Store, drawn: list[DrawnReport], ue_id: int = 0) -> list[ReportRow]:
        sessions = [session_row(codec, link, 1.5, estimator, cnr_db) for codec, link, estimator, cnr_db in SESSIONS]
        for session in sessions:
            await store.add_session(session)
        rows = []
        for sequence, (number, rate, snr_db, scored, *rest) in enumerate(drawn):
            session = sessions[number]
            scores = scored or (None, None, None)
            row = ReportRow(session.session_id, ue_id, sequence, 0.0, rate, snr_db, *scores, *rest)
            of_session = {name: getattr(session, name) for name in ("codec", "link", "estimator", "cnr_db")}
            rows.append(replace(row, **of_session))
        if rows:
            await store.append(rows, [])
        return rows


def reference(rows: list[ReportRow], group_by: Sequence[GroupColumn]) -> list[GroupTotals]:
    groups: dict[tuple[str | int | float | None, ...], list[ReportRow]] = {}
    for row in rows:
        names = {"session": "session_id"}
        values = {column: getattr(row, names.get(column, column)) for column in COLUMNS}
        groups.setdefault(tuple(values[column] for column in group_by), []).append(row)
    totals = []
    for key, members in sorted(groups.items(), key=lambda item: [(value is not None, value) for value in item[0]]):
        scored = [row for row in members if row.nmse is not None]
        nmse = np.array([row.nmse for row in scored], dtype=np.float64)
        totals.append(
            GroupTotals(
                key=key,
                num_reports=len(members),
                num_scored=len(scored),
                sum_nmse=float(nmse.sum()),
                sum_nmse_squared=float((nmse**2).sum()),
                median_nmse=float(np.median(nmse)) if scored else None,
                sum_sgcs=sum(row.sgcs or 0.0 for row in scored),
                bit_errors=sum(row.bit_errors or 0 for row in scored),
                scored_bits=sum(row.rate for row in scored),
                block_errors=sum(bool(row.bit_errors) for row in scored),
                info_bits=sum(row.rate for row in members),
                fallbacks=sum(row.fallback for row in members),
                mean_queue_ms=float(np.mean([row.queue_ms for row in members])),
                mean_decode_ms=float(np.mean([row.decode_ms for row in members])),
                mean_batch_size=float(np.mean([row.batch_size for row in members])),
            )
        )
    return totals


def assert_close(found: list[GroupTotals], wanted: list[GroupTotals]) -> None:
    assert [totals.key for totals in found] == [totals.key for totals in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        one, two = asdict(ours), asdict(theirs)
        assert (one.pop("median_nmse") is None) == (two.pop("median_nmse") is None)
        for name in one.keys() - {"key"}:
            assert one[name] == pytest.approx(two[name], rel=1e-9, abs=1e-200), name
        if ours.median_nmse is not None:
            assert ours.median_nmse == pytest.approx(theirs.median_nmse, rel=1e-9, abs=1e-200)
