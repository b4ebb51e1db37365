"""The SELECT statements of the store on SQLAlchemy, and its rows as our dataclasses."""

import dataclasses
import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Float,
    FromClause,
    Row,
    Select,
    Table,
    and_,
    case,
    cast,
    false,
    func,
    not_,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.sql.elements import ColumnElement

from bs_server.store import schema
from bs_server.store.base import DownlinkRow, ReportFilter, ReportRow, SessionRow
from shared.scoring import Scoring
from shared.summary import DownlinkTotals, GroupColumn, GroupTotals, SubbandTotals
from shared.types import CsiShape

REPORT, SESSION, KEPT = schema.reports.c, schema.sessions.c, schema.reconstructions.c
DOWNLINK, SUBBAND = schema.downlink.c, schema.subbands.c
# SQLite would go along the index of identities, through all reports, for the sake of grouping: an expression has none.
_OF_SESSION = REPORT.session_id.concat("").label("session_id")
CELL_KEY = (_OF_SESSION, REPORT.rate, REPORT.snr_db)
_REPORT_FIELDS = [
    field.name for field in dataclasses.fields(ReportRow) if field.name not in ("downlink", "sgcs_subbands")
]
TINY = 1e-150  # whose square is a normal number in double precision
_TOTALS = {field.name for field in dataclasses.fields(GroupTotals)}


def of_report(columns: Any) -> ColumnElement[bool]:
    """Join a row of another table, by its columns, to its report."""
    return and_(
        columns.session_id == REPORT.session_id,
        columns.ue_id == REPORT.ue_id,
        columns.sequence == REPORT.sequence,
    )


def _from_report(columns: Any) -> ColumnElement[bool]:
    """Join a report to its rows of another table: as `of_report`, but starting from the report."""
    identity = (_OF_SESSION.element, REPORT.ue_id, REPORT.sequence)
    return and_(
        *(columns[name] == own for name, own in zip(("session_id", "ue_id", "sequence"), identity, strict=True))
    )


def _on_the_air(name: str) -> ColumnElement[int]:
    """Return a count of bits or symbols on the air; what came before version 3 was uncoded BPSK."""
    return func.coalesce(REPORT[name], REPORT.rate).label(name)


def _num_bits() -> ColumnElement[int]:
    """Return the information bits of a report; before version 7 all that were of bits had as many as their rate."""
    before = case((REPORT.coded_bits == 0, 0), else_=REPORT.rate)
    return func.coalesce(REPORT.num_bits, before).label("num_bits")


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


def select_sessions() -> Select[Any]:
    """Select sessions and how many reports they have."""
    count = select(func.count()).where(REPORT.session_id == SESSION.session_id).scalar_subquery()
    return select(schema.sessions, count.label("num_reports"))


def select_reports() -> Select[Any]:
    """Select reports with what they take from their session, and whether their reconstruction was kept."""
    kept = select(KEPT.reconstruction_id).where(of_report(KEPT)).exists()
    of_session = (SESSION.codec, SESSION.link, SESSION.estimator, SESSION.cnr_db, SESSION.refinement)
    stored = [column for column in REPORT if column.name not in ("coded_bits", "channel_uses", "num_bits")]
    columns = (*stored, _on_the_air("coded_bits"), _on_the_air("channel_uses"), _num_bits(), *of_session)
    return select(*columns, kept.label("has_reconstruction")).join(
        schema.sessions, SESSION.session_id == REPORT.session_id
    )


def select_reconstruction(report_id: int) -> Select[Any]:
    """Select the kept reconstruction of a report, with the shape of its channel."""
    return (
        select(schema.reconstructions, SESSION.num_rx_ant, SESSION.num_tx_ant, SESSION.num_subcarriers)
        .join(schema.reports, of_report(KEPT))
        .join(schema.sessions, SESSION.session_id == REPORT.session_id)
        .where(REPORT.report_id == report_id)
    )


def select_cells(chosen: ColumnElement[bool]) -> Select[Any]:
    """Sum reports in cells of one session, rate and SNR; a report is scored when it has an NMSE."""
    errors, decided, num_bits = REPORT.bit_errors, REPORT.bit_errors.is_not(None), _num_bits().element
    checked, of_bits = REPORT.crc_ok.is_not(None), _on_the_air("coded_bits").element > 0
    sums: dict[str, ColumnElement[Any]] = {
        "num_reports": func.count(),
        "num_scored": func.count(REPORT.nmse),
        "num_nmse_full": func.count(REPORT.nmse_full),
        "num_rho": func.count(REPORT.rho),
        "num_decided": func.count(errors),
        "bit_errors": func.coalesce(func.sum(errors), 0),
        "decided_bits": func.coalesce(func.sum(num_bits).filter(decided), 0),
        "sum_errors_squared": func.coalesce(func.sum(_wide(errors) * errors), 0),
        "sum_errors_times_bits": func.coalesce(func.sum(_wide(errors) * num_bits), 0),
        "sum_bits_squared": func.coalesce(func.sum(_wide(num_bits) * num_bits).filter(decided), 0),
        "block_errors": func.count().filter(REPORT.nmse.is_not(None), or_(errors > 0, and_(REPORT.erased, of_bits))),
        "erasures": func.count().filter(REPORT.erased),
        "num_checked": func.count().filter(checked),
        "crc_failures": func.count().filter(REPORT.crc_ok.is_(False)),
        "num_verified": func.count().filter(and_(checked, decided)),
        "undetected_errors": func.count().filter(and_(REPORT.crc_ok, errors > 0)),
        "info_bits": func.sum(num_bits),
        "coded_bits": func.sum(_on_the_air("coded_bits").element),
        "channel_uses": func.sum(_on_the_air("channel_uses").element),
        "num_symbol_reports": func.count().filter(not_(of_bits)),
        "num_symbol_scored": func.count(REPORT.nmse).filter(not_(of_bits)),
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


def select_downlink(report_id: int) -> Select[Any]:
    """Select what a report is worth at each downlink SNR."""
    return (
        select(schema.downlink)
        .join(schema.reports, of_report(DOWNLINK))
        .where(REPORT.report_id == report_id)
        .order_by(DOWNLINK.snr_db)
    )


def select_subbands(report_id: int) -> Select[Any]:
    """Select the SGCS of a report, layer after layer."""
    return (
        select(schema.subbands)
        .join(schema.reports, of_report(SUBBAND))
        .where(REPORT.report_id == report_id)
        .order_by(SUBBAND.layer, SUBBAND.subband)
    )


def condition(where: ReportFilter, of: Any) -> ColumnElement[bool]:
    """Return the condition that a filter, but for the UE, stands for.

    Args:
        where: The filter.
        of: Columns of reports or cells, joined to their sessions.
    """
    wanted = {
        of.session_id: where.session_id,
        of.rate: where.rate,
        of.snr_db: where.snr_db,
        SESSION.codec: where.codec,
        SESSION.link: where.link,
        SESSION.estimator: where.estimator,
        SESSION.cnr_db: where.cnr_db,
        SESSION.refinement: where.refinement,
    }
    return and_(true(), *(equals(column, value) for column, value in wanted.items() if value is not None))


def of_page(where: ReportFilter, *, scan: bool) -> ColumnElement[bool]:
    """Return the condition that a filter of reports stands for; with ``scan``, one that no index serves."""
    chosen = condition(dataclasses.replace(where, session_id=None), REPORT)
    if where.session_id is not None:
        column = REPORT.session_id.concat("") if scan else REPORT.session_id
        chosen = and_(chosen, equals(column, where.session_id))
    return chosen if where.ue_id is None else and_(chosen, REPORT.ue_id == where.ue_id)


def equals(column: ColumnElement[Any], value: str | float) -> ColumnElement[bool]:
    """Compare; PostgreSQL takes no text with a NUL, and no such text is stored."""
    return false() if isinstance(value, str) and "\0" in value else column == value


def session_row(row: Row[Any]) -> SessionRow:
    """Convert a row of `select_sessions`."""
    return SessionRow(
        session_id=row.session_id,
        codec=row.codec,
        model_sha256=row.model_sha256,
        shape=CsiShape(row.domain, row.num_rx_ant, row.num_tx_ant, row.num_subcarriers),
        link=row.link,
        dataset_sha256=row.dataset_sha256,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        num_reports=row.num_reports,
        estimator=row.estimator,
        cnr_db=row.cnr_db,
        scoring=Scoring(
            tuple(float(snr_db) for snr_db in row.downlink_snr_db.split(",") if snr_db),
            row.downlink_num_ue,
            row.downlink_mcs,
            row.num_subbands,
        ),
        fallback=row.fallback,
        refinement=row.refinement,
        run=row.run,
        refiner_sha256=row.refiner_sha256,
    )


def report_row(row: Row[Any]) -> ReportRow:
    """Convert a row of `select_reports`."""
    return ReportRow(**{name: getattr(row, name) for name in _REPORT_FIELDS})


def group_totals(
    row: Row[Any],
    num_keys: int,
    median: float | None,
    downlink: Sequence[DownlinkTotals],
    subbands: Sequence[SubbandTotals],
) -> GroupTotals:
    """Convert a row of `select_sums`, the group's median, its downlinks and its subbands."""
    sums = {name: _number(value) for name, value in row._mapping.items() if name in _TOTALS}
    key = tuple(row)[:num_keys]
    return GroupTotals(key=key, median_nmse=median, downlink=tuple(downlink), subbands=tuple(subbands), **sums)


def _number(value: Any) -> Any:
    """PostgreSQL sums integers of 64 bits to a Decimal."""
    return int(value) if isinstance(value, Decimal) else value


def downlink_totals(row: Row[Any], num_keys: int) -> DownlinkTotals:
    """Convert a row of `select_downlink_sums`."""
    return DownlinkTotals(*map(_number, tuple(row)[num_keys:]))


def subband_totals(row: Row[Any], num_keys: int) -> SubbandTotals:
    """Convert a row of `select_subband_sums`."""
    return SubbandTotals(*map(_number, tuple(row)[num_keys:]))


def downlink_row(row: Row[Any]) -> DownlinkRow:
    """Convert a row of `select_downlink`."""
    return DownlinkRow(*(getattr(row, field.name) for field in dataclasses.fields(DownlinkRow)))


def subbands_of(rows: Sequence[Row[Any]]) -> tuple[tuple[float, ...], ...]:
    """Convert the rows of `select_subbands` to [layer][subband]."""
    layers = itertools.groupby(rows, key=lambda row: row.layer)
    return tuple(tuple(row.sgcs for row in of_layer) for _, of_layer in layers)
