"""The metrics that Prometheus collects."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bs_server.api.deps import UsesContext

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(context: UsesContext) -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(context.metrics.registry), media_type=CONTENT_TYPE_LATEST)
