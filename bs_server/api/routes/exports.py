"""The same figures as CSV, one row a report or a group: `pandas.read_csv(url)` reads them.

The columns are the JSON's fields, those of an object within joined by "_" (`nmse_mean_db`), those of the downlink
after their SNR (`downlink_10db_bler_value`). What JSON has as null is an empty cell.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, get_args

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from bs_server.api.deps import UsesContext, UsesFilter, UsesGroupBy
from bs_server.api.feed import summarise
from bs_server.api.schemas import Report
from bs_server.api.summary import Downlink, Group
from bs_server.store import GroupColumn, ReportFilter, Store

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
    downlink_snr_db = sorted({score.snr_db for group in summary.groups for score in group.downlink})
    rows = [list(_group_cells(group, group_by, downlink_snr_db)) for group in summary.groups]
    header = [name for name, _ in _group_cells(None, group_by, downlink_snr_db)]
    text = _lines([header, *([cell for _, cell in row] for row in rows)])
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


def _group_cells(
    group: Group | None, group_by: Sequence[str], downlink_snr_db: Sequence[float]
) -> Iterator[tuple[str, object]]:
    """Yield column and value of a group, only the keys that are grouped by; without a group, the columns alone."""
    keys = get_args(GroupColumn)
    shown = [name for name in Group.model_fields if name != "downlink" and (name in group_by or name not in keys)]
    yield from _cells(Group, group, shown)
    for snr_db in downlink_snr_db:
        scores = group.downlink if group else []
        of_snr = next((score for score in scores if score.snr_db == snr_db), None)
        for name, value in _cells(Downlink, of_snr, [name for name in Downlink.model_fields if name != "snr_db"]):
            yield f"downlink_{snr_db:g}db_{name}", value


def _cells(model: type[BaseModel], value: BaseModel | None, shown: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Yield the fields of an answer, those of an object within after its name."""
    for name in shown:
        annotation, inner = model.model_fields[name].annotation, getattr(value, name, None)
        kinds = (annotation, *get_args(annotation))
        part = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if part is None:
            yield name, inner
        else:
            yield from ((f"{name}_{field}", cell) for field, cell in _cells(part, inner, list(part.model_fields)))


def _lines(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as lines; numbers as JSON writes them."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
