"""The SELECT statements of the store on SQLAlchemy, and its rows as our dataclasses."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, and_, false, func, select, true
from sqlalchemy.sql.elements import ColumnElement

from bs_server.store import schema
from bs_server.store.base import GroupColumn, GroupTotals, ReportFilter, ReportRow, SessionRow
from shared.types import CsiShape

REPORT, SESSION, KEPT = schema.reports.c, schema.sessions.c, schema.reconstructions.c
GROUPS: dict[GroupColumn, ColumnElement[Any]] = {
    "codec": SESSION.codec,
    "rate": REPORT.rate,
    "snr_db": REPORT.snr_db,
    "link": SESSION.link,
    "estimator": SESSION.estimator,
    "cnr_db": SESSION.cnr_db,
    "session": REPORT.session_id,
}
_REPORT_FIELDS = [field.name for field in dataclasses.fields(ReportRow)]


def same_report() -> ColumnElement[bool]:
    """Join a reconstruction to its report."""
    return and_(KEPT.session_id == REPORT.session_id, KEPT.ue_id == REPORT.ue_id, KEPT.sequence == REPORT.sequence)


def select_sessions() -> Select[Any]:
    """Select sessions and how many reports they have."""
    count = select(func.count()).where(REPORT.session_id == SESSION.session_id).scalar_subquery()
    return select(schema.sessions, count.label("num_reports"))


def select_reports() -> Select[Any]:
    """Select reports with what they take from their session, and whether their reconstruction was kept."""
    kept = select(KEPT.reconstruction_id).where(same_report()).exists()
    of_session = (SESSION.codec, SESSION.link, SESSION.estimator, SESSION.cnr_db)
    columns = (schema.reports, *of_session, kept.label("has_reconstruction"))
    return select(*columns).join(schema.sessions, SESSION.session_id == REPORT.session_id)


def select_reconstruction(report_id: int) -> Select[Any]:
    """Select the kept reconstruction of a report, with the shape of its channel."""
    return (
        select(schema.reconstructions, SESSION.num_rx_ant, SESSION.num_tx_ant, SESSION.num_subcarriers)
        .join(schema.reports, same_report())
        .join(schema.sessions, SESSION.session_id == REPORT.session_id)
        .where(REPORT.report_id == report_id)
    )


def select_sums(columns: Sequence[ColumnElement[Any]], where: ColumnElement[bool]) -> Select[Any]:
    """Select the sums of each group, ordered by key, None first; a report is scored when it has an NMSE."""
    scored = REPORT.nmse.is_not(None)
    return (
        select(
            *columns,
            func.count().label("num_reports"),
            func.count(REPORT.nmse).label("num_scored"),
            func.coalesce(func.sum(REPORT.nmse), 0.0).label("sum_nmse"),
            func.coalesce(func.sum(REPORT.nmse * REPORT.nmse), 0.0).label("sum_nmse_squared"),
            func.coalesce(func.sum(REPORT.sgcs), 0.0).label("sum_sgcs"),
            func.coalesce(func.sum(REPORT.bit_errors), 0).label("bit_errors"),
            func.count().filter(REPORT.bit_errors > 0).label("block_errors"),
            func.coalesce(func.sum(REPORT.rate).filter(scored), 0).label("scored_bits"),
            func.sum(REPORT.rate).label("info_bits"),
            func.count().filter(REPORT.fallback).label("fallbacks"),
            func.avg(REPORT.queue_ms).label("mean_queue_ms"),
            func.avg(REPORT.decode_ms).label("mean_decode_ms"),
            func.avg(REPORT.batch_size).label("mean_batch_size"),
        )
        .select_from(schema.reports.join(schema.sessions))
        .where(where)
        .group_by(*columns)
        .having(func.count() > 0)
        .order_by(*(column.nulls_first() for column in columns))
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
    )


def report_row(row: Row[Any]) -> ReportRow:
    """Convert a row of `select_reports`."""
    return ReportRow(**{name: getattr(row, name) for name in _REPORT_FIELDS})


def group_totals(row: Row[Any], num_keys: int, median: float | None) -> GroupTotals:
    """Convert a row of `select_sums` and the group's median."""
    return GroupTotals(
        key=tuple(row)[:num_keys],
        num_reports=row.num_reports,
        num_scored=row.num_scored,
        sum_nmse=row.sum_nmse,
        sum_nmse_squared=row.sum_nmse_squared,
        median_nmse=median,
        sum_sgcs=row.sum_sgcs,
        bit_errors=int(row.bit_errors),
        scored_bits=int(row.scored_bits),
        block_errors=row.block_errors,
        info_bits=int(row.info_bits),
        fallbacks=row.fallbacks,
        mean_queue_ms=row.mean_queue_ms,
        mean_decode_ms=row.mean_decode_ms,
        mean_batch_size=float(row.mean_batch_size),  # PostgreSQL averages integers to a Decimal
    )
