"""Our errors as gRPC status; the one place that knows both."""

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

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

STATUS: dict[type[CsiError], grpc.StatusCode] = {
    InvalidArgumentError: grpc.StatusCode.INVALID_ARGUMENT,
    CodecError: grpc.StatusCode.INVALID_ARGUMENT,
    ModelMismatchError: grpc.StatusCode.FAILED_PRECONDITION,
    DataFileError: grpc.StatusCode.FAILED_PRECONDITION,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    OverloadedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeadlineError: grpc.StatusCode.DEADLINE_EXCEEDED,
    StoreError: grpc.StatusCode.INTERNAL,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
}

MAX_SENTENCE = 1000  # gRPC sends it as metadata, which is bounded


def status_of(error: Exception) -> tuple[grpc.StatusCode, str, int]:
    """Return status, sentence and retry delay (ms; 0 for none) of an error."""
    if not isinstance(error, CsiError):
        return grpc.StatusCode.INTERNAL, "The base station failed; its log says why.", 0
    delay_ms = error.retry_delay_ms if isinstance(error, OverloadedError) else 0
    code = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), grpc.StatusCode.INTERNAL)
    return code, str(error)[:MAX_SENTENCE], delay_ms


def status_metadata(code: grpc.StatusCode, message: str, retry_delay_ms: int) -> tuple[tuple[str, bytes], ...]:
    """Return the trailing metadata that carries google.rpc.RetryInfo; empty without a delay."""
    if not retry_delay_ms:
        return ()
    delay = Duration()
    delay.FromMilliseconds(retry_delay_ms)
    detail = Any()
    detail.Pack(RetryInfo(retry_delay=delay))
    status = Status(code=code.value[0], message=message, details=[detail])
    return (("grpc-status-details-bin", status.SerializeToString()),)
