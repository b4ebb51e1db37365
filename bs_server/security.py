"""Who may call: bearer tokens of both APIs, TLS of both, client certificates of gRPC.

    token file   one token a line; any of them opens everything but the health checks
    TLS          certificate and key in PEM, one for gRPC and REST; a CA beside them: gRPC takes only clients it signed

Tokens are kept as digests, compared in constant time, and written nowhere.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc

from bs_server.config import Settings
from shared.credentials import is_token, read_certificates, read_file, read_pair
from shared.errors import DataFileError, UnauthenticatedError

OPEN_SERVICES = ("/grpc.health.v1.Health/",)

_Handler: TypeAlias = Any  # grpc.RpcMethodHandler; grpc ships no types


class Tokens:
    """The tokens that open the APIs; none: they are open.

    Args:
        tokens: As callers send them.

    Example:
        >>> tokens = Tokens(("0123456789abcdef",))
        >>> tokens.require("Bearer 0123456789abcdef")
        >>> tokens.require("Bearer 0123456789abcdeF")
        Traceback (most recent call last):
        shared.errors.UnauthenticatedError: The call must carry a bearer token that this base station knows.
    """

    def __init__(self, tokens: tuple[str, ...] = ()) -> None:
        self._digests = [_digest(token) for token in tokens]

    def __bool__(self) -> bool:
        """Whether calls need one."""
        return bool(self._digests)

    def require(self, authorization: str | None) -> None:
        """Raise unless a call may pass.

        Args:
            authorization: The call's header.

        Raises:
            UnauthenticatedError: If a token is needed, and it carries none that is known.
        """
        kind, _, token = (authorization or "").partition(" ")
        digest = _digest(token.strip())
        known = [hmac.compare_digest(digest, one) for one in self._digests]  # all of them, whichever it is
        if self and not (kind.lower() == "bearer" and any(known)):
            raise UnauthenticatedError("The call must carry a bearer token that this base station knows.")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def read_tokens(path: str | None) -> Tokens:
    """Read the tokens of a file; none without a file.

    Raises:
        DataFileError: If there is no such file, it has no token, or one is too short to be one. Never says it.
    """
    if path is None:
        return Tokens()
    lines = [line.strip() for line in read_file("token_file", path).decode(errors="replace").splitlines()]
    tokens = tuple(line for line in lines if line and not line.startswith("#"))
    if not tokens or not all(is_token(token) for token in tokens):
        raise DataFileError(
            f"`token_file` must hold a token a line, 16 characters of ASCII or more; '{path}' does not."
        )
    return Tokens(tokens)


class TokenInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc ships no types
    """Refuses calls without a token, with UNAUTHENTICATED.

    Args:
        tokens: Those that open the service.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[_Handler]], details: Any) -> _Handler:
        """Return the handler of a call, or one that refuses it."""
        handler = await continuation(details)
        if handler is None or details.method.startswith(OPEN_SERVICES):
            return handler
        try:
            self._tokens.require(dict(details.invocation_metadata or ()).get("authorization"))
        except UnauthenticatedError as error:
            return _refusing(handler, str(error))
        return handler


def _refusing(handler: _Handler, sentence: str) -> _Handler:
    """Return a handler of the same kind that refuses."""

    def tell(context: Any) -> None:  # not by `abort`, whose exception keeps the request until a garbage collection
        context.set_code(grpc.StatusCode.UNAUTHENTICATED)
        context.set_details(sentence)

    async def refuse(_: Any, context: Any) -> bytes:
        tell(context)
        return b""

    async def refuse_stream(_: Any, context: Any) -> Any:
        tell(context)
        return
        yield  # makes it a stream

    if handler.request_streaming:
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(refuse_stream)
        return grpc.stream_unary_rpc_method_handler(refuse)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(refuse_stream)
    return grpc.unary_unary_rpc_method_handler(refuse)


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Return what gRPC listens with; None for plaintext.

    Raises:
        DataFileError: If a file is not there or not what it should be.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    cert, key = read_pair(settings.tls_cert, settings.tls_key)
    ca = settings.tls_client_ca
    clients = None if ca is None else read_certificates("tls_client_ca", ca)
    return grpc.ssl_server_credentials([(key, cert)], clients, clients is not None)
