"""What the routes work with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPBearer

from bs_server.api.feed import SummaryFeed
from bs_server.observability import Observability
from bs_server.security import Tokens
from bs_server.store import ReportFilter, Store
from shared.errors import InvalidArgumentError
from shared.model_files import CodecCard
from shared.refinement import RefinerCard
from shared.refinement.label import parse_refinement
from shared.summary import DEFAULT_GROUP_BY, GroupColumn


@dataclass(frozen=True, slots=True)
class Context:
    """What the routes read.

    Attributes:
        store: Sessions and reports.
        cards: Returns the cards of the models held; of two of one name, the newer is last.
        refiners: Cards of the refiners held.
        metrics: Prometheus metrics.
        is_ready: Whether the service takes reports.
        queued_reports: Reports waiting for the device.
        store_failing: Whether the last reports could not be stored.
        device: Name of the device.
        version: csilink version.
        feed: Summaries told again when they change.
        tokens: That open everything but the health checks.
    """

    store: Store
    cards: Callable[[], list[CodecCard]]
    refiners: list[RefinerCard]
    metrics: Observability
    is_ready: Callable[[], bool]
    queued_reports: Callable[[], int]
    store_failing: Callable[[], bool]
    device: str
    version: str
    feed: SummaryFeed
    tokens: Tokens


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _report_filter(
    session: Annotated[str | None, Query(description="Session id.")] = None,
    codec: Annotated[str | None, Query(examples=["klt"])] = None,
    link: Annotated[str | None, Query(examples=["digital:bsc"])] = None,
    ue_id: Annotated[int | None, Query(ge=0, lt=2**32)] = None,
    rate: Annotated[int | None, Query(ge=1, lt=2**31, description="Information bits, or symbols.")] = None,
    snr_db: Annotated[float | None, Query(description="Es/N0 of the feedback link.")] = None,
    estimator: Annotated[str | None, Query(examples=["ls"])] = None,
    cnr_db: Annotated[float | None, Query(description="SNR of the estimator's pilots.")] = None,
    refinement: Annotated[str | None, Query(examples=["never"])] = None,
) -> ReportFilter:
    label = None if refinement is None else str(parse_refinement(refinement))
    return ReportFilter(session, codec, link, ue_id, rate, snr_db, estimator, cnr_db, label)


def _group_by(
    group_by: Annotated[list[GroupColumn], Query(description="Repeat for several.", examples=[["codec", "snr_db"]])] = [  # noqa: B006  (FastAPI reads it, nothing writes it)
        *DEFAULT_GROUP_BY
    ],
) -> list[GroupColumn]:
    return list(dict.fromkeys(group_by))


def only_known_parameters(request: Request) -> None:
    """Refuse a query parameter that the route does not have, or that is given twice where once is meant.

    Raises:
        InvalidArgumentError: Naming the parameter and those that there are.
    """
    path: str = request.scope["route"].path
    described = request.app.openapi()["paths"][path]["get"].get("parameters", [])
    known = {parameter["name"]: parameter["schema"] for parameter in described if parameter["in"] == "query"}
    for name in request.query_params:
        if name not in known:
            raise InvalidArgumentError(f"`{name}` is no parameter of {path}; there are: {', '.join(known) or 'none'}.")
        values = request.query_params.getlist(name)
        if len(values) > 1 and known[name].get("type") != "array":
            raise InvalidArgumentError(f"`{name}` must be given once; got {', '.join(values)}.")


bearer = HTTPBearer(auto_error=False, description="One of the base station's token file.")  # for the document


def require_token(request: Request) -> None:
    """Refuse a call without a token, where one is needed.

    Raises:
        UnauthenticatedError: If it carries none that is known.
    """
    _context(request).tokens.require(request.headers.get("authorization"))


UsesContext = Annotated[Context, Depends(_context)]
UsesFilter = Annotated[ReportFilter, Depends(_report_filter)]
UsesGroupBy = Annotated[list[GroupColumn], Depends(_group_by)]
