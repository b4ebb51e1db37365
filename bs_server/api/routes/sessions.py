"""The sessions."""

from typing import Annotated

from fastapi import APIRouter, Query

from bs_server.api.deps import UsesContext
from bs_server.api.schemas import Session, SessionPage
from shared.errors import NotFoundError

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])


@router.get("")
async def sessions(
    context: UsesContext,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[float | None, Query(description="Unix time; `next_before` of the page before.")] = None,
) -> SessionPage:
    """Sessions, newest first."""
    rows = await context.store.sessions(limit, before)
    next_before = rows[-1].opened_at if len(rows) == limit else None
    return SessionPage(sessions=[Session.of(row) for row in rows], next_before=next_before)


@router.get("/{session_id}")
async def session(session_id: str, context: UsesContext) -> Session:
    """One session."""
    row = await context.store.session(session_id)
    if row is None:
        raise NotFoundError(f"`session_id` must be a session of the store; got {session_id!r}.")
    return Session.of(row)
