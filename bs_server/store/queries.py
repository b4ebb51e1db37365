"""The SELECT statements of the store on SQLAlchemy, and its rows as ours."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Dialect,
    Row,
    Select,
    Table,
    and_,
    case,
    false,
    func,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from bs_server.store import schema
from bs_server.store.base import DownlinkRow, ReportFilter, ReportRow, SessionRow
from shared.scoring import Scoring
from shared.types import CsiShape

REPORT, SESSION, KEPT = schema.reports.c, schema.sessions.c, schema.reconstructions.c
DOWNLINK, SUBBAND = schema.downlink.c, schema.subbands.c
_REPORT_FIELDS = [name for name in ReportRow._fields if name not in ("downlink", "sgcs_subbands")]


def insert_into(dialect: Dialect, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Begin an insertion that may say what becomes of rows that are there already."""
    return postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)


def of_report(columns: Any) -> ColumnElement[bool]:
    """Join a row of another table, by its columns, to its report."""
    return and_(
        columns.session_id == REPORT.session_id,
        columns.ue_id == REPORT.ue_id,
        columns.sequence == REPORT.sequence,
    )


def on_the_air(name: str) -> ColumnElement[int]:
    """Return a count of bits or symbols on the air; what came before version 3 was uncoded BPSK."""
    return func.coalesce(REPORT[name], REPORT.rate).label(name)


def num_bits_of() -> ColumnElement[int]:
    """Return the information bits of a report; before version 7 all that were of bits had as many as their rate."""
    before = case((REPORT.coded_bits == 0, 0), else_=REPORT.rate)
    return func.coalesce(REPORT.num_bits, before).label("num_bits")


def select_sessions() -> Select[Any]:
    """Select sessions and how many reports they have."""
    count = select(func.count()).where(REPORT.session_id == SESSION.session_id).scalar_subquery()
    return select(schema.sessions, count.label("num_reports"))


def select_reports() -> Select[Any]:
    """Select reports with what they take from their session, and whether their reconstruction was kept."""
    kept = select(KEPT.reconstruction_id).where(of_report(KEPT)).exists()
    of_session = (SESSION.codec, SESSION.link, SESSION.estimator, SESSION.cnr_db, SESSION.refinement)
    stored = [column for column in REPORT if column.name not in ("coded_bits", "channel_uses", "num_bits")]
    columns = (*stored, on_the_air("coded_bits"), on_the_air("channel_uses"), num_bits_of(), *of_session)
    return select(*columns, kept.label("has_reconstruction")).join(
        schema.sessions, SESSION.session_id == REPORT.session_id
    )


def select_runs(session_id: str) -> Select[Any]:
    """Select the runs of a session's reports: along one without a gap, sequence and row number grow alike."""
    number = func.row_number().over(partition_by=REPORT.ue_id, order_by=REPORT.sequence)
    numbered = select(REPORT.ue_id, REPORT.sequence, (REPORT.sequence - number).label("run"))
    rows = numbered.where(REPORT.session_id == session_id).subquery().c
    first = func.min(rows.sequence).label("first")
    runs = select(rows.ue_id, first, func.max(rows.sequence).label("last")).group_by(rows.ue_id, rows.run)
    return runs.order_by(rows.ue_id, first)


def select_reconstruction(report_id: int) -> Select[Any]:
    """Select the kept reconstruction of a report, with the shape of its channel."""
    return (
        select(schema.reconstructions, SESSION.num_rx_ant, SESSION.num_tx_ant, SESSION.num_subcarriers)
        .join(schema.reports, of_report(KEPT))
        .join(schema.sessions, SESSION.session_id == REPORT.session_id)
        .where(REPORT.report_id == report_id)
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


def downlink_row(row: Row[Any]) -> DownlinkRow:
    """Convert a row of `select_downlink`."""
    return DownlinkRow(*(getattr(row, name) for name in DownlinkRow._fields))


def subbands_of(rows: Sequence[Row[Any]]) -> tuple[tuple[float, ...], ...]:
    """Convert the rows of `select_subbands` to [layer][subband]."""
    layers = itertools.groupby(rows, key=lambda row: row.layer)
    return tuple(tuple(row.sgcs for row in of_layer) for _, of_layer in layers)
