"""What was measured, by group: asked once, or told again when it changes."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from sse_starlette import EventSourceResponse
from starlette.types import Receive, Scope, Send

from bs_server.api.deps import UsesContext, UsesFilter, UsesGroupBy
from bs_server.api.feed import SummaryFeed, Topic, summarise
from bs_server.api.schemas import Summary

HEARTBEAT_S = 15.0  # a comment line: proxies close what is silent for longer
SEND_TIMEOUT_S = 30.0  # of a listener that reads nothing

router = APIRouter(prefix="/v1/metrics", tags=["metrics"])


@router.get("/summary")
async def summary(context: UsesContext, where: UsesFilter, group_by: UsesGroupBy) -> Summary:
    """NMSE, SGCS, BER and BLER of the reports of each group, with 95 % intervals."""
    return await summarise(context.store, where, group_by)


@router.get(
    "/summary/stream",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events `summary`, the data JSON."}},
)
async def summary_stream(
    context: UsesContext,
    where: UsesFilter,
    group_by: UsesGroupBy,
    interval_s: Annotated[float, Query(ge=1, le=60, description="Least time from one event to the next.")] = 2.0,
) -> EventSourceResponse:
    """The summary as server-sent events: one at once, then one after each change."""
    return _SummaryEvents(context.feed, Topic(where, tuple(group_by), interval_s))


class _SummaryEvents(EventSourceResponse):
    """The events of one listener, who has a seat from the check whether there is one until the answer has ended."""

    def __init__(self, feed: SummaryFeed, topic: Topic) -> None:
        super().__init__(_events(feed.listen(topic)), ping=HEARTBEAT_S, send_timeout=SEND_TIMEOUT_S)
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._feed.seat():
            await super().__call__(scope, receive, send)


async def _events(summaries: AsyncIterator[str]) -> AsyncIterator[dict[str, str]]:
    async for text in summaries:
        yield {"event": "summary", "data": text}
