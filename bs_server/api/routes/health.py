"""Whether the base station is alive, and whether it takes reports."""

from fastapi import APIRouter

from bs_server.api.deps import Context, UsesContext
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
