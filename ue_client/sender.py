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
from typing import Any, TypeAlias

import grpc

from protos.csi.v1 import feedback_pb2, feedback_pb2_grpc
from shared.errors import (
    CsiError,
    InvalidArgumentError,
    ModelMismatchError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from shared.frame import Frame, FrameAck, SessionGrant, SessionRequest
from shared.wire import serde
from ue_client.channel import make_channel, metadata_of
from ue_client.config import OPEN, Access

MAX_ATTEMPTS = 50
MAX_BACKOFF_S = 10.0
MAX_DOUBLINGS = 3
CALL_TIMEOUT_S = 30.0  # of opening and closing a session
ACK_TIMEOUT_S = 60.0  # without any acknowledgement while frames wait for one; longer than every backoff
RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE.value[0]

_Call: TypeAlias = Any  # grpc.aio.StreamStreamCall; grpc ships no types

_ERRORS: dict[grpc.StatusCode, type[CsiError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgumentError,
    grpc.StatusCode.FAILED_PRECONDITION: ModelMismatchError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
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
        access: TLS and token.

    Raises:
        DataFileError: If a file of TLS or token is not there, or not what it should be.
    """

    def __init__(self, address: str, seed: int = 0, access: Access = OPEN) -> None:
        self._address, self._tls = address, access.tls_ca is not None
        self._metadata = metadata_of(access)
        self._random = random.Random(seed)  # noqa: S311  (jitter, no secret)
        self._channel = make_channel(address, access)
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
            or_else = ", or its certificate is not signed by `tls_ca`, or it asks for one" if self._tls else ""
            raise UnavailableError(
                f"No base station answers at {self._address} within {timeout_s:g} s; "
                f"start one with `csi-bs serve`{or_else}."
            ) from None

    async def open_session(self, request: SessionRequest) -> SessionGrant:
        """Pair with the base station.

        Raises:
            CsiError: If it refuses, with its sentence.
        """
        try:
            return serde.session_grant_from_proto(
                await self._stub.OpenSession(
                    serde.session_request_to_proto(request), timeout=CALL_TIMEOUT_S, metadata=self._metadata
                )
            )
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from error

    async def close_session(self, session_id: str) -> int:
        """End a session; return how many reports of it are stored.

        Raises:
            CsiError: If the base station refuses.
        """
        try:
            request = feedback_pb2.CloseSessionRequest(session_id=session_id)
            answer = await self._stub.CloseSession(request, timeout=CALL_TIMEOUT_S, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from error
        return int(answer.num_reports)

    async def report(self, frame: Frame, timeout_s: float | None = None) -> FrameAck:
        """Send one frame by a unary call, once.

        Raises:
            CsiError: If the base station refuses it.
        """
        try:
            message = serde.frame_to_proto(frame)
            answer = await self._stub.Report(message, timeout=timeout_s, metadata=self._metadata)
            return serde.frame_ack_from_proto(answer)
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from error

    async def send(
        self, frames: AsyncIterator[Frame], in_flight: int, max_attempts: int = MAX_ATTEMPTS
    ) -> AsyncIterator[Delivery]:
        """Stream frames, at most ``in_flight`` of them unacknowledged, and yield each when it is done.

        Args:
            frames: What to send.
            in_flight: Most frames that may wait for their acknowledgement.
            max_attempts: Times that a frame is sent while it is refused for overload.

        Raises:
            UnavailableError: If the base station shuts down, says nothing any more, or the stream breaks; the frames
                that were not yielded may or may not be stored.
        """
        stream = _Stream(self._stub.StreamReports(metadata=self._metadata), in_flight)
        writer = asyncio.create_task(stream.write_all(frames))
        again: set[asyncio.Task[None]] = set()
        try:
            while (ack := await stream.next_ack(writer)) is not None:
                if ack.frame_id not in stream.pending:
                    raise UnavailableError(f"The base station acknowledged frame {ack.frame_id}, which does not wait.")
                frame, first_s, attempts = stream.pending[ack.frame_id]
                if ack.code == RESOURCE_EXHAUSTED and attempts < max_attempts:
                    stream.pending[ack.frame_id] = (frame, first_s, attempts + 1)
                    task = asyncio.create_task(stream.write_again(frame, self._backoff_s(ack.retry_delay_ms, attempts)))
                    again.add(task)
                    task.add_done_callback(again.discard)
                    continue
                stream.settle(ack)
                yield Delivery(frame, ack, time.monotonic() - first_s, attempts)
            if stream.stopping:
                raise UnavailableError(f"The base station at {self._address} is shutting down.")
        except grpc.aio.AioRpcError as error:
            raise self._error(error, len(stream.pending)) from error
        finally:
            stream.call.cancel()
            for task in (writer, *again):
                task.cancel()
            await asyncio.gather(writer, *again, return_exceptions=True)

    def _backoff_s(self, delay_ms: int, attempts: int) -> float:
        """Return how long to wait before sending again: the base station's delay, doubled three times, with jitter.

        Not doubled on: that delay tells already how busy the base station is, and a frame with bad luck waits for good.
        """
        delay_s = delay_ms / 1000 * float(2 ** min(attempts - 1, MAX_DOUBLINGS))
        return min(delay_s, MAX_BACKOFF_S) * self._random.uniform(1.0, 1.5)

    async def close(self) -> None:
        """Disconnect."""
        await self._channel.close()

    def _error(self, error: grpc.aio.AioRpcError, num_pending: int = 0) -> CsiError:
        """Return a refusal as the base station's own error, anything else as one that names the address."""
        code, sentence = error.code(), error.details()
        if code in _ERRORS:
            return _ERRORS[code](sentence)
        lost = f"; {num_pending} frames were not acknowledged" if num_pending else ""
        return UnavailableError(f"The base station at {self._address} answered {code.name}: {sentence}{lost}")


class _Stream:
    """One stream of frames and acknowledgements.

    The writer ends the stream from this side when every frame is settled; the base station then ends it from its own.
    Nothing that reads or writes is cancelled before: gRPC would cancel the whole call.

    Args:
        call: The gRPC call.
        in_flight: Most frames that may wait for their acknowledgement.
    """

    def __init__(self, call: _Call, in_flight: int) -> None:
        self.call = call
        self.pending: dict[int, tuple[Frame, float, int]] = {}  # frame id -> frame, time first sent, attempts
        self.stopping = False
        self._room = asyncio.Semaphore(in_flight)
        self._writing = asyncio.Lock()  # a gRPC stream takes one write at a time
        self._settled = asyncio.Event()
        self._settled.set()
        self._heard_s = 0.0

    async def write_all(self, frames: AsyncIterator[Frame]) -> None:
        """Write frames as room allows; end the stream when all are settled."""
        async for frame in frames:
            await self._room.acquire()
            if self.stopping:
                break
            if not self.pending:
                self._heard_s = time.monotonic()
                self._settled.clear()
            self.pending[frame.frame_id] = (frame, time.monotonic(), 1)
            async with self._writing:
                await self.call.write(serde.frame_to_proto(frame))
        await self._settled.wait()
        async with self._writing:
            await self.call.done_writing()

    async def write_again(self, frame: Frame, delay_s: float) -> None:
        """Write a refused frame again, later."""
        await asyncio.sleep(delay_s)
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # a broken stream tells its reader
            async with self._writing:
                await self.call.write(serde.frame_to_proto(frame))

    def settle(self, ack: FrameAck) -> None:
        """Note that a frame is done."""
        del self.pending[ack.frame_id]
        self.stopping = self.stopping or ack.code == UNAVAILABLE
        self._room.release()
        if not self.pending:
            self._settled.set()

    async def next_ack(self, writer: "asyncio.Task[None]") -> FrameAck | None:
        """Return the next acknowledgement, or None when the stream has ended well.

        Raises:
            UnavailableError: If frames wait and nothing is heard for `ACK_TIMEOUT_S`, or the stream ends early.
            Exception: Whatever ended the writer.
        """
        read = asyncio.ensure_future(self.call.read())
        while not read.done():
            if writer.done() and not self.pending and (error := writer.exception()):
                read.cancel()
                raise error
            if self.pending and time.monotonic() - self._heard_s >= ACK_TIMEOUT_S:
                read.cancel()
                silence = f"has acknowledged nothing for {ACK_TIMEOUT_S:g} s"
                raise UnavailableError(f"The base station {silence}; {len(self.pending)} frames wait for it.")
            waiting = {read} if writer.done() else {read, writer}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=ACK_TIMEOUT_S)
        self._heard_s = time.monotonic()
        message = await read
        if message is not grpc.aio.EOF:
            return serde.frame_ack_from_proto(message)
        if self.pending:
            raise UnavailableError(f"The base station ended the stream; {len(self.pending)} frames waited for it.")
        return None
