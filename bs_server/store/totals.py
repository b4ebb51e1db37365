"""What a summary reads: sums of reports in cells of one session, rate and SNR, brought up to date by who asks.

    reports up to `summed_up.report_id` --sum_up_chunk--> cells, downlink_cells, subband_cells, nmse_counts --,
    the few that came after ----------------------------------------------------------------------------------+-> totals

Cells hold all that a summary groups and filters by, but the UE: a summary of one UE goes through its reports.
"""

import dataclasses
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import (
    BigInteger,
    Connection,
    Dialect,
    Float,
    FromClause,
    Row,
    Select,
    Table,
    and_,
    case,
    cast,
    func,
    insert,
    not_,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.sql.elements import ColumnElement

from bs_server.store import schema
from bs_server.store.base import ReportFilter
from bs_server.store.queries import (
    DOWNLINK,
    REPORT,
    SESSION,
    SUBBAND,
    condition,
    insert_into,
    num_bits_of,
    of_page,
    on_the_air,
)
from shared.summary import DownlinkTotals, GroupColumn, GroupTotals, SubbandTotals
from shared.summary.median import Counts, add_counts, count_bins, median_of

# SQLite would go along the index of identities, through all reports, for the sake of grouping: an expression has none.
_OF_SESSION = REPORT.session_id.concat("").label("session_id")
CELL_KEY = (_OF_SESSION, REPORT.rate, REPORT.snr_db)
FEW_REPORTS = 2_000  # that a summary goes through one by one
CHUNK_REPORTS = 10_000  # added to the cells in one transaction
INSERTING = 0x63736969  # advisory lock of PostgreSQL: shared by whoever inserts, alone for whoever sums up
TINY = 1e-150  # whose square is a normal number in double precision
_TOTALS = {field.name for field in dataclasses.fields(GroupTotals)}


_Key: TypeAlias = tuple[Any, ...]


def _from_report(columns: Any) -> ColumnElement[bool]:
    """Join a report to its rows of another table: as `of_report`, but starting from the report."""
    identity = (_OF_SESSION.element, REPORT.ue_id, REPORT.sequence)
    return and_(
        *(columns[name] == own for name, own in zip(("session_id", "ue_id", "sequence"), identity, strict=True))
    )


def _wide(column: ColumnElement[int]) -> ColumnElement[int]:
    """Return a column in 64 bits, so that its square fits."""
    return cast(column, BigInteger)


def _square(column: ColumnElement[float]) -> ColumnElement[float]:
    """Return the square of what is not negative; PostgreSQL refuses one that underflows, and a BLER may be 1e-200."""
    return case((column > TINY, column * column), else_=0.0)


def _sum(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(column), 0.0)


def _sum_squared(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return _sum(_square(column))


def select_cells(chosen: ColumnElement[bool]) -> Select[Any]:
    """Sum reports in cells of one session, rate and SNR; a report is scored when it has an SGCS."""
    errors, decided, num_bits = REPORT.bit_errors, REPORT.bit_errors.is_not(None), num_bits_of().element
    checked, of_bits = REPORT.crc_ok.is_not(None), on_the_air("coded_bits").element > 0
    sums: dict[str, ColumnElement[Any]] = {
        "num_reports": func.count(),
        "num_scored": func.count(REPORT.sgcs),
        "num_nmse_full": func.count(REPORT.nmse_full),
        "num_rho": func.count(REPORT.rho),
        "num_decided": func.count(errors),
        "bit_errors": func.coalesce(func.sum(errors), 0),
        "decided_bits": func.coalesce(func.sum(num_bits).filter(decided), 0),
        "sum_errors_squared": func.coalesce(func.sum(_wide(errors) * errors), 0),
        "sum_errors_times_bits": func.coalesce(func.sum(_wide(errors) * num_bits), 0),
        "sum_bits_squared": func.coalesce(func.sum(_wide(num_bits) * num_bits).filter(decided), 0),
        "block_errors": func.count().filter(REPORT.sgcs.is_not(None), or_(errors > 0, and_(REPORT.erased, of_bits))),
        "erasures": func.count().filter(REPORT.erased),
        "num_checked": func.count().filter(checked),
        "crc_failures": func.count().filter(REPORT.crc_ok.is_(False)),
        "num_verified": func.count().filter(and_(checked, decided)),
        "undetected_errors": func.count().filter(and_(REPORT.crc_ok, errors > 0)),
        "info_bits": func.sum(num_bits),
        "coded_bits": func.sum(on_the_air("coded_bits").element),
        "channel_uses": func.sum(on_the_air("channel_uses").element),
        "num_symbol_reports": func.count().filter(not_(of_bits)),
        "num_symbol_scored": func.count(REPORT.sgcs).filter(not_(of_bits)),
        "fallbacks": func.count().filter(REPORT.fallback),
        "held": func.count().filter(REPORT.held),
        "num_refined": func.count().filter(REPORT.num_steps > 0),
        "sum_num_steps": func.sum(REPORT.num_steps),
        "sum_batch_size": func.sum(REPORT.batch_size),
        "sum_nmse": _sum(REPORT.nmse),
        "sum_nmse_squared": _sum_squared(REPORT.nmse),
        "sum_nmse_full": _sum(REPORT.nmse_full),
        "sum_nmse_full_squared": _sum_squared(REPORT.nmse_full),
        "sum_sgcs": _sum(REPORT.sgcs),
        "sum_sgcs_squared": _sum_squared(REPORT.sgcs),
        "sum_rho": _sum(REPORT.rho),
        "sum_rho_squared": _sum_squared(REPORT.rho),
        "sum_queue_ms": func.sum(REPORT.queue_ms),
        "sum_decode_ms": func.sum(REPORT.decode_ms),
    }
    names = (*schema.COUNTS, *schema.SUMS)
    return select(*CELL_KEY, *(sums[name].label(name) for name in names)).where(chosen).group_by(*CELL_KEY)


def select_downlink_cells(chosen: ColumnElement[bool]) -> Select[Any]:
    """Sum what the reports of a cell are worth in the downlink, at each of its SNRs."""
    bler, efficiency, coded = DOWNLINK.bler, DOWNLINK.spectral_efficiency, DOWNLINK.bler_coded
    sums = {
        "sum_bler": func.sum(bler),
        "sum_bler_squared": func.sum(_square(bler)),
        "sum_spectral_efficiency": func.sum(efficiency),
        "sum_spectral_efficiency_squared": func.sum(_square(efficiency)),
        "sum_bler_perfect": func.sum(DOWNLINK.bler_perfect),
        "sum_spectral_efficiency_perfect": func.sum(DOWNLINK.spectral_efficiency_perfect),
        "sum_bler_coded": _sum(coded),
        "sum_bler_coded_squared": _sum_squared(coded),
        "sum_bler_coded_perfect": _sum(DOWNLINK.bler_coded_perfect),
    }
    snr_db = DOWNLINK.snr_db.label("downlink_snr_db")
    totals = (sums[name].label(name) for name in schema.DOWNLINK_SUMS)
    return (
        select(*CELL_KEY, snr_db, func.count().label("count"), *totals)
        .select_from(schema.reports.join(schema.downlink, _from_report(DOWNLINK)))
        .where(chosen)
        .group_by(*CELL_KEY, DOWNLINK.snr_db)
    )


def select_subband_cells(chosen: ColumnElement[bool]) -> Select[Any]:
    """Sum the SGCS of the reports of a cell, by layer and subband."""
    subband = (SUBBAND.layer, SUBBAND.subband)
    sums = (func.sum(SUBBAND.sgcs).label("sum_sgcs"), func.sum(_square(SUBBAND.sgcs)).label("sum_sgcs_squared"))
    return (
        select(*CELL_KEY, *subband, func.count().label("count"), *sums)
        .select_from(schema.reports.join(schema.subbands, _from_report(SUBBAND)))
        .where(chosen)
        .group_by(*CELL_KEY, *subband)
    )


# Table of cells -> what selects its rows of some reports, in the order of its columns.
CELLS = {
    schema.cells: select_cells,
    schema.downlink_cells: select_downlink_cells,
    schema.subband_cells: select_subband_cells,
}


def cells_of(table: Table, after: int, where: ReportFilter) -> FromClause:
    """Return the cells of all reports: those summed up, and those of the reports that came after; or of one UE's."""
    if where.ue_id is None:
        return union_all(select(table), CELLS[table](REPORT.report_id > after)).subquery()
    of_ue = ReportFilter(session_id=where.session_id, ue_id=where.ue_id, rate=where.rate, snr_db=where.snr_db)
    return CELLS[table](of_page(of_ue, scan=False)).subquery()


def groups_of(cells: Any) -> dict[GroupColumn, ColumnElement[Any]]:
    """Return the columns that a summary groups by, of cells, or reports, joined to their sessions."""
    return {
        "codec": SESSION.codec,
        "rate": cells.rate,
        "snr_db": cells.snr_db,
        "link": SESSION.link,
        "estimator": SESSION.estimator,
        "cnr_db": SESSION.cnr_db,
        "refinement": SESSION.refinement,
        "session": cells.session_id,
        "model_sha256": SESSION.model_sha256,
        "refiner_sha256": SESSION.refiner_sha256,
        "dataset_sha256": SESSION.dataset_sha256,
    }


def keys_of(group_by: Sequence[GroupColumn], cells: Any) -> list[ColumnElement[Any]]:
    """Return the columns of a group's key, named key_0, key_1 ..."""
    of = groups_of(cells)
    return [of[name].label(f"key_{i}") for i, name in enumerate(group_by)]


def select_sums(cells: FromClause, group_by: Sequence[GroupColumn], where: ReportFilter) -> Select[Any]:
    """Select the sums of each group, ordered by key, None first."""
    columns, of = keys_of(group_by, cells.c), cells.c
    num_reports = cast(func.sum(of.num_reports), Float(53))
    names = (name for name in (*schema.COUNTS, *schema.SUMS) if name in _TOTALS)
    return (
        select(
            *columns,
            *(func.sum(of[name]).label(name) for name in names),
            (func.sum(of.sum_queue_ms) / num_reports).label("mean_queue_ms"),
            (func.sum(of.sum_decode_ms) / num_reports).label("mean_decode_ms"),
            (func.sum(of.sum_batch_size) / num_reports).label("mean_batch_size"),
        )
        .select_from(cells.join(schema.sessions, of.session_id == SESSION.session_id))
        .where(condition(where, of))
        .group_by(*columns)
        .having(func.count() > 0)
        .order_by(*(column.nulls_first() for column in columns))
    )


def select_downlink_sums(cells: FromClause, group_by: Sequence[GroupColumn], where: ReportFilter) -> Select[Any]:
    """Select the sums of each group with each downlink, ordered by SNR, UEs and MCS."""
    columns, of = keys_of(group_by, cells.c), cells.c
    downlink = (of.downlink_snr_db, SESSION.downlink_num_ue, SESSION.downlink_mcs)
    return (
        select(*columns, *downlink, *(func.sum(of[name]).label(name) for name in ("count", *schema.DOWNLINK_SUMS)))
        .select_from(cells.join(schema.sessions, of.session_id == SESSION.session_id))
        .where(condition(where, of))
        .group_by(*columns, *downlink)
        .order_by(*(column.nulls_first() for column in downlink))
    )


def select_subband_sums(cells: FromClause, group_by: Sequence[GroupColumn], where: ReportFilter) -> Select[Any]:
    """Select the sums of each group of the SGCS, ordered by number of subbands, layer and subband."""
    columns, of = keys_of(group_by, cells.c), cells.c
    subband = (SESSION.num_subbands, of.layer, of.subband)
    return (
        select(
            *columns, *subband, *(func.sum(of[name]).label(name) for name in ("count", "sum_sgcs", "sum_sgcs_squared"))
        )
        .select_from(cells.join(schema.sessions, of.session_id == SESSION.session_id))
        .where(condition(where, of))
        .group_by(*columns, *subband)
        .order_by(*subband)
    )


def select_nmse_counts(group_by: Sequence[GroupColumn], where: ReportFilter) -> Select[Any]:
    """Select the group and the counts of the NMSE of each cell."""
    of = schema.nmse_counts.c
    return (
        select(*keys_of(group_by, of), of.counts)
        .select_from(schema.nmse_counts.join(schema.sessions, of.session_id == SESSION.session_id))
        .where(condition(where, of))
    )


def select_nmse(group_by: Sequence[GroupColumn], where: ReportFilter, after: int) -> Select[Any]:
    """Select the group and the NMSE of each report that came after what is summed up; of one UE, of all its reports."""
    return (
        select(*keys_of(group_by, REPORT), REPORT.nmse)
        .select_from(schema.reports.join(schema.sessions))
        .where(of_page(where, scan=where.ue_id is None), REPORT.nmse.is_not(None))
        .where(REPORT.report_id > (after if where.ue_id is None else 0))
    )


def begin_to_sum_up(connection: Connection) -> None:
    """Make the row that says how far reports are summed up, where it is not there."""
    if connection.execute(select(schema.summed_up.c.report_id)).scalar_one_or_none() is None:
        connection.execute(insert(schema.summed_up).values(id=1, report_id=0))


def _summed_up_to(connection: Connection) -> int:
    """Return the id of the last report that is in the cells."""
    return int(connection.execute(select(schema.summed_up.c.report_id)).scalar_one())


def sum_up_chunk(connection: Connection) -> bool:
    """Add the next reports to the cells, if there are many; return whether there are more.

    Another base station on the database waits: for the lock, and then sees how far this one came. PostgreSQL gives ids
    when rows are inserted and shows rows when they are committed, so no insertion may be under way.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(INSERTING)))
    report_id = schema.summed_up.c.report_id
    connection.execute(
        update(schema.summed_up).values(report_id=report_id)
    )  # SQLite: the right to write, before reading
    after = _summed_up_to(connection)
    newest = select(func.max(REPORT.report_id)).where(REPORT.report_id > after)
    last = connection.execute(newest).scalar_one_or_none()
    if last is None or last - after < FEW_REPORTS:
        return False
    upto = min(last, after + CHUNK_REPORTS)
    chosen = and_(REPORT.report_id > after, REPORT.report_id <= upto)
    for table, select_of in CELLS.items():
        connection.execute(_add_to(connection.dialect, table).from_select(list(table.c.keys()), select_of(chosen)))
    scored = select(*CELL_KEY, REPORT.nmse).where(chosen, REPORT.nmse.is_not(None))
    _add_counts(connection, _counts_by_key(list(connection.execute(scored))))
    connection.execute(update(schema.summed_up).values(report_id=upto))
    return bool(last > upto)


def _add_to(dialect: Dialect, table: Table) -> Any:
    """Return an insertion into a table of cells that adds to those that are there."""
    statement = insert_into(dialect, table)
    key = [column.name for column in table.primary_key]
    added = {name: table.c[name] + statement.excluded[name] for name in list(table.c.keys()) if name not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=added)


def _counts_by_key(rows: Sequence[Any]) -> dict[_Key, Counts]:
    """Return key -> counts of the NMSE, which is the last column of a row."""
    by_key: dict[_Key, list[float]] = {}
    for row in rows:
        by_key.setdefault(tuple(row)[:-1], []).append(row[-1])
    return {key: count_bins(np.array(nmse)) for key, nmse in by_key.items()}


def _add_counts(connection: Connection, counts: dict[_Key, Counts]) -> None:
    table = schema.nmse_counts
    for key, of_cell in sorted(counts.items()):
        is_cell = and_(*(column == value for column, value in zip(table.primary_key, key, strict=True)))
        before = connection.execute(select(table.c.counts).where(is_cell)).scalar_one_or_none()
        together = add_counts([of_cell] if before is None else [of_cell, _read_counts(before)])
        connection.execute(table.delete().where(is_cell))
        connection.execute(insert(table).values((*key, together.astype("<i8").tobytes())))


def _read_counts(content: bytes) -> Counts:
    return np.frombuffer(content, dtype="<i8").reshape(-1, 2).astype(np.int64)


def totals_of(connection: Connection, where: ReportFilter, group_by: Sequence[GroupColumn]) -> list[GroupTotals]:
    """Return the sums by group, ordered by key, None first; ``connection`` must show one state of the database."""
    after, n = _summed_up_to(connection), len(group_by)

    def sums(table: Table, select_of: Callable[..., Select[Any]]) -> Sequence[Row[Any]]:
        return connection.execute(select_of(cells_of(table, after, where), group_by, where)).all()

    later = _counts_by_key(connection.execute(select_nmse(group_by, where, after)).all())
    counts = {key: [of_key] for key, of_key in later.items()}
    for row in connection.execute(select_nmse_counts(group_by, where)) if where.ue_id is None else ():
        counts.setdefault(tuple(row)[:n], []).append(_read_counts(row[n]))
    downlink: dict[tuple[Any, ...], list[DownlinkTotals]] = {}
    for row in sums(schema.downlink_cells, select_downlink_sums):
        downlink.setdefault(tuple(row)[:n], []).append(downlink_totals(row, n))
    subbands: dict[tuple[Any, ...], list[SubbandTotals]] = {}
    if connection.execute(select(SESSION.session_id).where(SESSION.num_subbands > 0).limit(1)).first():
        for row in sums(schema.subband_cells, select_subband_sums):
            subbands.setdefault(tuple(row)[:n], []).append(subband_totals(row, n))
    rows = [(tuple(row)[:n], row) for row in sums(schema.cells, select_sums)]
    return [
        group_totals(row, n, add_counts(counts.get(key, [])), downlink.get(key, []), subbands.get(key, []))
        for key, row in rows
    ]


def group_totals(
    row: Row[Any],
    num_keys: int,
    nmse: Counts,
    downlink: Sequence[DownlinkTotals],
    subbands: Sequence[SubbandTotals],
) -> GroupTotals:
    """Convert a row of `select_sums`, the counts of the group's NMSE, its downlinks and its subbands."""
    sums = {name: _number(value) for name, value in row._mapping.items() if name in _TOTALS}
    key = tuple(row)[:num_keys]
    sums |= {"num_nmse": int(nmse[:, 1].sum()), "median_nmse": median_of(nmse)}
    return GroupTotals(key=key, downlink=tuple(downlink), subbands=tuple(subbands), **sums)


def _number(value: Any) -> Any:
    """PostgreSQL sums integers of 64 bits to a Decimal."""
    return int(value) if isinstance(value, Decimal) else value


def downlink_totals(row: Row[Any], num_keys: int) -> DownlinkTotals:
    """Convert a row of `select_downlink_sums`."""
    return DownlinkTotals(*map(_number, tuple(row)[num_keys:]))


def subband_totals(row: Row[Any], num_keys: int) -> SubbandTotals:
    """Convert a row of `select_subband_sums`."""
    return SubbandTotals(*map(_number, tuple(row)[num_keys:]))
