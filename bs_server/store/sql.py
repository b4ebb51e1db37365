"""The store on SQLAlchemy: SQLite in WAL mode by default, PostgreSQL by URL.

SQLite commits with ``synchronous=FULL``: a commit that returned survives a killed process and a power cut.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias, TypeVar

import numpy as np
from sqlalchemy import (
    Connection,
    Dialect,
    Engine,
    Row,
    Select,
    Table,
    create_engine,
    event,
    func,
    insert,
    inspect,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bs_server.store import schema
from bs_server.store.base import DownlinkRow, ReconstructionRow, ReportFilter, ReportRow, SessionRow
from bs_server.store.queries import (
    KEPT,
    REPORT,
    SESSION,
    downlink_row,
    equals,
    insert_into,
    of_page,
    report_row,
    select_downlink,
    select_reconstruction,
    select_reports,
    select_runs,
    select_sessions,
    select_subbands,
    session_row,
    subbands_of,
)
from bs_server.store.retention import remove_chunk, select_idle_sessions
from bs_server.store.totals import INSERTING, begin_to_sum_up, sum_up_chunk, totals_of
from shared.errors import DataFileError, InvalidArgumentError, NotFoundError
from shared.summary import GroupColumn, GroupTotals

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

MAX_QUERIES = 4  # of REST at a time: the pool of connections holds more, and the reports have the rest
_KEYS_PER_QUERY = 200  # of find(); SQLite bounds the variables of a statement

_Values: TypeAlias = tuple[Any, ...]
_Result = TypeVar("_Result")
_IDENTITY = ("session_id", "ue_id", "sequence")
_STORED_FIELDS = ReportRow._fields[: len(schema.reports.c) - 1]  # all but its key, which the database counts
_INSERTED = {
    schema.reports: _STORED_FIELDS,
    schema.downlink: _IDENTITY + DownlinkRow._fields,
    schema.subbands: (*_IDENTITY, "layer", "subband", "sgcs"),
    schema.reconstructions: (*_IDENTITY, "h_hat", "h"),
}


_identity = attrgetter(*_IDENTITY)  # what a row of `downlink`, `subbands` or `reconstructions` begins with
_stored = itemgetter(slice(len(_STORED_FIELDS)))


def _downlink_rows(report: ReportRow) -> list[_Values]:
    """Return the rows of the table `downlink`."""
    return [_identity(report) + of_snr for of_snr in report.downlink]


def _subband_rows(report: ReportRow) -> list[_Values]:
    """Return the rows of the table `subbands`."""
    return [
        (*_identity(report), layer, subband, sgcs)
        for layer, of_layer in enumerate(report.sgcs_subbands, start=1)
        for subband, sgcs in enumerate(of_layer)
    ]


def _insert_once(dialect: Dialect, table: Table, columns: Sequence[str]) -> str:
    """Return the SQL that inserts rows, values in the order of ``columns``, and leaves those that are already there.

    As SQL and not as a statement: SQLAlchemy's work on the values of each row cost more than the database's.
    """
    statement = insert_into(dialect, table).on_conflict_do_nothing().inline()
    compiled = statement.compile(dialect=dialect, column_keys=list(columns))
    order = list(getattr(compiled, "positiontup", None) or ())
    if order != list(columns):  # the order of the table's columns, in every dialect that we know
        raise RuntimeError(f"the columns of {table.name} must come as {columns}; they come as {order}")
    return str(compiled)


class SqlStore:
    """A store in a relational database.

    Args:
        url: ``sqlite:///path`` or ``postgresql://user:password@host/name``.
        keep_reconstructions: Reconstructions kept in all; the oldest go first.

    Raises:
        InvalidArgumentError: If the URL names neither.

    Example:
        >>> SqlStore("sqlite:////tmp/csilink-example.db", keep_reconstructions=10).dialect
        'sqlite'
    """

    def __init__(self, url: str, keep_reconstructions: int) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise InvalidArgumentError("`database_url` must be a database URL; got one that does not parse.") from None
        self.dialect = parsed.drivername.split("+")[0]
        if self.dialect not in _DRIVERS:
            wanted = "sqlite:///path or postgresql://user:password@host/name"
            raise InvalidArgumentError(f"`database_url` must be {wanted}; got dialect {self.dialect!r}.")
        if self.dialect == "sqlite" and parsed.database in (None, "", ":memory:"):
            raise InvalidArgumentError("`database_url` must name a file, sqlite:///path; got a database in memory.")
        self._url = parsed.set(drivername=_DRIVERS[self.dialect])
        self._keep = keep_reconstructions
        self._write = asyncio.Lock()  # SQLite has one writer
        self._reading = asyncio.Semaphore(MAX_QUERIES)
        self._summing = asyncio.Lock()
        self._engine: AsyncEngine | None = None
        # SQLite's, for what is long or often: aiosqlite takes a dozen hops between two threads.
        self._sqlite: Engine | None = None
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")  # starts when it is needed
        self._writing: Connection | None = None  # of that thread alone
        self._inserts: dict[Table, str] = {}

    async def open(self) -> None:
        """See `Store.open`."""
        try:
            engine = create_async_engine(self._url)
        except ImportError as error:
            raise DataFileError(
                f"`database_url` needs a driver: pip install asyncpg, or csilink with its extra `postgres` ({error})."
            ) from error
        blocking = create_engine(self._url.set(drivername="sqlite")) if self.dialect == "sqlite" else None
        if blocking is not None:
            event.listen(engine.sync_engine, "connect", _configure_sqlite)
            event.listen(blocking, "connect", _configure_sqlite)
        where = self._url.set(drivername=self.dialect).render_as_string(hide_password=True)
        try:
            if self.dialect == "sqlite":
                await asyncio.to_thread(_require_usable, str(self._url.database))
            async with engine.begin() as connection:
                tables = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
                if not tables & set(schema.metadata.tables):
                    await connection.run_sync(schema.schema_info.create)
                found = (await connection.execute(select(schema.schema_info.c.version))).scalar_one_or_none()
                if found is None:  # new, or killed while it was made: the version is written last
                    await connection.run_sync(schema.metadata.create_all)
                    await connection.execute(insert(schema.schema_info).values(version=schema.VERSION))
                    found = schema.VERSION
                elif 1 <= found < schema.VERSION:
                    await connection.run_sync(_bring_up_to_date, found)
                    found = schema.VERSION
                if found == schema.VERSION:
                    await connection.run_sync(begin_to_sum_up)
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            await engine.dispose()
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise DataFileError(f"`database_url` {where} cannot be used: {cause}") from error
        if found != schema.VERSION:
            await engine.dispose()
            raise DataFileError(
                f"`database_url` {where} must hold schema version 1 to {schema.VERSION}; found {found}."
            )
        self._engine, self._sqlite = engine, blocking
        if blocking is not None:
            self._writing = await asyncio.get_running_loop().run_in_executor(self._writer, blocking.connect)
        self._inserts = {table: _insert_once(engine.dialect, table, _INSERTED[table]) for table in _INSERTED}

    async def close(self) -> None:
        """See `Store.close`."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None
        if self._writing is not None:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._writing.close)
            self._writing = None
        if self._sqlite is not None:
            self._sqlite.dispose()
            self._sqlite = None

    async def add_session(self, session: SessionRow) -> None:
        """See `Store.add_session`."""
        domain, (num_rx_ant, num_tx_ant, num_subcarriers) = session.shape.domain, session.shape.dims
        async with self._write, self._connected().begin() as connection:
            await connection.execute(
                insert(schema.sessions).values(
                    session_id=session.session_id,
                    codec=session.codec,
                    model_sha256=session.model_sha256,
                    domain=domain,
                    num_rx_ant=num_rx_ant,
                    num_tx_ant=num_tx_ant,
                    num_subcarriers=num_subcarriers,
                    link=session.link,
                    dataset_sha256=session.dataset_sha256,
                    opened_at=session.opened_at,
                    closed_at=session.closed_at,
                    estimator=session.estimator,
                    cnr_db=session.cnr_db,
                    downlink_snr_db=",".join(map(repr, session.scoring.downlink_snr_db)),
                    downlink_num_ue=session.scoring.downlink_num_ue,
                    downlink_mcs=session.scoring.downlink_mcs,
                    num_subbands=session.scoring.num_subbands,
                    fallback=session.fallback,
                    refinement=session.refinement,
                    run=session.run,
                    refiner_sha256=session.refiner_sha256,
                )
            )

    async def close_session(self, session_id: str, closed_at: float) -> None:
        """See `Store.close_session`."""
        await self._set_closed_at(session_id, closed_at)

    async def reopen_session(self, session_id: str) -> None:
        """See `Store.reopen_session`."""
        await self._set_closed_at(session_id, None)

    async def _set_closed_at(self, session_id: str, closed_at: float | None) -> None:
        statement = update(schema.sessions).where(SESSION.session_id == session_id).values(closed_at=closed_at)
        async with self._write, self._connected().begin() as connection:
            await connection.execute(statement)

    async def open_models(self) -> set[str]:
        """See `Store.open_models`."""
        statement = select(SESSION.model_sha256).where(SESSION.closed_at.is_(None)).distinct()
        return {str(row[0]) for row in await self._fetch(statement)}

    async def idle_sessions(self, before: float, session_id: str | None = None) -> list[str]:
        """See `Store.idle_sessions`."""
        return [str(row[0]) for row in await self._query(select_idle_sessions(before, session_id))]

    async def remove_session(self, session_id: str) -> None:
        """See `Store.remove_session`."""
        while await self._written(partial(remove_chunk, session_id=session_id)):
            pass  # in chunks: reports are stored between them

    async def session(self, session_id: str) -> SessionRow | None:
        """See `Store.session`."""
        rows = await self._fetch(select_sessions().where(equals(SESSION.session_id, session_id)))
        return session_row(rows[0]) if rows else None

    async def sessions(self, limit: int, before: float | None) -> list[SessionRow]:
        """See `Store.sessions`."""
        statement = select_sessions().order_by(SESSION.opened_at.desc()).limit(limit)
        if before is not None:
            statement = statement.where(SESSION.opened_at < before)
        return [session_row(row) for row in await self._query(statement)]

    async def append(self, reports: Sequence[ReportRow], reconstructions: Sequence[ReconstructionRow]) -> None:
        """See `Store.append`."""
        rows: dict[Table, list[_Values]] = {
            schema.reports: list(map(_stored, reports)),
            schema.downlink: [row for report in reports if report.downlink for row in _downlink_rows(report)],
            schema.subbands: [row for report in reports if report.sgcs_subbands for row in _subband_rows(report)],
            schema.reconstructions: [
                (*_identity(row), *(None if x is None else x.astype("<c8").tobytes() for x in (row.h_hat, row.h)))
                for row in reconstructions
            ],
        }

        def insert_all(connection: Connection) -> None:
            if self.dialect == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock_shared(INSERTING)))  # see `sum_up_chunk`
            for table, values in rows.items():
                if values:
                    connection.exec_driver_sql(self._inserts[table], values)
            if reconstructions:
                newest = select(func.max(KEPT.reconstruction_id)).scalar_subquery()
                connection.execute(schema.reconstructions.delete().where(KEPT.reconstruction_id <= newest - self._keep))

        try:
            await self._written(insert_all)
        except IntegrityError as error:  # of what there is once, it is there already; so it is the session
            raise NotFoundError("A session of these reports is not in the store any more.") from error

    async def runs(self, session_id: str) -> list[tuple[int, int, int]]:
        """See `Store.runs`."""
        return [(row.ue_id, row.first, row.last) for row in await self._fetch(select_runs(session_id))]

    async def find(self, session_id: str, identities: Sequence[tuple[int, int]]) -> list[ReportRow]:
        """See `Store.find`."""
        found: list[ReportRow] = []
        for start in range(0, len(identities), _KEYS_PER_QUERY):
            keys = identities[start : start + _KEYS_PER_QUERY]
            chosen = tuple_(REPORT.ue_id, REPORT.sequence).in_(keys)
            rows = await self._fetch(select_reports().where(REPORT.session_id == session_id, chosen))
            found += [report_row(row) for row in rows]
        return found

    async def reports(self, where: ReportFilter, limit: int, after_id: int, *, scan: bool = False) -> list[ReportRow]:
        """See `Store.reports`."""
        page = select_reports().where(of_page(where, scan=scan), REPORT.report_id > after_id)
        return [report_row(row) for row in await self._query(page.order_by(REPORT.report_id).limit(limit))]

    async def newest_report_id(self) -> int:
        """See `Store.newest_report_id`."""
        rows = await self._query(select(func.coalesce(func.max(REPORT.report_id), 0)))
        return int(rows[0][0])

    async def report(self, report_id: int) -> ReportRow | None:
        """See `Store.report`."""
        rows = await self._query(select_reports().where(REPORT.report_id == report_id))
        if not rows:
            return None
        downlink = await self._query(select_downlink(report_id))
        subbands = await self._query(select_subbands(report_id))
        of_snrs = tuple(map(downlink_row, downlink))
        return report_row(rows[0])._replace(downlink=of_snrs, sgcs_subbands=subbands_of(subbands))

    async def reconstruction(self, report_id: int) -> ReconstructionRow | None:
        """See `Store.reconstruction`."""
        rows = await self._query(select_reconstruction(report_id))
        if not rows:
            return None
        row = rows[0]
        dims = (row.num_rx_ant, row.num_tx_ant, row.num_subcarriers)
        h_hat, h = (
            None if data is None else np.frombuffer(data, dtype="<c8").reshape(dims) for data in (row.h_hat, row.h)
        )
        return ReconstructionRow(row.session_id, row.ue_id, row.sequence, np.asarray(h_hat), h)

    async def sum_up(self) -> bool:
        """See `Store.sum_up`."""
        async with self._summing:  # one after the other: those that wait find nothing left
            return await self._written(sum_up_chunk)

    async def totals(self, where: ReportFilter, group_by: Sequence[GroupColumn]) -> list[GroupTotals]:
        """See `Store.totals`."""
        if where.ue_id is None:
            while await self.sum_up():
                pass  # in chunks: reports are stored between them
        async with self._reading:
            if self._sqlite is not None:
                return await asyncio.to_thread(
                    _in_snapshot, self._sqlite, partial(totals_of, where=where, group_by=group_by)
                )
            async with self._connected().connect() as connection:
                await connection.execution_options(isolation_level="REPEATABLE READ")
                return await connection.run_sync(totals_of, where, group_by)

    async def _written(self, work: Callable[[Connection], _Result]) -> _Result:
        """Run what writes in a transaction of its own."""
        async with self._write:
            if self._writing is not None:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._writer, _in_transaction, self._writing, work)
            async with self._connected().begin() as connection:
                return await connection.run_sync(work)

    def _connected(self) -> AsyncEngine:
        if self._engine is None:
            raise RuntimeError("the store is not open")
        return self._engine

    async def _query(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        """Fetch for somebody who can wait."""
        async with self._reading:
            return await self._fetch(statement)

    async def _fetch(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        async with self._connected().connect() as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(statement)).all()
            return rows


def _bring_up_to_date(connection: Connection, version: int) -> None:
    """Add what came after ``version``; killed in between, it goes on where it was: the version is last."""
    schema.metadata.create_all(connection)  # tables that came later; those that are there stay as they are
    for newer in range(version + 1, schema.VERSION + 1):
        for table, column, definition in schema.ADDED[newer]:
            if column not in {found["name"] for found in inspect(connection).get_columns(table)}:
                connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {column} {definition}"))
    connection.execute(update(schema.schema_info).values(version=schema.VERSION))


def _in_transaction(connection: Connection, work: Callable[[Connection], _Result]) -> _Result:
    with connection.begin():
        return work(connection)


def _in_snapshot(engine: Engine, work: Callable[[Connection], _Result]) -> _Result:
    """Read all from one state of the database; SQLite's driver begins nothing by itself before a SELECT."""
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        return work(connection)


def _require_usable(path: str) -> None:
    """Raise what is wrong with a file of SQLite; aiosqlite, when connecting fails, leaves its thread behind."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA schema_version")


def _configure_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
