"""Send frames over gRPC; the only importer of `protos` in the UE.

    frames --window--> stream ==> base station ==> acknowledgements --> deliveries
              ^                                        |
              '--- refused for overload: again after the base station's delay, with backoff and jitter

A frame is sent again only when the base station said that it took none of it. When a stream breaks, what was not
acknowledged may or may not have been stored, and is not sent again.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc

from protos.csi.v1 import feedback_pb2, feedback_pb2_grpc
from shared.errors import CsiError, InvalidArgumentError, ModelMismatchError, NotFoundError, UnavailableError
from shared.frame import Frame, FrameAck, SessionGrant, SessionRequest
from shared.wire import serde

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_ATTEMPTS = 50
MAX_BACKOFF_S = 10.0
RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]

_ERRORS: dict[grpc.StatusCode, type[CsiError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    grpc.StatusCode.FAILED_PRECONDITION: ModelMismatchError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A frame and what became of it.

    Attributes:
        frame: The frame.
        ack: Its last acknowledgement.
        latency_s: From its first sending to that acknowledgement.
        num_attempts: Times it was sent.
    """

    frame: Frame
    ack: FrameAck
    latency_s: float
    num_attempts: int


class Sender:
    """A connection to a base station.

    Args:
        address: ``host:port``.
        seed: Seed of the jitter.
    """

    def __init__(self, address: str, seed: int = 0) -> None:
        self._address = address
        self._random = random.Random(seed)  # noqa: S311  (jitter, no secret)
        self._channel = grpc.aio.insecure_channel(
            address,
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ],
        )
        self._stub = feedback_pb2_grpc.CsiFeedbackStub(self._channel)  # type: ignore[no-untyped-call]  # generated

    async def connect(self, timeout_s: float) -> None:
        """Wait for the base station; gRPC tries again with backoff until the time is over.

        Raises:
            UnavailableError: If nobody answers in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._channel.channel_ready()
        except TimeoutError:
            raise UnavailableError(
                f"No base station answers at {self._address} within {timeout_s:g} s; start one with `csi-bs serve`."
            ) from None

    async def open_session(self, request: SessionRequest) -> SessionGrant:
        """Pair with the base station.

        Raises:
            CsiError: If it refuses, with its sentence.
        """
        try:
            return serde.session_grant_from_proto(await self._stub.OpenSession(serde.session_request_to_proto(request)))
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from error

    async def close_session(self, session_id: str) -> int:
        """End a session; return how many reports of it are stored.

        Raises:
            CsiError: If the base station refuses.
        """
        try:
            answer = await self._stub.CloseSession(feedback_pb2.CloseSessionRequest(session_id=session_id))
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from error
        return int(answer.num_reports)

    async def report(self, frame: Frame, timeout_s: float | None = None) -> FrameAck:
        """Send one frame by a unary call, once.

        Raises:
            CsiError: If the base station refuses it.
        """
        try:
            return serde.frame_ack_from_proto(await self._stub.Report(serde.frame_to_proto(frame), timeout=timeout_s))
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from error

    async def send(self, frames: AsyncIterator[Frame], in_flight: int) -> AsyncIterator[Delivery]:
        """Stream frames, at most ``in_flight`` of them unacknowledged, and yield each when it is done.

        Raises:
            UnavailableError: If the stream breaks; says how many frames were not acknowledged.
        """
        room = asyncio.Semaphore(in_flight)
        pending: dict[int, tuple[Frame, float, int]] = {}
        again: set[asyncio.Task[None]] = set()
        call = self._stub.StreamReports()
        writer = asyncio.create_task(self._write(call, frames, room, pending))
        try:
            while not (writer.done() and not pending):
                ack = await self._next_ack(call, writer, pending)
                if ack is None:
                    continue
                frame, first_s, attempts = pending[ack.frame_id]
                if ack.code == RESOURCE_EXHAUSTED and attempts < MAX_ATTEMPTS:
                    pending[ack.frame_id] = (frame, first_s, attempts + 1)
                    task = asyncio.create_task(self._write_again(call, frame, ack.retry_delay_ms, attempts))
                    again.add(task)
                    task.add_done_callback(again.discard)
                    continue
                del pending[ack.frame_id]
                room.release()
                yield Delivery(frame, ack, time.monotonic() - first_s, attempts)
            await writer
            await call.done_writing()
        except grpc.aio.AioRpcError as error:
            raise self._error(error, len(pending)) from error
        finally:
            for task in (writer, *again):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await writer
            call.cancel()

    async def close(self) -> None:
        """Disconnect."""
        await self._channel.close()

    async def _next_ack(
        self,
        call: grpc.aio.StreamStreamCall,
        writer: "asyncio.Task[None]",
        pending: dict[int, tuple[Frame, float, int]],
    ) -> FrameAck | None:
        """Return the next acknowledgement, or None when the writer ended first."""
        read = asyncio.ensure_future(call.read())
        waiting = {read} if writer.done() else {read, writer}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not read.done() and not pending:
            read.cancel()
            return None
        message = await read
        if message is grpc.aio.EOF:
            raise UnavailableError(f"The base station ended the stream; {len(pending)} frames were not acknowledged.")
        return serde.frame_ack_from_proto(message)

    @staticmethod
    async def _write(
        call: grpc.aio.StreamStreamCall,
        frames: AsyncIterator[Frame],
        room: asyncio.Semaphore,
        pending: dict[int, tuple[Frame, float, int]],
    ) -> None:
        async for frame in frames:
            await room.acquire()
            pending[frame.frame_id] = (frame, time.monotonic(), 1)
            await call.write(serde.frame_to_proto(frame))

    async def _write_again(self, call: grpc.aio.StreamStreamCall, frame: Frame, delay_ms: int, attempts: int) -> None:
        backoff_s = min(delay_ms / 1000 * 2 ** min(attempts - 1, 10), MAX_BACKOFF_S)
        await asyncio.sleep(backoff_s * self._random.uniform(1.0, 1.5))
        await call.write(serde.frame_to_proto(frame))

    def _error(self, error: grpc.aio.AioRpcError, num_pending: int = 0) -> CsiError:
        """Return a refusal as the base station's own error, anything else as one that names the address."""
        code, sentence = error.code(), error.details()
        if code in _ERRORS:
            return _ERRORS[code](sentence)
        lost = f"; {num_pending} frames were not acknowledged" if num_pending else ""
        return UnavailableError(f"The base station at {self._address} answered {code.name}: {sentence}{lost}")
