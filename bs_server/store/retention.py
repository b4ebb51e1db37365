"""Old sessions leave the store, each with all that is of it: reports, their details, and what they add up to.

    remove_chunk, one transaction after the other: details, reports; then cells and session

Reports are stored between the chunks. The session goes last: killed in between, it is there to be removed again.
Meanwhile what is left of it is a part: of its reports, and of summaries of single UEs.
"""

from sqlalchemy import Connection, Select, Table, exists, func, or_, select, tuple_

from bs_server.store import schema
from bs_server.store.queries import REPORT, SESSION
from bs_server.store.totals import INSERTING

CHUNK_ROWS = 5_000
_OF_REPORTS = (schema.downlink, schema.subbands, schema.reconstructions, schema.reports)
_OF_SESSIONS = (schema.cells, schema.downlink_cells, schema.subband_cells, schema.nmse_counts, schema.sessions)


def select_idle_sessions(before: float, session_id: str | None = None) -> Select[tuple[str]]:
    """Select the sessions that were closed before a time, or opened before it and sent nothing since; or one alone."""
    later = exists().where(REPORT.session_id == SESSION.session_id, REPORT.received_at >= before)
    over = or_(SESSION.closed_at < before, SESSION.closed_at.is_(None))
    statement = select(SESSION.session_id).where(over, SESSION.opened_at < before, ~later)
    if session_id is not None:
        statement = statement.where(SESSION.session_id == session_id)
    return statement.order_by(SESSION.opened_at)


def remove_chunk(connection: Connection, session_id: str) -> bool:
    """Remove some rows of a session, the session itself with the last of them; return whether there are more."""
    if connection.dialect.name == "postgresql":  # nobody sums up reports meanwhile, nor stores any
        connection.execute(select(func.pg_advisory_xact_lock(INSERTING)))
    for table in _OF_REPORTS:
        if _remove_some(connection, table, session_id) == CHUNK_ROWS:
            return True
    for table in _OF_SESSIONS:
        connection.execute(table.delete().where(table.c.session_id == session_id))
    return False


def _remove_some(connection: Connection, table: Table, session_id: str) -> int:
    """Remove at most `CHUNK_ROWS` rows of a session; return how many."""
    key = tuple_(*table.primary_key)
    some = select(*table.primary_key).where(table.c.session_id == session_id).limit(CHUNK_ROWS)
    return int(connection.execute(table.delete().where(key.in_(some))).rowcount)
