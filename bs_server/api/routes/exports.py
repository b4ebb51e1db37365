"""The same figures as CSV, one row a report or a group: `pandas.read_csv(url)` reads them.

The columns are the JSON's fields: `shared.summary.cells`. What JSON has as null is an empty cell.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from bs_server.api.deps import UsesContext, UsesFilter, UsesGroupBy
from bs_server.api.feed import summarise
from bs_server.api.schemas import Report
from bs_server.store import ReportFilter, Store
from shared.summary import group_table

PAGE = 1000  # reports read at a time: what an export needs of memory
CSV = "text/csv; charset=utf-8"
_DOCUMENTED: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}}}

router = APIRouter(prefix="/v1", tags=["exports"])


@router.get("/reports.csv", response_class=Response, responses=_DOCUMENTED)
async def reports_csv(context: UsesContext, where: UsesFilter) -> StreamingResponse:
    """Every report that there is now, oldest first."""
    newest = await context.store.newest_report_id()
    return StreamingResponse(_pages(context.store, where, newest), media_type=CSV, headers=_named("reports.csv"))


@router.get("/metrics/summary.csv", response_class=Response, responses=_DOCUMENTED)
async def summary_csv(context: UsesContext, where: UsesFilter, group_by: UsesGroupBy) -> Response:
    """The summary, one row a group."""
    summary = await summarise(context.store, where, group_by)
    columns, rows = group_table(summary.groups, group_by)
    text = _lines([columns, *rows])
    return Response(text, media_type=CSV, headers=_named("summary.csv"))


def _named(file: str) -> dict[str, str]:
    """Tell a browser what to call the file."""
    return {"Content-Disposition": f'attachment; filename="{file}"'}


async def _pages(store: Store, where: ReportFilter, newest: int) -> AsyncIterator[str]:
    """Yield the header, then page after page; reports that come meanwhile are left out, or it might never end."""
    yield _lines([list(Report.model_fields)])
    after_id = 0
    while True:
        rows = await store.reports(where, PAGE, after_id, scan=True)
        chosen = [row for row in rows if row.report_id <= newest]
        if chosen:
            yield await asyncio.to_thread(_lines, ([*Report.of(row).model_dump().values()] for row in chosen))
        if len(chosen) < PAGE:
            return
        after_id = chosen[-1].report_id


def _lines(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as lines; numbers as JSON writes them."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
