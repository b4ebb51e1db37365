"""The reports, and the reconstructions that were kept."""

import asyncio
import io
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query, Response
from numpy.typing import NDArray

from bs_server.api.deps import Context, UsesContext, UsesFilter
from bs_server.api.picture import draw
from bs_server.api.schemas import Reconstruction, Report, ReportDetail, ReportPage
from bs_server.store import ReconstructionRow, ReportRow
from shared.errors import NotFoundError

router = APIRouter(prefix="/v1/reports", tags=["reports"])

ReportId = Annotated[int, Path(ge=1, lt=2**63)]


@router.get("")
async def reports(
    context: UsesContext,
    where: UsesFilter,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after_id: Annotated[int, Query(ge=0, lt=2**63, description="`next_after_id` of the page before.")] = 0,
) -> ReportPage:
    """Reports, oldest first."""
    rows = await context.store.reports(where, limit, after_id)
    next_after_id = rows[-1].report_id if len(rows) == limit else None
    return ReportPage(reports=[Report.of(row) for row in rows], next_after_id=next_after_id)


@router.get("/{report_id}")
async def report(report_id: ReportId, context: UsesContext) -> ReportDetail:
    """One report."""
    return ReportDetail.of(await _report(report_id, context))


@router.get("/{report_id}/reconstruction")
async def reconstruction(report_id: ReportId, context: UsesContext) -> Reconstruction:
    """The reconstruction of a report, where it was kept, and the true channel, where the UE sent it."""
    row, kept = await _kept(report_id, context)
    session = await context.store.session(row.session_id)
    return Reconstruction(
        report_id=report_id,
        domain=session.shape.domain if session else "",
        shape=(kept.h_hat.shape[0], kept.h_hat.shape[1], kept.h_hat.shape[2]),
        h_hat=_pairs(kept.h_hat),
        h=None if kept.h is None else _pairs(kept.h),
    )


@router.get(
    "/{report_id}/reconstruction.npy",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
async def reconstruction_npy(report_id: ReportId, context: UsesContext) -> Response:
    """The reconstruction as a NumPy file, complex64 [num_rx_ant, num_tx_ant, num_subcarriers]."""
    _, kept = await _kept(report_id, context)
    buffer = io.BytesIO()
    np.save(buffer, kept.h_hat, allow_pickle=False)
    return Response(buffer.getvalue(), media_type="application/octet-stream")


@router.get(
    "/{report_id}/reconstruction.png",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}},
)
async def reconstruction_png(report_id: ReportId, context: UsesContext) -> Response:
    """|h| beside |h_hat|."""
    row, kept = await _kept(report_id, context)
    session = await context.store.session(row.session_id)
    domain = session.shape.domain if session else "angular-delay"
    return Response(await asyncio.to_thread(draw, row, kept, domain), media_type="image/png")


async def _report(report_id: int, context: Context) -> ReportRow:
    row = await context.store.report(report_id)
    if row is None:
        raise NotFoundError(f"`report_id` must be a report of the store; got {report_id}.")
    return row


async def _kept(report_id: int, context: Context) -> tuple[ReportRow, ReconstructionRow]:
    row = await _report(report_id, context)
    kept = await context.store.reconstruction(report_id)
    if kept is None:
        raise NotFoundError(
            f"The reconstruction of report {report_id} was not kept; `has_reconstruction` tells which were."
        )
    return row, kept


def _pairs(h: NDArray[np.complex64]) -> list[list[list[tuple[float, float]]]]:
    pairs: list[list[list[tuple[float, float]]]] = np.stack([h.real, h.imag], axis=-1).tolist()
    return pairs
