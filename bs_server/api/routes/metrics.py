"""What was measured, by group."""

from typing import Annotated

from fastapi import APIRouter, Query

from bs_server.api.deps import UsesContext, UsesFilter
from bs_server.api.schemas import Group, Summary
from bs_server.store import GroupColumn

router = APIRouter(prefix="/v1/metrics", tags=["metrics"])


@router.get("/summary")
async def summary(
    context: UsesContext,
    where: UsesFilter,
    group_by: Annotated[list[GroupColumn], Query(description="Repeat for several.", examples=[["codec", "snr_db"]])] = [  # noqa: B006  (FastAPI reads it, nothing writes it)
        "codec",
        "rate",
        "snr_db",
        "link",
        "estimator",
        "cnr_db",
    ],
) -> Summary:
    """NMSE, SGCS, BER and BLER of the reports of each group, with 95 % intervals."""
    columns = list(dict.fromkeys(group_by))
    totals = await context.store.totals(where, columns)
    return Summary(group_by=columns, groups=[Group.of(group, columns) for group in totals])
