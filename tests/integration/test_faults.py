"""UE and base station with a network between them that delays, throttles, cuts, resets and corrupts."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import trustme

from bs_server.app import running
from bs_server.config import Settings
from shared.channels import ChannelSet
from shared.errors import CsiError, UnavailableError
from shared.frame import Frame
from shared.model_files import load_model
from ue_client.config import OPEN, Access
from ue_client.pipeline import Pipeline, make_pipeline
from ue_client.sender import Delivery, Sender

FaultProxyOf = Callable[[int], AbstractAsyncContextManager[Any]]
Eventually = Callable[[Callable[[], object]], Awaitable[None]]
PER_FRAME = 4


@pytest.fixture(scope="module")
def ue(indoor: ChannelSet) -> Pipeline:
    return make_pipeline(load_model("klt"), indoor, "digital:bsc", 128, run=1)


@pytest.fixture(scope="module")
def make_frames(ue: Pipeline) -> Callable[[str, int], list[Frame]]:
    def make(session_id: str, num_frames: int) -> list[Frame]:
        frames = []
        for number in range(num_frames):
            sequence = np.arange(number * PER_FRAME, (number + 1) * PER_FRAME)
            frames.append(ue.frame(session_id, number, 0, sequence, sequence, 5.0, "channel"))
        return frames

    return make


class Ue:
    """A sender behind the proxy, and what it was told."""

    def __init__(self, port: int, ue: Pipeline, access: Access = OPEN) -> None:
        self.sender, self.ue = Sender(f"localhost:{port}", 1, access), ue
        self.session_id, self.deliveries = str(uuid.uuid4()), list[Delivery]()

    async def open(self) -> None:
        await self.sender.connect(20)
        await self.sender.open_session(self.ue.session_request(self.session_id))

    async def send(self, frames: list[Frame], in_flight: int = 4) -> None:
        async def one_by_one() -> AsyncIterator[Frame]:
            for frame in frames:
                yield frame

        async for delivery in self.sender.send(one_by_one(), in_flight):
            self.deliveries.append(delivery)

    @property
    def acknowledged(self) -> set[int]:
        return {n for one in self.deliveries if one.ack.code == 0 for n in one.frame.sequence.tolist()}


async def stored(rest_port: int, session_id: str) -> int:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rest_port}", timeout=30) as rest:
        return int((await rest.get(f"/v1/sessions/{session_id}")).json()["num_reports"])


async def test_a_slow_network_makes_reports_late_and_loses_none(
    local: Settings, ue: Pipeline, make_frames: Callable[[str, int], list[Frame]], fault_proxy: FaultProxyOf
) -> None:
    async with running(local) as service, fault_proxy(service.grpc_port) as proxy, asyncio.timeout(60):
        client = Ue(proxy.port, ue)
        await client.open()
        proxy.delay_s = 0.05
        frames = make_frames(client.session_id, 6)
        await client.send(frames[:3])
        assert min(delivery.latency_s for delivery in client.deliveries) > 0.1
        proxy.delay_s, proxy.bytes_per_s = 0.0, 500_000.0
        started_s = time.monotonic()
        await client.send(frames[3:])
        size = 3 * PER_FRAME * 1024 * 8  # truth alone
        assert time.monotonic() - started_s > 0.5 * size / proxy.bytes_per_s
        assert len(client.acknowledged) == 6 * PER_FRAME == await client.sender.close_session(client.session_id)
        await client.sender.close()


@pytest.mark.parametrize("fault", ["cut", "reset"])
async def test_what_a_broken_connection_lost_is_sent_again_and_stored_once(
    fault: str,
    local: Settings,
    ue: Pipeline,
    make_frames: Callable[[str, int], list[Frame]],
    fault_proxy: FaultProxyOf,
    eventually: Eventually,
) -> None:
    async with running(local) as service, fault_proxy(service.grpc_port) as proxy, asyncio.timeout(60):
        client = Ue(proxy.port, ue)
        await client.open()
        frames = make_frames(client.session_id, 40)
        proxy.bytes_per_s = 1_000_000.0  # more than a second for all of them
        sending = asyncio.create_task(client.send(frames))
        await eventually(lambda: len(client.deliveries) >= 5)
        getattr(proxy, fault)()
        with pytest.raises(UnavailableError):
            await sending
        proxy.bytes_per_s, first = None, client.acknowledged
        assert PER_FRAME * 5 <= len(first) < PER_FRAME * 40
        again = Ue(proxy.port, ue)  # a broken call is not taken up again by itself: the same session, from its start
        again.session_id = client.session_id
        await again.open()
        await again.send(frames)
        assert len(again.acknowledged) == 40 * PER_FRAME == await stored(service.rest_port, client.session_id)
        duplicates = {int(n) for one in again.deliveries for n in one.frame.sequence[one.ack.duplicate]}
        assert first <= duplicates
        for one in (client, again):
            await one.sender.close()


async def test_bits_that_flip_under_tls_reach_nobody(
    local: Settings,
    ue: Pipeline,
    make_frames: Callable[[str, int], list[Frame]],
    fault_proxy: FaultProxyOf,
    tmp_path: Path,
) -> None:
    ca = trustme.CA()
    pair = ca.issue_cert("localhost")
    cert, key, root = (str(tmp_path / name) for name in ("cert", "key", "ca"))
    pair.cert_chain_pems[0].write_to_path(cert)
    pair.private_key_pem.write_to_path(key)
    ca.cert_pem.write_to_path(root)
    settings = replace(local, tls_cert=cert, tls_key=key)
    async with running(settings) as service, fault_proxy(service.grpc_port) as proxy, asyncio.timeout(60):
        client = Ue(proxy.port, ue, Access(tls_ca=root))
        await client.open()
        frames = make_frames(client.session_id, 20)
        await client.send(frames[:2])
        proxy.corrupt_every = 200_000
        with pytest.raises(UnavailableError):
            await client.send(frames[2:])
        assert proxy.num_corrupted == 1
        assert all(np.isfinite(one.ack.nmse).all() and (one.ack.nmse < 10).all() for one in client.deliveries)
        proxy.corrupt_every = None
        again = Ue(proxy.port, ue, Access(tls_ca=root))
        await again.open()
        await again.send(make_frames(again.session_id, 2))
        assert len(again.acknowledged) == 2 * PER_FRAME
        for one in (client, again):
            await one.sender.close()


async def test_bits_that_flip_in_plaintext_break_no_base_station(
    local: Settings, ue: Pipeline, make_frames: Callable[[str, int], list[Frame]], fault_proxy: FaultProxyOf
) -> None:
    async with running(local) as service, fault_proxy(service.grpc_port) as proxy, asyncio.timeout(120):
        for every in (20_000, 70_000, 150_000):
            client = Ue(proxy.port, ue)
            await client.open()
            proxy.corrupt_every = every
            with contextlib.suppress(CsiError):  # where HTTP/2, protobuf or the base station notices
                await client.send(make_frames(client.session_id, 10))
            proxy.corrupt_every = None
            await client.sender.close()
            new = sum(int((~one.ack.duplicate).sum()) for one in client.deliveries if one.ack.code == 0)
            assert await stored(service.rest_port, client.session_id) >= new  # a number that flips may repeat another
        assert proxy.num_corrupted >= 3
        healthy = Ue(proxy.port, ue)
        await healthy.open()
        await healthy.send(make_frames(healthy.session_id, 2))
        assert len(healthy.acknowledged) == 2 * PER_FRAME
        await healthy.sender.close()
