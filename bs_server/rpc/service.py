"""The gRPC service `csi.v1.CsiFeedback`.

Requests are parsed here and not by gRPC, whose answer to bytes that do not parse would be UNKNOWN.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from bs_server.handlers import BaseStation
from bs_server.observability import Observability
from bs_server.rpc.status import status_metadata, status_of
from protos.csi.v1 import feedback_pb2, frame_pb2
from shared.errors import InvalidArgumentError, UnavailableError
from shared.frame import FrameAck
from shared.wire import serde

log = logging.getLogger(__name__)

SERVICE: str = feedback_pb2.DESCRIPTOR.services_by_name["CsiFeedback"].full_name
MAX_FRAMES_IN_FLIGHT = 64  # of one stream; further frames wait in the transport, which slows the sender down
LINGER_S = 1.0  # of a stream when the service shuts down: cut off at once, the UE would lose acknowledgements

_Parsed = TypeVar("_Parsed", bound=Message)
_Context: TypeAlias = Any  # grpc.aio.ServicerContext; grpc ships no types
# Of a stream: every acknowledgement, then None, or the error that ends it.
_Acks: TypeAlias = "asyncio.Queue[frame_pb2.FrameAck | Exception | None]"


class CsiFeedbackService:
    """The methods of `protos/csi/v1/feedback.proto`.

    Args:
        station: Does the work.
        metrics: Counts refused frames.
    """

    def __init__(self, station: BaseStation, metrics: Observability) -> None:
        self._station = station
        self._metrics = metrics
        self._reading: set[asyncio.Task[Exception | None]] = set()

    def drain(self) -> None:
        """End every stream that its UE does not end by itself, which the first refused frame tells it to, in time."""
        for reading in self._reading:
            asyncio.get_running_loop().call_later(LINGER_S, reading.cancel)

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a gRPC server takes."""
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        methods = {
            "OpenSession": unary(self.open_session, response_serializer=_serialize),
            "Report": unary(self.report, response_serializer=_serialize),
            "StreamReports": stream(self.stream_reports, response_serializer=_serialize),
            "CloseSession": unary(self.close_session, response_serializer=_serialize),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def open_session(self, request: bytes, context: _Context) -> feedback_pb2.OpenSessionResponse:
        """Pair with a UE."""
        try:
            message = _parse(feedback_pb2.OpenSessionRequest, request)
            grant = await self._station.open_session(serde.session_request_from_proto(message))
        except Exception as error:
            _refuse(context, error)
            return feedback_pb2.OpenSessionResponse()
        return serde.session_grant_to_proto(grant)

    async def close_session(self, request: bytes, context: _Context) -> feedback_pb2.CloseSessionResponse:
        """End a session."""
        try:
            message = _parse(feedback_pb2.CloseSessionRequest, request)
            num_reports = await self._station.close_session(message.session_id)
        except Exception as error:
            _refuse(context, error)
            return feedback_pb2.CloseSessionResponse()
        return feedback_pb2.CloseSessionResponse(num_reports=num_reports)

    async def report(self, request: bytes, context: _Context) -> frame_pb2.FrameAck:
        """Take one frame; an error is the status of the call."""
        try:
            message = _parse(frame_pb2.Frame, request)
            self._admit(message)
            return await self._report(message, context.time_remaining())
        except Exception as error:
            _refuse(context, error)
            return frame_pb2.FrameAck()

    async def stream_reports(
        self, requests: AsyncIterator[bytes], context: _Context
    ) -> AsyncIterator[frame_pb2.FrameAck]:
        """Take frames; an error is the code of a frame's acknowledgement, bytes that do not parse end the stream."""
        acks: _Acks = asyncio.Queue()
        room = asyncio.Semaphore(MAX_FRAMES_IN_FLIGHT)
        reader = asyncio.create_task(self._read(requests, acks, room))
        try:
            while (ack := await acks.get()) is not None:
                if isinstance(ack, Exception):
                    _refuse(context, ack)
                    return
                yield ack
                room.release()
        finally:
            reader.cancel()
            await asyncio.wait([reader])

    async def _read(
        self,
        requests: AsyncIterator[bytes],
        acks: _Acks,
        room: asyncio.Semaphore,
    ) -> None:
        """Start a task for each frame; put every acknowledgement, then None, or the error that ends the stream."""
        frames: set[asyncio.Task[None]] = set()
        reading = asyncio.create_task(self._start(requests, acks, room, frames))
        self._reading.add(reading)
        try:
            await asyncio.wait([reading])
            if frames:
                await asyncio.wait(frames)
        except asyncio.CancelledError:  # the stream broke: what has not reached the device need not
            for task in (reading, *frames):
                task.cancel()
            raise
        finally:
            self._reading.discard(reading)
        shutting_down = UnavailableError("The base station is shutting down.")
        acks.put_nowait(shutting_down if reading.cancelled() else reading.result())

    async def _start(
        self,
        requests: AsyncIterator[bytes],
        acks: _Acks,
        room: asyncio.Semaphore,
        frames: set["asyncio.Task[None]"],
    ) -> Exception | None:
        """Read frames and start a task for each, until the stream ends or bytes do not parse; return that error."""
        messages: Any = aiter(requests)
        try:
            async with contextlib.aclosing(messages):  # gRPC's generator, left open, keeps its last message in a cycle
                async for request in messages:
                    await room.acquire()
                    message = _parse(frame_pb2.Frame, request)
                    try:
                        self._admit(message)
                    except Exception as error:  # without a task of its own: under overload most frames end here
                        acks.put_nowait(_refusal(message, error))
                        continue
                    task = asyncio.create_task(self._handle(message, acks))
                    frames.add(task)
                    task.add_done_callback(frames.discard)
        except Exception as error:
            return error.with_traceback(None)  # which would keep this frame, and the request, in a cycle
        return None

    async def _handle(self, message: frame_pb2.Frame, acks: _Acks) -> None:
        try:
            ack = await self._report(message, None)
        except Exception as error:  # one frame's error is that frame's acknowledgement
            ack = _refusal(message, error)
        acks.put_nowait(ack)

    def _admit(self, message: frame_pb2.Frame) -> None:
        """Refuse a frame that finds no room now, were all its reports new."""
        first = (message.ue_id[0], message.sequence[0]) if message.ue_id and message.sequence else None
        try:
            self._station.admit(message.session_id, len(message.ue_id), first)
        except Exception as error:
            self._metrics.received.inc(len(message.ue_id))
            self._count_refused(message, error)
            raise

    async def _report(self, message: frame_pb2.Frame, timeout_s: float | None) -> frame_pb2.FrameAck:
        """Take a frame that is admitted, and count its reports: each is stored, known already, or refused."""
        self._metrics.received.inc(len(message.ue_id))
        try:
            ack = await self._station.report(serde.frame_from_proto(message), timeout_s)
        except Exception as error:
            self._count_refused(message, error)
            raise
        return serde.frame_ack_to_proto(ack)

    def _count_refused(self, message: frame_pb2.Frame, error: Exception) -> None:
        """Count the reports of a frame that is refused, by the reason."""
        code, _, _ = status_of(error)
        if code is grpc.StatusCode.INTERNAL:
            log.error("a frame failed", exc_info=error)
        self._metrics.refused.labels(code.name.lower()).inc(len(message.ue_id))


def _refusal(message: frame_pb2.Frame, error: Exception) -> frame_pb2.FrameAck:
    """Return the acknowledgement of a frame none of whose reports is accepted."""
    code, sentence, delay_ms = status_of(error)
    refused = FrameAck.refused(message.session_id, message.frame_id, code.value[0], sentence, delay_ms)
    return serde.frame_ack_to_proto(refused)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def _parse(kind: type[_Parsed], request: bytes) -> _Parsed:
    try:
        message: _Parsed = kind.FromString(request)
    except DecodeError as error:
        sentence = f"The request must be a csi.v1.{kind.__name__} message; it does not parse."
        raise InvalidArgumentError(sentence) from error
    return message


def _refuse(context: _Context, error: Exception) -> None:
    """Set the status of a call, whose answer gRPC then leaves out.

    Not ``context.abort``: what that raises lies in a reference cycle with the request, which then stays in memory until
    the next full garbage collection.
    """
    code, sentence, delay_ms = status_of(error)
    if code is grpc.StatusCode.INTERNAL:
        log.error("a call failed", exc_info=error)
    context.set_code(code)
    context.set_details(sentence)
    context.set_trailing_metadata(status_metadata(code, sentence, delay_ms))
