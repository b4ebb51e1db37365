"""A base station of this process behind a real socket, and a channel to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import grpc
import pytest

from bs_server.app import running
from bs_server.config import Settings


@pytest.fixture
def connected(local: Settings) -> Callable[..., AbstractAsyncContextManager[grpc.aio.Channel]]:
    """Return what runs a base station and connects to it, inside an ``async with``."""

    @asynccontextmanager
    async def connect(settings: Settings = local) -> AsyncIterator[grpc.aio.Channel]:
        async with (
            running(settings) as addresses,
            grpc.aio.insecure_channel(f"127.0.0.1:{addresses.grpc_port}") as channel,
        ):
            yield channel

    return connect
