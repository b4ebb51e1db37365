"""The REST application."""

from fastapi import Depends, FastAPI
from fastapi.responses import RedirectResponse

from bs_server.api.deps import Context, bearer, only_known_parameters, require_token
from bs_server.api.problems import add_problem_handlers
from bs_server.api.routes import codecs, exports, health, metrics, prometheus, refiners, reports, sessions
from bs_server.api.schemas import Problem

# Not `model`, by which FastAPI would document application/json.
_PROBLEM = {"description": "Problem", "content": {"application/problem+json": {"schema": Problem.model_json_schema()}}}


def make_app(context: Context) -> FastAPI:
    """Build the application."""
    app = FastAPI(
        title="csilink base station",
        redoc_url=None,
        version=context.version,
        description="Reconstruction metrics of the CSI feedback link.",
        responses={"4XX": _PROBLEM, "5XX": _PROBLEM},
    )
    app.state.context = context
    add_problem_handlers(app)
    guards = [Depends(require_token), Depends(only_known_parameters)]
    if context.tokens:
        guards.append(Depends(bearer))
    app.include_router(health.router, dependencies=[Depends(only_known_parameters)])
    for routes in (codecs, refiners, sessions, metrics, reports, exports, prometheus):
        app.include_router(routes.router, dependencies=guards)

    @app.get("/", include_in_schema=False)
    async def index() -> RedirectResponse:
        return RedirectResponse("/docs")

    return app
