"""The summary as server-sent events, of a base-station process and over sockets."""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from bs_server.api import feed
from bs_server.api.routes import metrics
from bs_server.app import running
from bs_server.config import Settings
from shared.channels import ChannelSet
from shared.estimation.ls import LsEstimator
from shared.experiments.demo import BaseStationProcess, start_base_station
from shared.model_files import load_model
from ue_client.pipeline import Pipeline, make_pipeline
from ue_client.sender import Sender

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
STREAM = "/v1/metrics/summary/stream"


@pytest.fixture(scope="module")
def ue(indoor: ChannelSet) -> Pipeline:
    return make_pipeline(load_model("klt"), indoor, "digital:bsc", 128, run=1)


class Ue:
    """One session that sends a frame when told to."""

    def __init__(self, pipeline: Pipeline, grpc_port: int) -> None:
        self.session_id = str(uuid.uuid4())
        self._pipeline = pipeline
        self._sender = Sender(f"127.0.0.1:{grpc_port}")
        self._num_sent = 0

    async def __aenter__(self) -> "Ue":
        await self._sender.open_session(self._pipeline.session_request(self.session_id))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._sender.close()

    async def send(self, num_reports: int) -> None:
        numbers = np.arange(self._num_sent, self._num_sent + num_reports)
        frame = self._pipeline.frame(self.session_id, 0, 3, numbers, numbers, 5.0, "index")
        assert (await self._sender.report(frame)).code == 0
        self._num_sent += num_reports


async def events(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """Yield the data of each event."""
    event = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        if line.startswith("data: "):
            assert event == "summary"
            yield json.loads(line.removeprefix("data: "))


def connect(rest_port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{rest_port}", timeout=30)


async def num_listeners(rest: httpx.AsyncClient) -> int:
    lines = (await rest.get("/metrics")).text.splitlines()
    return int(float(next(line.split()[1] for line in lines if line.startswith("csi_summary_listeners "))))


async def test_each_event_is_the_summary_as_it_is_asked_for_with_the_same_filters(
    station: BaseStationProcess, ue: Pipeline
) -> None:
    async with (
        asyncio.timeout(150),
        connect(station.rest_port) as rest,
        Ue(ue, station.grpc_port) as one,
        Ue(ue, station.grpc_port) as other,
    ):
        where = f"session={one.session_id}&group_by=codec&group_by=snr_db"
        async with rest.stream("GET", f"{STREAM}?{where}&interval_s=1") as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].split(";")[0] == "text/event-stream"
            assert answer.headers["cache-control"] == "no-store"
            told = events(answer)
            assert (await anext(told))["groups"] == []
            for num_reports in (5, 12):
                await other.send(3)  # outside the filter
                await one.send(num_reports if num_reports == 5 else 7)
                summary = await anext(told)
                assert [group["num_reports"] for group in summary["groups"]] == [num_reports]
                assert summary == (await rest.get(f"/v1/metrics/summary?{where}")).json()


async def test_an_event_names_the_estimator_and_the_cnr_and_is_filtered_by_them(
    station: BaseStationProcess, ue: Pipeline, indoor: ChannelSet
) -> None:
    cnr_db = -7.25  # of no other test
    noisy = make_pipeline(load_model("klt"), indoor, "digital:bsc", 128, 1, LsEstimator(indoor.shape), cnr_db)
    async with (
        asyncio.timeout(150),
        connect(station.rest_port) as rest,
        Ue(ue, station.grpc_port) as one,
        Ue(noisy, station.grpc_port) as other,
    ):
        await one.send(3)
        await other.send(4)
        for where in ("", f"session={one.session_id}", f"estimator=ls&cnr_db={cnr_db}"):
            async with rest.stream("GET", f"{STREAM}?group_by=estimator&group_by=cnr_db&{where}") as answer:
                groups = (await anext(events(answer)))["groups"]
            counts = {(group["estimator"], group["cnr_db"]): group["num_reports"] for group in groups}
            if where:
                assert counts == ({("perfect", None): 3} if "session" in where else {("ls", cnr_db): 4})
            else:
                assert counts[("ls", cnr_db)] == 4
                assert counts[("perfect", None)] >= 3


async def test_events_come_no_sooner_than_the_interval_and_end_with_the_latest(
    station: BaseStationProcess, ue: Pipeline
) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(150), connect(station.rest_port) as rest, Ue(ue, station.grpc_port) as one:
        url = f"{STREAM}?session={one.session_id}&group_by=codec&interval_s=1"
        start_s = loop.time()  # before the first is told, from which the interval counts
        async with rest.stream("GET", url) as answer:
            told, num_sent = events(answer), 0
            summary = await anext(told)
            for number in range(1, 4):
                news = asyncio.ensure_future(anext(told))
                while not news.done():
                    await one.send(1)
                    num_sent += 1
                summary = await news
                assert loop.time() - start_s > number - 0.01
            while summary["groups"][0]["num_reports"] < num_sent:
                summary = await anext(told)
        assert summary["groups"][0]["num_reports"] == num_sent > 3


async def test_listeners_that_leave_are_not_kept(local: Settings, eventually: Eventually) -> None:
    async with asyncio.timeout(150), running(local) as addresses, connect(addresses.rest_port) as rest:

        async def nobody() -> bool:
            return await num_listeners(rest) == 0

        for _ in range(2):
            told: list[AsyncIterator[dict[str, Any]]] = []
            async with AsyncExitStack() as listeners:
                for _ in range(8):
                    client = await listeners.enter_async_context(connect(addresses.rest_port))
                    answer = await listeners.enter_async_context(client.stream("GET", STREAM))
                    told.append(events(answer))
                    assert (await anext(told[-1]))["groups"] == []
                assert await num_listeners(rest) == 8
            await eventually(nobody)


async def test_listeners_that_come_at_the_same_time_are_no_more_than_the_limit(
    local: Settings, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr(feed, "MAX_LISTENERS", 10)
    async with asyncio.timeout(150), running(local) as addresses, connect(addresses.rest_port) as rest:

        async def nobody() -> bool:
            return await num_listeners(rest) == 0

        for _ in range(2):  # the second time all seats are free again
            async with AsyncExitStack() as listeners:

                async def status(client: httpx.AsyncClient) -> int:
                    return (await listeners.enter_async_context(client.stream("GET", STREAM))).status_code

                crowd = await listeners.enter_async_context(connect(addresses.rest_port))
                statuses = await asyncio.gather(*(status(crowd) for _ in range(60)))
                assert Counter(statuses) == {200: 10, 429: 50}
            await eventually(nobody)


async def test_who_leaves_before_the_first_event_keeps_no_seat(
    local: Settings, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    monkeypatch.setattr(feed, "MAX_LISTENERS", 4)
    request = f"GET {STREAM} HTTP/1.1\r\nHost: bs\r\n\r\n".encode()
    async with asyncio.timeout(150), running(local) as addresses, connect(addresses.rest_port) as rest:

        async def all_seats_are_free() -> bool:
            async with AsyncExitStack() as listeners:
                statuses = [
                    (await listeners.enter_async_context(rest.stream("GET", STREAM))).status_code for _ in range(5)
                ]
                return statuses == [200, 200, 200, 200, 429]

        for _ in range(40):
            _, writer = await asyncio.open_connection("127.0.0.1", addresses.rest_port)
            writer.write(request)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        await eventually(all_seats_are_free)  # not at once: the last requests may not have been read yet


async def test_a_stop_ends_the_streams_well_and_is_not_held_up_by_them(tmp_path: Path) -> None:
    station = await asyncio.to_thread(start_base_station, tmp_path)
    async with asyncio.timeout(150), AsyncExitStack() as listeners:
        told = []
        for interval_s in (1, 60):
            client = await listeners.enter_async_context(connect(station.rest_port))
            answer = await listeners.enter_async_context(client.stream("GET", f"{STREAM}?interval_s={interval_s}"))
            told.append(events(answer))
            await anext(told[-1])
        await asyncio.to_thread(station.stop)
        assert station.process.returncode == 0
        for each in told:  # a stream that was cut off would raise httpx.RemoteProtocolError
            assert [summary async for summary in each] == []
    entries = [json.loads(line) for line in station.log.read_text().splitlines()]
    assert [entry for entry in entries if entry["level"] not in {"debug", "info"}] == []
    at = {entry["message"]: datetime.fromisoformat(entry["time"]) for entry in entries}
    assert (at["stopped"] - at["shutting down"]).total_seconds() < 4  # held up, REST would take 5; the rest is Python's


async def test_a_silent_stream_beats(local: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "HEARTBEAT_S", 0.05)
    async with (
        asyncio.timeout(150),
        running(local) as addresses,
        connect(addresses.rest_port) as rest,
        rest.stream("GET", STREAM) as answer,
    ):
        lines, num_beats = answer.aiter_lines(), 0
        while num_beats < 3:
            num_beats += (await anext(lines)).startswith(": ping")
