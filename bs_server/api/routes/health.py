"""Whether the service lives, whether it takes reports, and its Prometheus metrics."""

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bs_server.api.deps import Context, UsesContext, require_token
from bs_server.api.schemas import Health
from shared.errors import UnavailableError

router = APIRouter(tags=["health"])


def _health(context: Context) -> Health:
    return Health(
        status="ok",
        version=context.version,
        device=context.device,
        queued_reports=context.queued_reports(),
        store="failing" if context.store_failing() else "ok",
    )


@router.get("/v1/health/live")
async def live(context: UsesContext) -> Health:
    """The process runs."""
    return _health(context)


@router.get("/v1/health/ready")
async def ready(context: UsesContext) -> Health:
    """The process takes reports; 503 while it shuts down."""
    if not context.is_ready():
        raise UnavailableError("The base station does not take reports any more: it shuts down.")
    return _health(context)


@router.get(
    "/metrics",
    dependencies=[Depends(require_token)],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def metrics(context: UsesContext) -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(context.metrics.registry), media_type=CONTENT_TYPE_LATEST)
