"""The SELECT statements of the store on SQLAlchemy, and its rows as our dataclasses."""

import dataclasses
import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Float, Row, Select, and_, case, cast, false, func, not_, or_, select, true
from sqlalchemy.sql.elements import ColumnElement

from bs_server.store import schema
from bs_server.store.base import DownlinkRow, ReportFilter, ReportRow, SessionRow
from shared.scoring import Scoring
from shared.summary import DownlinkTotals, GroupColumn, GroupTotals, SubbandTotals
from shared.types import CsiShape

REPORT, SESSION, KEPT = schema.reports.c, schema.sessions.c, schema.reconstructions.c
DOWNLINK, SUBBAND = schema.downlink.c, schema.subbands.c
GROUPS: dict[GroupColumn, ColumnElement[Any]] = {
    "codec": SESSION.codec,
    "rate": REPORT.rate,
    "snr_db": REPORT.snr_db,
    "link": SESSION.link,
    "estimator": SESSION.estimator,
    "cnr_db": SESSION.cnr_db,
    "refinement": SESSION.refinement,
    "session": REPORT.session_id,
}
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


def select_sums(columns: Sequence[ColumnElement[Any]], where: ColumnElement[bool]) -> Select[Any]:
    """Select the sums of each group, ordered by key, None first; a report is scored when it has an NMSE."""
    errors, decided, num_bits = REPORT.bit_errors, REPORT.bit_errors.is_not(None), _num_bits().element
    checked, of_bits = REPORT.crc_ok.is_not(None), _on_the_air("coded_bits").element > 0
    return (
        select(
            *columns,
            func.count().label("num_reports"),
            func.count(REPORT.nmse).label("num_scored"),
            func.coalesce(func.sum(REPORT.nmse), 0.0).label("sum_nmse"),
            func.coalesce(func.sum(_square(REPORT.nmse)), 0.0).label("sum_nmse_squared"),
            func.count(REPORT.nmse_full).label("num_nmse_full"),
            func.coalesce(func.sum(REPORT.nmse_full), 0.0).label("sum_nmse_full"),
            func.coalesce(func.sum(_square(REPORT.nmse_full)), 0.0).label("sum_nmse_full_squared"),
            func.coalesce(func.sum(REPORT.sgcs), 0.0).label("sum_sgcs"),
            func.coalesce(func.sum(_square(REPORT.sgcs)), 0.0).label("sum_sgcs_squared"),
            func.count(REPORT.rho).label("num_rho"),
            func.coalesce(func.sum(REPORT.rho), 0.0).label("sum_rho"),
            func.coalesce(func.sum(_square(REPORT.rho)), 0.0).label("sum_rho_squared"),
            func.count(errors).label("num_decided"),
            func.coalesce(func.sum(errors), 0).label("bit_errors"),
            func.coalesce(func.sum(num_bits).filter(decided), 0).label("decided_bits"),
            func.coalesce(func.sum(_wide(errors) * errors), 0).label("sum_errors_squared"),
            func.coalesce(func.sum(_wide(errors) * num_bits), 0).label("sum_errors_times_bits"),
            func.coalesce(func.sum(_wide(num_bits) * num_bits).filter(decided), 0).label("sum_bits_squared"),
            func.count()
            .filter(REPORT.nmse.is_not(None), or_(errors > 0, and_(REPORT.erased, of_bits)))
            .label("block_errors"),
            func.count().filter(REPORT.erased).label("erasures"),
            func.count().filter(checked).label("num_checked"),
            func.count().filter(REPORT.crc_ok.is_(False)).label("crc_failures"),
            func.count().filter(and_(checked, decided)).label("num_verified"),
            func.count().filter(and_(REPORT.crc_ok, errors > 0)).label("undetected_errors"),
            func.sum(num_bits).label("info_bits"),
            func.sum(_on_the_air("coded_bits")).label("coded_bits"),
            func.sum(_on_the_air("channel_uses")).label("channel_uses"),
            func.count().filter(not_(of_bits)).label("num_symbol_reports"),
            func.count(REPORT.nmse).filter(not_(of_bits)).label("num_symbol_scored"),
            func.count().filter(REPORT.fallback).label("fallbacks"),
            func.count().filter(REPORT.held).label("held"),
            func.count().filter(REPORT.num_steps > 0).label("num_refined"),
            func.sum(REPORT.num_steps).label("sum_num_steps"),
            func.avg(REPORT.queue_ms).label("mean_queue_ms"),
            func.avg(REPORT.decode_ms).label("mean_decode_ms"),
            func.avg(cast(REPORT.batch_size, Float(53))).label("mean_batch_size"),
        )
        .select_from(schema.reports.join(schema.sessions))
        .where(where)
        .group_by(*columns)
        .having(func.count() > 0)
        .order_by(*(column.nulls_first() for column in columns))
    )


def select_downlink_sums(columns: Sequence[ColumnElement[Any]], where: ColumnElement[bool]) -> Select[Any]:
    """Select the sums of each group with each downlink, ordered by SNR, UEs and MCS."""
    bler, efficiency, coded = DOWNLINK.bler, DOWNLINK.spectral_efficiency, DOWNLINK.bler_coded
    downlink = (DOWNLINK.snr_db, SESSION.downlink_num_ue, SESSION.downlink_mcs)
    return (
        select(
            *columns,
            *downlink,
            func.count().label("count"),
            func.sum(bler).label("sum_bler"),
            func.sum(_square(bler)).label("sum_bler_squared"),
            func.sum(efficiency).label("sum_spectral_efficiency"),
            func.sum(_square(efficiency)).label("sum_spectral_efficiency_squared"),
            func.sum(DOWNLINK.bler_perfect).label("sum_bler_perfect"),
            func.sum(DOWNLINK.spectral_efficiency_perfect).label("sum_spectral_efficiency_perfect"),
            func.coalesce(func.sum(coded), 0.0).label("sum_bler_coded"),
            func.coalesce(func.sum(_square(coded)), 0.0).label("sum_bler_coded_squared"),
            func.coalesce(func.sum(DOWNLINK.bler_coded_perfect), 0.0).label("sum_bler_coded_perfect"),
        )
        .select_from(schema.downlink.join(schema.reports, of_report(DOWNLINK)).join(schema.sessions))
        .where(where)
        .group_by(*columns, *downlink)
        .order_by(*(column.nulls_first() for column in downlink))
    )


def select_subband_sums(columns: Sequence[ColumnElement[Any]], where: ColumnElement[bool]) -> Select[Any]:
    """Select the sums of each group of the SGCS, ordered by number of subbands, layer and subband."""
    subband = (SESSION.num_subbands, SUBBAND.layer, SUBBAND.subband)
    return (
        select(
            *columns,
            *subband,
            func.count().label("count"),
            func.sum(SUBBAND.sgcs).label("sum_sgcs"),
            func.sum(_square(SUBBAND.sgcs)).label("sum_sgcs_squared"),
        )
        .select_from(schema.subbands.join(schema.reports, of_report(SUBBAND)).join(schema.sessions))
        .where(where)
        .group_by(*columns, *subband)
        .order_by(*subband)
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


def select_medians(columns: Sequence[ColumnElement[Any]], where: ColumnElement[bool]) -> Select[Any]:
    """Select the median NMSE of each group: the middle one or two by rank."""
    rank = func.row_number().over(partition_by=columns or None, order_by=REPORT.nmse).label("rank")
    count = func.count().over(partition_by=columns or None).label("num")
    ranked = select(*columns, REPORT.nmse, rank, count).select_from(schema.reports.join(schema.sessions))
    middle = ranked.where(where, REPORT.nmse.is_not(None)).subquery()
    keys = [middle.c[column.name] for column in columns]
    is_middle = and_(2 * middle.c.rank >= middle.c.num, 2 * middle.c.rank <= middle.c.num + 2)
    return select(*keys, func.avg(middle.c.nmse).label("median")).where(is_middle).group_by(*keys)


def condition(where: ReportFilter, *, scan: bool = False) -> ColumnElement[bool]:
    """Return the condition that a filter stands for; with ``scan``, one that no index serves."""
    wanted = {
        REPORT.session_id.concat("") if scan else REPORT.session_id: where.session_id,
        SESSION.codec: where.codec,
        SESSION.link: where.link,
        REPORT.ue_id: where.ue_id,
        REPORT.rate: where.rate,
        REPORT.snr_db: where.snr_db,
        SESSION.estimator: where.estimator,
        SESSION.cnr_db: where.cnr_db,
        SESSION.refinement: where.refinement,
    }
    return and_(true(), *(equals(column, value) for column, value in wanted.items() if value is not None))


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
    return DownlinkTotals(*tuple(row)[num_keys:])


def subband_totals(row: Row[Any], num_keys: int) -> SubbandTotals:
    """Convert a row of `select_subband_sums`."""
    return SubbandTotals(*tuple(row)[num_keys:])


def downlink_row(row: Row[Any]) -> DownlinkRow:
    """Convert a row of `select_downlink`."""
    return DownlinkRow(*(getattr(row, field.name) for field in dataclasses.fields(DownlinkRow)))


def subbands_of(rows: Sequence[Row[Any]]) -> tuple[tuple[float, ...], ...]:
    """Convert the rows of `select_subbands` to [layer][subband]."""
    layers = itertools.groupby(rows, key=lambda row: row.layer)
    return tuple(tuple(row.sgcs for row in of_layer) for _, of_layer in layers)
