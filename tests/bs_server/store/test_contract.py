"""What every store must do.

PostgreSQL takes part where CSILINK_TEST_POSTGRES_URL names a server on which databases may be made.
"""

import asyncio
import itertools
import os
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from bs_server.store import (
    STORES,
    DownlinkRow,
    ReconstructionRow,
    ReportFilter,
    ReportRow,
    SessionRow,
    Store,
    make_store,
    retention,
    totals,
)
from shared.errors import DataFileError, NotFoundError
from shared.scoring import DEFAULT_SCORING, Scoring
from shared.summary import DownlinkTotals, GroupColumn, GroupTotals, SubbandTotals
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
    scoring: Scoring = DEFAULT_SCORING,
    refinement: str = "never",
) -> SessionRow:
    return SessionRow(
        session_id=str(uuid.uuid4()),
        codec=codec,
        model_sha256="a" * 64,
        shape=SHAPE,
        link=link,
        dataset_sha256="b" * 64,
        opened_at=opened_at,
        estimator=estimator,
        cnr_db=cnr_db,
        scoring=scoring,
        refinement=refinement,
        run=0 if refinement == "never" else 2**63 - 1,
        refiner_sha256="" if refinement == "never" else "c" * 64,
    )


def report_row(session: SessionRow, sequence: int, ue_id: int = 0, nmse: float | None = 0.5) -> ReportRow:
    sgcs, bit_errors = (None, None) if nmse is None else (0.75, 3)
    return ReportRow(
        session.session_id,
        ue_id,
        sequence,
        2.5,
        128,
        90,
        -2.5,
        nmse,
        sgcs,
        bit_errors,
        True,
        1.5,
        2.25,
        7,
        coded_bits=300,
        channel_uses=150,
        rho=None if nmse is None else 0.9,
    )


def downlink_row(snr_db: float, value: float = 0.5) -> DownlinkRow:
    return DownlinkRow(snr_db, value, 8 * value, value / 4, 9 * value, value / 2, value / 8)


SUBBANDS = ((0.5, 0.25, 1.0), (0.75, 0.125, 0.0))


def reconstruction_row(report: ReportRow, *, truth: bool = True) -> ReconstructionRow:
    h_hat = np.full(SHAPE.dims, report.sequence + 1j, dtype=np.complex64)
    return ReconstructionRow(report.session_id, report.ue_id, report.sequence, h_hat, -h_hat if truth else None)


async def everything(store: Store, where: ReportFilter | None = None) -> list[ReportRow]:
    return await store.reports(where or ReportFilter(), limit=10_000, after_id=0)


class TestSessions:
    async def test_a_session_comes_back_as_it_was_added(self, store: Store) -> None:
        many = tuple(-1.3333 + i for i in range(16))  # as long as a list can be written
        rows = (
            session_row(),
            session_row(estimator="ls", cnr_db=-2.3),
            session_row(refinement="snr:from--2.5:steps-3:by-rd-umi-nlos"),
            session_row(scoring=Scoring((10.0,), 4, 9)),
            session_row(scoring=Scoring(num_subbands=8)),
            session_row(scoring=Scoring(many, 64, 27, 32)),
        )
        for row in rows:
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
    async def test_what_is_over_is_removed_whole_and_the_rest_stays(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "CHUNK_ROWS", 7)
        monkeypatch.setattr(totals, "FEW_REPORTS", 10)
        scoring = Scoring((0.0, 10.0), num_subbands=1)
        closed, quiet, busy, new = (session_row(opened_at=at, scoring=scoring) for at in (1.0, 2.0, 3.0, 60.0))
        details: dict[str, Any] = {
            "downlink": (downlink_row(0.0, 0.25), downlink_row(10.0, 0.125)),
            "sgcs_subbands": ((0.5,),),
        }
        for session, received_at in ((closed, 5.0), (quiet, 49.0), (busy, 51.0), (new, 61.0)):
            await store.add_session(session)
            rows = [report_row(session, i)._replace(received_at=received_at, **details) for i in range(20)]
            h_hat = np.zeros((1, 2, 3), dtype=np.complex64)
            await store.append(rows, [ReconstructionRow(session.session_id, 0, 0, h_hat, None)])
        await store.close_session(closed.session_id, 49.0)
        before = await store.totals(ReportFilter(), ["session"])
        idle = await store.idle_sessions(50.0)
        assert idle == [closed.session_id, quiet.session_id]
        for session_id in (*idle, str(uuid.uuid4())):
            await store.remove_session(session_id)
        kept = {busy.session_id, new.session_id}
        assert {row.session_id for row in await store.sessions(10, None)} == kept
        assert await store.totals(ReportFilter(), ["session"]) == [one for one in before if one.key[0] in kept]
        assert await store.runs(closed.session_id) == []
        assert len(await store.reports(ReportFilter(), 100, 0)) == 40
        assert await store.idle_sessions(50.0) == []
        await store.add_session(closed)  # as if it had never been there
        await store.append([report_row(closed, 0)], [])
        assert await store.runs(closed.session_id) == [(0, 0, 0)]

    async def test_models_are_in_use_while_sessions_of_theirs_are_open(self, store: Store) -> None:
        sessions = [replace(session_row(), model_sha256=digest) for digest in ("a" * 64, "b" * 64, "b" * 64)]
        for session in sessions:
            await store.add_session(session)
        for session in sessions[:2]:
            await store.close_session(session.session_id, 1.0)
        assert await store.open_models() == {"b" * 64}
        await store.reopen_session(sessions[0].session_id)
        assert await store.open_models() == {"a" * 64, "b" * 64}

    async def test_a_report_comes_back_as_it_was_added(self, store: Store) -> None:
        of_session: dict[str, Any] = {"codec": "angular-topk", "link": "digital:bsc", "estimator": "ls"}
        of_session |= {"cnr_db": 10.1, "refinement": "always"}
        session = session_row(**of_session)
        await store.add_session(session)
        largest = report_row(session, sequence=2**63 - 1, ue_id=2**32 - 1, nmse=None)
        await store.append([report_row(session, 0), largest], [])
        found = await everything(store)
        assert found == [
            report_row(session, 0)._replace(**of_session, report_id=found[0].report_id),
            largest._replace(**of_session, report_id=found[1].report_id),
        ]
        assert await store.report(found[1].report_id) == found[1]
        assert await store.report(found[1].report_id + 1) is None
        assert await store.runs(session.session_id) == [(0, 0, 0), (2**32 - 1, 2**63 - 1, 2**63 - 1)]

    @pytest.mark.parametrize(
        "changes",
        [
            {"rho": 0.25, "erased": False, "crc_ok": True, "coded_bits": 2**31 - 1, "channel_uses": 2**31 - 1},
            {"rho": None, "erased": False, "crc_ok": False, "coded_bits": 1, "channel_uses": 1},
            {"rho": 0.5, "erased": True, "crc_ok": None, "bit_errors": None},
            {"num_steps": 1000, "fallback": False},
            {"rate": 32, "coded_bits": 0, "num_bits": 0, "bit_errors": None},
            {"num_bits": 2**31 - 1},
        ],
    )
    async def test_what_became_of_a_report_on_the_link_comes_back(self, store: Store, changes: dict[str, Any]) -> None:
        session = session_row()
        await store.add_session(session)
        row = report_row(session, 0)._replace(**changes)
        await store.append([row], [])
        (found,) = await everything(store)
        of_session: dict[str, Any] = {"codec": "klt", "link": "ideal", "estimator": "perfect", "refinement": "never"}
        assert found == row._replace(**of_session, report_id=found.report_id)
        assert {name: type(getattr(found, name)) for name in changes} == {
            name: type(value) for name, value in changes.items()
        }
        assert await store.find(session.session_id, [(0, 0)]) == [found]

    async def test_the_downlink_of_a_report_comes_back_by_snr_with_the_report_alone(self, store: Store) -> None:
        session, other = session_row(), session_row()
        await store.add_session(session)
        await store.add_session(other)
        downlink = (downlink_row(-5.0, 0.25), downlink_row(0.0, 0.1), downlink_row(10.1, 1e-44))
        rows = [
            report_row(session, 0)._replace(downlink=downlink),
            report_row(session, 1),
            report_row(session, 0, ue_id=1)._replace(downlink=downlink[:1]),
            report_row(other, 0)._replace(downlink=downlink[1:][::-1]),
        ]
        await store.append(rows, [])
        found = await everything(store)
        assert [row.downlink for row in found] == [()] * 4
        detailed = [await store.report(row.report_id) for row in found]
        assert [row and row.downlink for row in detailed] == [downlink, (), downlink[:1], downlink[1:]]

    async def test_the_downlink_of_a_repeated_report_stays_as_it_is_and_counts_once(self, store: Store) -> None:
        session = session_row()
        await store.add_session(session)
        row = report_row(session, 0)._replace(downlink=(downlink_row(0.0, 0.25),))
        await store.append([row], [])
        again = row._replace(downlink=(downlink_row(0.0, 0.75),))
        await store.append([again, again], [])
        (found,) = await everything(store)
        detailed = await store.report(found.report_id)
        assert detailed is not None
        assert detailed.downlink == row.downlink
        (total,) = await store.totals(ReportFilter(), [])
        assert [(score.count, score.sum_bler) for score in total.downlink] == [(1, 0.25)]

    async def test_a_repeated_report_stays_as_it_is(self, store: Store) -> None:
        session, other = session_row(), session_row()
        await store.add_session(session)
        await store.add_session(other)
        first = report_row(session, 0)
        await store.append([first], [reconstruction_row(first)])
        again = first._replace(nmse=99.0, received_at=99.0)
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
        with pytest.raises(NotFoundError, match="not in the store any more"):
            await store.append([good, bad], [reconstruction_row(good)])
        assert await everything(store) == []
        await store.append([good], [])
        assert [row.has_reconstruction for row in await everything(store)] == [False]

    async def test_writers_at_the_same_time_lose_nothing(self, store: Store) -> None:
        session = session_row()
        await store.add_session(session)
        batches = [[report_row(session, sequence, ue_id) for sequence in range(5)] for ue_id in range(8)]
        await asyncio.gather(*(store.append(batch, []) for batch in batches), everything(store))
        assert await store.runs(session.session_id) == [(ue_id, 0, 4) for ue_id in range(8)]

    async def test_runs_are_what_is_stored_of_each_ue_without_a_gap(self, store: Store) -> None:
        session, other = session_row(), session_row()
        for each in (session, other):
            await store.add_session(each)
        sequences = {5: [9, 0, 2, 1, 6, 5], 3: [2**63 - 1, 2**63 - 2, 0], 4: [1]}
        await store.append([report_row(session, s, ue_id) for ue_id, of_ue in sequences.items() for s in of_ue], [])
        await store.append([report_row(other, 3, 5)], [])
        of_3, of_5 = [(3, 0, 0), (3, 2**63 - 2, 2**63 - 1)], [(5, 0, 2), (5, 5, 6), (5, 9, 9)]
        assert await store.runs(session.session_id) == [*of_3, (4, 1, 1), *of_5]

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
        one, two = session_row("klt", "ideal"), session_row("float", "digital:bsc", 1.5, "ls", 10.1, refinement="gain")
        await store.add_session(one)
        await store.add_session(two)
        rows = [
            report_row(one, 0),
            report_row(two, 0),
            report_row(one, 1)._replace(rate=256),
            report_row(one, 2)._replace(snr_db=10.1),
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
            ReportFilter(refinement="gain"): {1},
            ReportFilter(refinement="never"): {0, 2, 3, 4},
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
        with pytest.raises(DataFileError, match="must hold schema version 1 to 8; found 99"):
            await make_store(url, KEEP).open()
        with pytest.raises(Exception, match="sessions"):
            await administer(url, "SELECT * FROM sessions")

    @pytest.mark.parametrize(
        ("version", "num_already"),
        [
            (1, 0),
            (1, 1),
            (1, 2),
            (1, 11),
            (1, 20),
            (2, 0),
            (2, 1),
            (2, 4),
            (2, 9),
            (2, 16),
            (3, 0),
            (3, 2),
            (3, 7),
            (4, 0),
            (4, 1),
            (4, 3),
            (6, 0),
            (6, 1),
            (7, 0),
            (7, 3),
        ],
    )
    async def test_an_older_database_gets_what_it_lacks_and_keeps_what_it_holds(
        self, url: str, version: int, num_already: int
    ) -> None:
        """Also one whose upgrade was cut off after ``num_already`` of its steps."""
        store, session = make_store(url, KEEP), session_row()
        await store.open()
        await store.add_session(session)
        await store.append([report_row(session, 0)], [])
        await store.close()
        came = [step for newer in CAME_WITH if newer > version for step in CAME_WITH[newer]]
        await administer(url, *reversed(came[num_already:]), f"UPDATE schema_info SET version = {version}")
        for time in range(2):  # the second time it is up to date
            await store.open()
            assert await store.session(session.session_id) == replace(session, num_reports=1 + time)
            first = (await everything(store))[0]
            assert (first.estimator, first.nmse, first.bit_errors, first.erased) == ("perfect", 0.5, 3, False)
            assert (first.held, first.num_steps, first.refinement) == (False, 0, "never")
            if num_already == 0 and version < 7:  # what it holds is from before: as many bits as its rate
                assert (first.num_bits, (await store.totals(ReportFilter(), []))[0].info_bits) == (128, 128 + time * 90)
            if num_already == 0 and version < 3:  # what it holds is from before version 3
                assert (first.rho, first.crc_ok, first.coded_bits, first.channel_uses) == (None, None, 128, 128)
                total = (await store.totals(ReportFilter(), []))[0]
                assert (total.coded_bits, total.channel_uses) == (128 + time * 300, 128 + time * 150)
                assert (total.num_decided, total.decided_bits, total.num_rho) == (1 + time, 128 + time * 90, time)
            row = report_row(session, 1 + time)._replace(
                downlink=(downlink_row(5.0),),
                held=True,
                sgcs_subbands=SUBBANDS,
                num_steps=3,
            )
            await store.append([row], [])
            added = await store.report((await everything(store))[-1].report_id)
            assert added is not None
            assert (added.rho, added.coded_bits, added.downlink, added.held) == (0.9, 300, row.downlink, True)
            assert (added.sgcs_subbands, added.num_steps) == (SUBBANDS, 3)
            other = replace(
                session_row(estimator="ls", cnr_db=3.0, scoring=Scoring((5.0, 10.0), 2, 3, 4), refinement="always"),
                fallback="last",
            )
            await store.add_session(other)
            assert await store.session(other.session_id) == other
            await store.close()

    async def test_a_report_of_symbols_of_an_older_database_has_no_bits(self, url: str) -> None:
        store, session = make_store(url, KEEP), session_row()
        await store.open()
        await store.add_session(session)
        of_symbols = report_row(session, 0)._replace(rate=32, num_bits=0, coded_bits=0, bit_errors=None)
        await store.append([of_symbols], [])
        await store.close()
        await administer(url, *CAME_WITH[8], *CAME_WITH[7], "UPDATE schema_info SET version = 6")
        await store.open()
        assert [(row.rate, row.num_bits) for row in await everything(store)] == [(32, 0)]
        assert (await store.totals(ReportFilter(), []))[0].info_bits == 0
        await store.close()


# Version -> what takes a database back behind it, the last step of an upgrade first to go missing.
CAME_WITH = {
    2: tuple(f"ALTER TABLE sessions DROP COLUMN {name}" for name in ("estimator", "cnr_db")),
    3: (
        "DROP TABLE downlink",
        *(f"ALTER TABLE sessions DROP COLUMN {name}" for name in ("downlink_snr_db", "fallback")),
        *(
            f"ALTER TABLE reports DROP COLUMN {name}"
            for name in ("rho", "erased", "crc_ok", "coded_bits", "channel_uses", "held")
        ),
    ),
    4: (
        "DROP TABLE subbands",
        *(f"ALTER TABLE sessions DROP COLUMN {name}" for name in ("downlink_num_ue", "downlink_mcs", "num_subbands")),
        "ALTER TABLE reports DROP COLUMN nmse_full",
        *(f"ALTER TABLE downlink DROP COLUMN {name}" for name in ("bler_coded", "bler_coded_perfect")),
    ),
    5: (
        *(f"ALTER TABLE sessions DROP COLUMN {name}" for name in ("refinement", "run")),
        "ALTER TABLE reports DROP COLUMN num_steps",
    ),
    6: ("ALTER TABLE sessions DROP COLUMN refiner_sha256",),
    7: ("ALTER TABLE reports DROP COLUMN num_bits",),
    8: tuple(f"DROP TABLE {name}" for name in ("cells", "downlink_cells", "subband_cells", "nmse_counts", "summed_up")),
}

COLUMNS: tuple[GroupColumn, ...] = get_args(GroupColumn)
DOWNLINK_SNR_DB = (-5.0, 0.0, 10.1)
SESSIONS: tuple[tuple[str, str, str, float | None, Scoring, str], ...] = (
    ("klt", "ideal", "perfect", None, Scoring(DOWNLINK_SNR_DB), "never"),
    ("klt", "digital:bsc", "ls", -3.0, Scoring(DOWNLINK_SNR_DB, 4, 9, 2), "always"),
    ("float", "ideal", "ls", 10.1, Scoring(DOWNLINK_SNR_DB, 4, num_subbands=2), "never"),
)
DIGESTS = (("a" * 64, "b" * 64), ("c" * 64, "b" * 64), ("c" * 64, ""))  # of their models and data sets
positive = st.floats(0, 1e6) | st.floats(0, 1e-100)  # whose squares may underflow, which PostgreSQL refuses


@dataclass(frozen=True, slots=True)
class DrawnReport:
    """A report before it has a session; without truth where ``nmse`` is None."""

    session: int
    rate: int
    num_bits: int
    snr_db: float
    nmse: float | None
    sgcs: float
    rho: float | None
    bit_errors: int
    erased: bool
    crc_ok: bool | None
    fallback: bool
    held: bool
    queue_ms: float
    batch_size: int
    coded_bits: int
    channel_uses: int
    downlink: tuple[DownlinkRow, ...]
    nmse_full: float | None
    sgcs_subbands: tuple[tuple[float, ...], ...]
    num_steps: int

    def row(self, session: SessionRow, ue_id: int, sequence: int) -> ReportRow:
        """Return it as the store holds it."""
        scored = self.nmse is not None
        return ReportRow(
            session_id=session.session_id,
            ue_id=ue_id,
            sequence=sequence,
            received_at=0.0,
            rate=self.rate,
            num_bits=self.num_bits,
            snr_db=self.snr_db,
            nmse=self.nmse,
            sgcs=self.sgcs if scored else None,
            bit_errors=self.bit_errors if scored and not self.erased else None,
            fallback=self.fallback,
            held=self.held,
            queue_ms=self.queue_ms,
            decode_ms=2 * self.queue_ms,
            batch_size=self.batch_size,
            coded_bits=self.coded_bits,
            channel_uses=self.channel_uses,
            rho=self.rho if scored else None,
            erased=self.erased,
            crc_ok=None if self.erased else self.crc_ok,
            downlink=tuple(self.scored_as(session, score) for score in self.downlink) if scored else (),
            nmse_full=self.nmse_full if scored else None,
            sgcs_subbands=self.sgcs_subbands if scored and session.scoring.num_subbands else (),
            codec=session.codec,
            link=session.link,
            estimator=session.estimator,
            cnr_db=session.cnr_db,
            num_steps=self.num_steps,
            refinement=session.refinement,
        )

    @staticmethod
    def scored_as(session: SessionRow, score: DownlinkRow) -> DownlinkRow:
        """Return a score as its session asks for it: coded only with an MCS."""
        uncoded = session.scoring.downlink_mcs is None
        return score._replace(bler_coded=None, bler_coded_perfect=None) if uncoded else score


drawn_reports = st.builds(
    DrawnReport,
    session=st.integers(0, len(SESSIONS) - 1),
    rate=st.sampled_from([32, 128, 65536]),
    num_bits=st.integers(1, 700) | st.just(65536),  # a sum of squares beyond 32 bits
    snr_db=st.sampled_from([-5.0, 0.0, 2.5, 10.1]),
    nmse=st.none() | positive,
    sgcs=st.floats(0, 1),
    rho=st.none() | st.floats(0, 1),
    bit_errors=st.integers(0, 2) | st.integers(0, 65536),
    erased=st.booleans(),
    crc_ok=st.none() | st.booleans(),
    fallback=st.booleans(),
    held=st.booleans(),
    queue_ms=st.floats(0, 1000),
    batch_size=st.integers(1, 256),
    coded_bits=st.integers(1, 2**31 - 1),
    channel_uses=st.integers(1, 2**31 - 1),
    downlink=st.lists(
        st.builds(DownlinkRow, st.sampled_from(DOWNLINK_SNR_DB), *[positive] * 6),
        unique_by=lambda row: row.snr_db,
        max_size=3,
    ).map(tuple),
    nmse_full=st.none() | positive,
    sgcs_subbands=st.just(()) | st.tuples(*[st.tuples(*[st.floats(0, 1)] * 2)] * 2),
    num_steps=st.integers(0, 2) | st.integers(0, 1000),
)


class TestTotals:
    numbers = itertools.count()
    sessions: ClassVar[dict[str, SessionRow]] = {}  # by id

    async def test_a_report_without_scores_is_no_block_error_and_a_precoder_is_scored(self, store: Store) -> None:
        """A share of those scored is counted: NaN is stored as NULL. A precoder has an SGCS and no NMSE."""
        session = session_row()
        await store.add_session(session)
        reports = [
            report_row(session, 0),
            report_row(session, 1)._replace(nmse=None, sgcs=None),
            report_row(session, 2)._replace(nmse=None),
        ]
        await store.append(reports, [])
        (found,) = await store.totals(ReportFilter(), [])
        assert (found.num_reports, found.num_scored, found.num_nmse, found.block_errors) == (3, 2, 1, 2)

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        drawn=st.lists(drawn_reports, max_size=12), group_by=st.lists(st.sampled_from(COLUMNS), unique=True, max_size=3)
    )
    async def test_totals_are_those_of_numpy(
        self, store: Store, drawn: list[DrawnReport], group_by: list[GroupColumn]
    ) -> None:
        ue_id = next(self.numbers)  # tells the examples apart: the only column by which nothing is grouped
        rows = await self.add(store, drawn, ue_id)
        assert_close(await store.totals(ReportFilter(ue_id=ue_id), group_by), reference(rows, group_by, self.sessions))

    @settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(
        chunks=st.lists(st.lists(drawn_reports, max_size=6), max_size=4),
        group_by=st.lists(st.sampled_from(COLUMNS), unique=True, max_size=3),
        chunk_reports=st.integers(1, 8),
    )
    async def test_what_is_summed_up_and_what_came_after_are_together_what_was_stored(
        self,
        store: Store,
        monkeypatch: pytest.MonkeyPatch,
        chunks: list[list[DrawnReport]],
        group_by: list[GroupColumn],
        chunk_reports: int,
    ) -> None:
        monkeypatch.setattr(totals, "FEW_REPORTS", 3)
        monkeypatch.setattr(totals, "CHUNK_REPORTS", chunk_reports)
        codec = f"codec {next(self.numbers)}"  # tells the examples apart
        rows: list[ReportRow] = []
        for drawn in chunks:
            added = await self.add(store, drawn, codec=codec)
            rows += added
            await store.append(added, [])  # those that are there already count no second time
            found = await store.totals(ReportFilter(codec=codec), group_by)
            assert_close(found, reference(rows, group_by, self.sessions))

    async def test_two_base_stations_on_one_database_sum_up_every_report_once(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(totals, "FEW_REPORTS", 1)
        monkeypatch.setattr(totals, "CHUNK_REPORTS", 3)
        stores = [make_store(url, KEEP) for _ in range(2)]
        for one in stores:
            await one.open()
        session = session_row()
        await stores[0].add_session(session)
        for first in range(0, 40, 10):
            rows = [report_row(session, first + i) for i in range(10)]
            await asyncio.gather(stores[0].append(rows[:5], []), stores[1].append(rows[5:], []))
            found = await asyncio.gather(*(one.totals(ReportFilter(), []) for one in (*stores, *stores)))
            assert [group.num_reports for (group,) in found] == [first + 10] * 4
        for one in stores:
            await one.close()

    async def test_totals_are_those_of_numpy_for_every_grouping(self, store: Store) -> None:
        rng = np.random.default_rng(1)
        drawn = []
        for _ in range(150):
            snrs = [snr_db for snr_db in DOWNLINK_SNR_DB if rng.random() < 0.6]
            drawn.append(
                DrawnReport(
                    session=int(rng.integers(3)),
                    rate=int(rng.choice([32, 128])),
                    num_bits=int(rng.integers(1, 300)),
                    snr_db=float(rng.choice([-5.0, 10.1])),
                    nmse=float(rng.exponential()) if rng.random() < 0.7 else None,
                    sgcs=float(rng.random()),
                    rho=float(rng.random()) if rng.random() < 0.8 else None,
                    bit_errors=int(rng.integers(3)),
                    erased=bool(rng.random() < 0.2),
                    crc_ok=[None, True, False][rng.integers(3)],
                    fallback=bool(rng.random() < 0.2),
                    held=bool(rng.random() < 0.1),
                    queue_ms=float(rng.random()),
                    batch_size=int(rng.integers(1, 65)),
                    coded_bits=int(rng.integers(32, 300)),
                    channel_uses=int(rng.integers(8, 300)),
                    downlink=tuple(DownlinkRow(snr_db, *rng.random(6).tolist()) for snr_db in snrs),
                    nmse_full=float(rng.random()) if rng.random() < 0.5 else None,
                    sgcs_subbands=tuple(map(tuple, rng.random((2, 2)).tolist())),
                    num_steps=int(rng.integers(3)),
                )
            )
        rows = await self.add(store, drawn)
        combinations = [group_by for size in range(4) for group_by in itertools.combinations(COLUMNS, size)]
        remainders = set()
        for group_by in [*combinations, COLUMNS[::-1]]:
            wanted = reference(rows, group_by, self.sessions)
            assert_close(await store.totals(ReportFilter(), group_by), wanted)
            remainders |= {group.num_scored % 2 for group in wanted}
        assert remainders == {0, 1}  # medians of odd and of even counts

    async def add(
        self, store: Store, drawn: list[DrawnReport], ue_id: int = 0, codec: str | None = None
    ) -> list[ReportRow]:
        sessions = [
            replace(
                session_row(codec or own, link, 1.5, estimator, cnr_db, scoring, refinement),
                model_sha256=model,
                dataset_sha256=dataset,
            )
            for (own, link, estimator, cnr_db, scoring, refinement), (model, dataset) in zip(
                SESSIONS, DIGESTS, strict=True
            )
        ]
        for session in sessions:
            await store.add_session(session)
            self.sessions[session.session_id] = session
        rows = [report.row(sessions[report.session], ue_id, sequence) for sequence, report in enumerate(drawn)]
        if rows:
            await store.append(rows, [])
        return rows


def reference(
    rows: list[ReportRow], group_by: Sequence[GroupColumn], sessions: dict[str, SessionRow]
) -> list[GroupTotals]:
    groups: dict[tuple[str | int | float | None, ...], list[ReportRow]] = {}
    for row in rows:
        session = sessions[row.session_id]
        digests = {name: getattr(session, name) for name in ("model_sha256", "refiner_sha256", "dataset_sha256")}
        of_session = {"session": row.session_id} | digests
        values = {column: of_session.get(column, getattr(row, column, None)) for column in COLUMNS}
        groups.setdefault(tuple(values[column] for column in group_by), []).append(row)
    found = []
    for key, members in sorted(groups.items(), key=lambda item: [(value is not None, value) for value in item[0]]):
        scored = [row for row in members if row.sgcs is not None]
        nmse = np.array([row.nmse for row in scored if row.nmse is not None], dtype=np.float64)
        full = np.array([row.nmse_full for row in scored if row.nmse_full is not None])
        sgcs = np.array([row.sgcs for row in scored], dtype=np.float64)
        rho = np.array([row.rho for row in scored if row.rho is not None])
        decided = [(row.bit_errors, row.num_bits) for row in scored if row.bit_errors is not None]
        checked = [row for row in members if row.crc_ok is not None]
        found.append(
            GroupTotals(
                key=key,
                num_reports=len(members),
                num_scored=len(scored),
                num_nmse=len(nmse),
                sum_nmse=float(nmse.sum()),
                sum_nmse_squared=float((nmse**2).sum()),
                median_nmse=float(np.median(nmse)) if len(nmse) else None,
                num_nmse_full=len(full),
                sum_nmse_full=float(full.sum()),
                sum_nmse_full_squared=float((full**2).sum()),
                sum_sgcs=float(sgcs.sum()),
                sum_sgcs_squared=float((sgcs**2).sum()),
                num_rho=len(rho),
                sum_rho=float(rho.sum()),
                sum_rho_squared=float((rho**2).sum()),
                num_decided=len(decided),
                bit_errors=sum(errors for errors, _ in decided),
                decided_bits=sum(bits for _, bits in decided),
                sum_errors_squared=sum(errors * errors for errors, _ in decided),
                sum_errors_times_bits=sum(errors * bits for errors, bits in decided),
                sum_bits_squared=sum(bits * bits for _, bits in decided),
                block_errors=sum(row.erased or bool(row.bit_errors) for row in scored),
                erasures=sum(row.erased for row in members),
                num_checked=len(checked),
                crc_failures=sum(not row.crc_ok for row in checked),
                num_verified=sum(row.sgcs is not None for row in checked),
                undetected_errors=sum(bool(row.crc_ok and row.bit_errors) for row in checked),
                info_bits=sum(row.num_bits for row in members),
                coded_bits=sum(row.coded_bits for row in members),
                channel_uses=sum(row.channel_uses for row in members),
                fallbacks=sum(row.fallback for row in members),
                held=sum(row.held for row in members),
                num_refined=sum(row.num_steps > 0 for row in members),
                sum_num_steps=sum(row.num_steps for row in members),
                mean_queue_ms=float(np.mean([row.queue_ms for row in members])),
                mean_decode_ms=float(np.mean([row.decode_ms for row in members])),
                mean_batch_size=float(np.mean([row.batch_size for row in members])),
                downlink=tuple(downlink_reference(members, sessions)),
                subbands=tuple(subband_reference(members)),
                num_symbol_reports=0,
                num_symbol_scored=0,
            )
        )
    return found


def downlink_reference(rows: list[ReportRow], sessions: dict[str, SessionRow]) -> Iterator[DownlinkTotals]:
    by_key: dict[tuple[float, int, int | None], list[DownlinkRow]] = {}
    for row in rows:
        scoring = sessions[row.session_id].scoring
        for score in row.downlink:
            key = (score.snr_db, scoring.downlink_num_ue, scoring.downlink_mcs)
            by_key.setdefault(key, []).append(score)
    for key in sorted(by_key, key=lambda key: (key[0], key[1], key[2] or 0)):
        bler, efficiency = (
            np.array([getattr(score, name) for score in by_key[key]]) for name in ("bler", "spectral_efficiency")
        )
        coded = np.array([score.bler_coded or 0.0 for score in by_key[key]])
        yield DownlinkTotals(
            *key,
            count=len(bler),
            sum_bler=float(bler.sum()),
            sum_bler_squared=float((bler**2).sum()),
            sum_spectral_efficiency=float(efficiency.sum()),
            sum_spectral_efficiency_squared=float((efficiency**2).sum()),
            sum_bler_perfect=sum(score.bler_perfect for score in by_key[key]),
            sum_spectral_efficiency_perfect=sum(score.spectral_efficiency_perfect for score in by_key[key]),
            sum_bler_coded=float(coded.sum()),
            sum_bler_coded_squared=float((coded**2).sum()),
            sum_bler_coded_perfect=sum(score.bler_coded_perfect or 0.0 for score in by_key[key]),
        )


def subband_reference(rows: list[ReportRow]) -> Iterator[SubbandTotals]:
    values = np.array([row.sgcs_subbands for row in rows if row.sgcs_subbands])
    for layer, subband in itertools.product(range(2), range(2)) if len(values) else ():
        of_subband = values[:, layer, subband]
        sums = float(of_subband.sum()), float((of_subband**2).sum())
        yield SubbandTotals(2, layer + 1, subband, len(of_subband), *sums)


def assert_close(found: list[GroupTotals], wanted: list[GroupTotals]) -> None:
    assert [totals.key for totals in found] == [totals.key for totals in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        one, two = asdict(ours), asdict(theirs)
        assert (one.pop("median_nmse") is None) == (two.pop("median_nmse") is None)
        for name in one.keys() - {"key", "downlink", "subbands"}:
            assert type(one[name]) is type(two[name]), name
            assert one[name] == pytest.approx(two[name], rel=1e-9, abs=1e-200), name
        for part in ("downlink", "subbands"):
            for score, wanted_score in zip(one[part], two[part], strict=True):
                assert score.pop("mcs", None) == wanted_score.pop("mcs", None)
                assert score == pytest.approx(wanted_score, rel=1e-9, abs=1e-200)
        if ours.median_nmse is not None:
            assert ours.median_nmse == pytest.approx(theirs.median_nmse, rel=1.2e-3, abs=1e-200)  # 0.005 dB
