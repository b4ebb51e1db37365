"""A proxy between UE and base station that does what networks do: delay, throttle, cut, reset, corrupt."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import pytest

PIECE = 4096


@dataclass
class FaultProxy:
    """A TCP proxy on a free port of this machine; what it does to the bytes may change while they flow.

    Attributes:
        port: Where it listens.
        target_port: Where it forwards to.
        delay_s: Of every piece, each way.
        bytes_per_s: Each way; None for as fast as it goes.
        corrupt_every: Flips one bit in every so many bytes of the UE's; None for none.
    """

    port: int
    target_port: int
    delay_s: float = 0.0
    bytes_per_s: float | None = None
    corrupt_every: int | None = None
    num_corrupted: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _since_corrupted: int = 0

    def cut(self) -> None:
        """End every connection, as a peer that closes does."""
        for writer in list(self._writers):
            writer.close()

    def reset(self) -> None:
        """Reset every connection: unsent bytes are lost, both sides are told."""
        for writer in list(self._writers):
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection, both ways."""
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        self._writers |= {writer, other_writer}
        ways = self._forward(reader, other_writer, upwards=True), self._forward(other_reader, writer, upwards=False)
        for way in ways:
            task = asyncio.create_task(way)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upwards: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(PIECE):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self.bytes_per_s:
                    await asyncio.sleep(len(piece) / self.bytes_per_s)
                writer.write(self._corrupted(piece) if upwards else piece)
                await writer.drain()
        writer.close()
        self._writers.discard(writer)

    def _corrupted(self, piece: bytes) -> bytes:
        if self.corrupt_every is None:
            return piece
        self._since_corrupted += len(piece)
        if self._since_corrupted < self.corrupt_every:
            return piece
        self._since_corrupted = 0
        self.num_corrupted += 1
        middle = len(piece) // 2
        return piece[:middle] + bytes([piece[middle] ^ 0x10]) + piece[middle + 1 :]

    async def close(self) -> None:
        """End all connections and their tasks."""
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
def fault_proxy() -> Callable[[int], AbstractAsyncContextManager[FaultProxy]]:
    """Return what runs a proxy to a port of this machine, inside an ``async with``."""

    @asynccontextmanager
    async def run(target_port: int) -> AsyncIterator[FaultProxy]:
        proxy = FaultProxy(0, target_port)
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            await proxy.close()

    return run
