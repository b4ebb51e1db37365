"""Our errors as problem+json (RFC 9457); the one place that knows both."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bs_server.api.schemas import Problem
from shared.errors import (
    CodecError,
    CsiError,
    DataFileError,
    DeadlineError,
    InvalidArgumentError,
    ModelMismatchError,
    NotFoundError,
    OverloadedError,
    StoreError,
    UnauthenticatedError,
    UnavailableError,
)

log = logging.getLogger(__name__)

INTERNAL = HTTPStatus.INTERNAL_SERVER_ERROR
STATUS: dict[type[CsiError], HTTPStatus] = {
    InvalidArgumentError: HTTPStatus.UNPROCESSABLE_ENTITY,
    CodecError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ModelMismatchError: HTTPStatus.CONFLICT,
    DataFileError: HTTPStatus.INTERNAL_SERVER_ERROR,
    UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    NotFoundError: HTTPStatus.NOT_FOUND,
    OverloadedError: HTTPStatus.TOO_MANY_REQUESTS,
    DeadlineError: HTTPStatus.GATEWAY_TIMEOUT,
    StoreError: HTTPStatus.INTERNAL_SERVER_ERROR,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error with problem+json."""

    @app.exception_handler(CsiError)
    async def ours(request: Request, error: CsiError) -> JSONResponse:
        status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), INTERNAL)
        answer = _problem(request, status, str(error))
        if status is HTTPStatus.UNAUTHORIZED:
            answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        sentences = [
            f"`{'.'.join(map(str, item['loc'][1:]))}`: {item['msg']}; got {item.get('input')!r}."
            for item in error.errors()
        ]
        return _problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, " ".join(sentences))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        answer = _problem(request, HTTPStatus(error.status_code), str(error.detail))
        answer.headers.update(error.headers or {})  # `Allow` of a 405
        return answer

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", exc_info=error, extra={"path": request.url.path})
        return _problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, "The base station failed; its log says why.")


def _problem(request: Request, status: HTTPStatus, detail: str) -> JSONResponse:
    body = Problem(title=status.phrase, status=status.value, detail=detail, instance=request.url.path)
    return JSONResponse(body.model_dump(), status.value, media_type="application/problem+json")
