import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest

from bs_server.app import running
from bs_server.config import Settings
from shared.channels import ChannelSet
from shared.errors import InvalidArgumentError, ModelMismatchError, NotFoundError, UnavailableError
from shared.experiments.demo import start_base_station
from shared.frame import Frame
from shared.model_files import load_model
from ue_client.pipeline import Pipeline, make_pipeline
from ue_client.sender import MAX_BACKOFF_S, Delivery, Sender

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT.value[0]


@pytest.fixture(scope="module")
def ue(indoor: ChannelSet) -> Pipeline:
    return make_pipeline(load_model("klt"), indoor, "digital:bsc", 128, run=1)


async def frames(ue: Pipeline, session_id: str, num_frames: int, size: int = 4) -> AsyncIterator[Frame]:
    for i in range(num_frames):
        sequence = np.arange(i * size, (i + 1) * size)
        yield ue.frame(session_id, i, 0, sequence, sequence, 5.0, "channel")  # large, so that writing takes a while


async def opened(sender: Sender, ue: Pipeline) -> str:
    await sender.connect(20)
    return (await sender.open_session(ue.session_request(str(uuid.uuid4())))).session_id


async def test_frames_refused_for_overload_are_sent_again_until_each_is_stored_once(
    local: Settings, ue: Pipeline
) -> None:
    tiny = replace(local, queue_reports=8, max_reports_per_frame=4, max_wait_ms=20.0)
    async with running(tiny) as addresses, asyncio.timeout(60):
        sender = Sender(f"127.0.0.1:{addresses.grpc_port}", seed=1)
        session_id = await opened(sender, ue)
        made = [frame async for frame in frames(ue, session_id, 40)]  # beforehand, so that they come faster than served

        async def at_once() -> AsyncIterator[Frame]:
            for frame in made:
                yield frame

        deliveries = [delivery async for delivery in sender.send(at_once(), in_flight=16)]
        assert sorted(delivery.frame.frame_id for delivery in deliveries) == list(range(40))
        assert {delivery.ack.code for delivery in deliveries} == {0}
        assert max(delivery.num_attempts for delivery in deliveries) > 1
        assert not any(delivery.ack.duplicate.any() for delivery in deliveries)
        assert await sender.close_session(session_id) == 160
        await sender.close()


async def test_no_more_frames_are_unacknowledged_than_may_be(local: Settings, ue: Pipeline) -> None:
    async with running(local) as addresses, asyncio.timeout(60):
        sender = Sender(f"127.0.0.1:{addresses.grpc_port}")
        session_id = await opened(sender, ue)
        made: list[int] = []

        async def counted() -> AsyncIterator[Frame]:
            async for frame in frames(ue, session_id, 12):
                made.append(frame.frame_id)
                yield frame

        done = 0
        async for _ in sender.send(counted(), in_flight=3):
            done += 1
            assert len(made) <= done + 3  # one of them made, and waiting for room
        assert done == 12
        await sender.close()


async def test_a_frame_refused_for_good_is_delivered_with_its_refusal_and_the_stream_goes_on(
    local: Settings, ue: Pipeline
) -> None:
    async def mixed() -> AsyncIterator[Frame]:
        async for frame in frames(ue, session_id, 3):
            yield frame if frame.frame_id != 1 else replace(frame, rate=frame.rate + 8, truth=None)

    async with running(local) as addresses, asyncio.timeout(60):
        sender = Sender(f"127.0.0.1:{addresses.grpc_port}")
        session_id = await opened(sender, ue)
        deliveries: dict[int, Delivery] = {d.frame.frame_id: d async for d in sender.send(mixed(), in_flight=1)}
        assert [deliveries[i].ack.code for i in range(3)] == [0, INVALID_ARGUMENT, 0]
        assert "`num_bits`" in deliveries[1].ack.message
        await sender.close()


async def test_an_error_while_frames_are_made_is_raised_after_those_before_it(local: Settings, ue: Pipeline) -> None:
    async def failing() -> AsyncIterator[Frame]:
        async for frame in frames(ue, session_id, 2):
            yield frame
        raise OSError("the disk is gone")

    delivered: list[int] = []

    async def send() -> None:
        async for delivery in sender.send(failing(), in_flight=8):
            delivered.append(delivery.ack.code)

    async with running(local) as addresses, asyncio.timeout(60):
        sender = Sender(f"127.0.0.1:{addresses.grpc_port}")
        session_id = await opened(sender, ue)
        with pytest.raises(OSError, match="the disk is gone"):
            await send()
        assert delivered == [0, 0]
        await sender.close()


async def test_a_refusal_is_the_base_stations_own_error(local: Settings, ue: Pipeline) -> None:
    async with running(local) as addresses, asyncio.timeout(60):
        sender = Sender(f"127.0.0.1:{addresses.grpc_port}")
        session_id = await opened(sender, ue)
        frame = await anext(frames(ue, session_id, 1))
        assert (await sender.report(frame)).code == 0
        with pytest.raises(
            InvalidArgumentError, match="`num_bits` of a report of rate 136 of codec klt must be 136; got 128"
        ):
            await sender.report(replace(frame, rate=frame.rate + 8, truth=None))
        with pytest.raises(NotFoundError, match="`session_id` must be an open session"):
            await sender.report(replace(frame, session_id=str(uuid.uuid4())))
        with pytest.raises(NotFoundError, match="`session_id`"):
            await sender.close_session(str(uuid.uuid4()))
        with pytest.raises(ModelMismatchError, match="`codec` 'klt' must be the model file"):
            await sender.open_session(replace(ue.session_request(session_id), model_sha256="f" * 64))
        await sender.close()


async def test_nobody_there_is_told_in_time() -> None:
    sender = Sender("127.0.0.1:1")
    start_s = time.monotonic()
    with pytest.raises(UnavailableError, match=r"No base station answers at 127\.0\.0\.1:1 within 0\.3 s"):
        await sender.connect(0.3)
    assert 0.3 <= time.monotonic() - start_s < 10
    await sender.close()


async def test_a_stream_that_breaks_says_how_many_frames_were_not_acknowledged(
    tmp_path: Path, ue: Pipeline, eventually: Eventually
) -> None:
    station = start_base_station(tmp_path, ["--max-wait-ms", "10000", "--max-batch", "65536"])
    try:
        sender = Sender(f"127.0.0.1:{station.grpc_port}")
        session_id = await opened(sender, ue)
        deliveries = sender.send(frames(ue, session_id, 9), in_flight=3)
        broken = asyncio.ensure_future(anext(deliveries))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{station.rest_port}") as rest:

            async def all_wait() -> bool:
                return bool((await rest.get("/v1/health/live")).json()["queued_reports"] == 12)

            await eventually(all_wait)
        station.process.kill()
        async with asyncio.timeout(20):
            with pytest.raises(UnavailableError, match="; 3 frames were not acknowledged"):
                await broken
        with pytest.raises(
            UnavailableError, match=f"base station at 127.0.0.1:{station.grpc_port} answered UNAVAILABLE"
        ):
            await sender.close_session(session_id)
        await sender.close()
    finally:
        station.process.kill()
        station.process.wait()


async def test_what_is_refused_again_and_again_waits_up_to_eight_times_the_delay_it_is_told() -> None:
    sender = Sender("127.0.0.1:1", seed=1)
    for attempts, times in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (49, 8)):
        assert 0.1 * times <= sender._backoff_s(100, attempts) <= 1.5 * 0.1 * times
    assert sender._backoff_s(5000, 4) <= 1.5 * MAX_BACKOFF_S
    await sender.close()
