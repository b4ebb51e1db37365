"""An acknowledged report is in the database, whatever ends the base station."""

import asyncio
import dataclasses
import os
import random
import resource
import shutil
import signal
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from shared.channels import ChannelSet
from shared.errors import UnavailableError
from shared.experiments.demo import BaseStationProcess, start_base_station
from shared.frame import Frame, FrameAck
from shared.model_files import load_model
from ue_client.pipeline import Pipeline, make_pipeline
from ue_client.sender import Sender

Report = tuple[str, int, int]  # session, ue, sequence

NUM_KILLS = int(os.environ.get("CSILINK_TEST_KILLS", "6"))  # make soak: 50
PER_FRAME, IN_FLIGHT = 8, 8


@pytest.fixture(scope="module")
def ue(indoor: ChannelSet) -> Pipeline:
    return make_pipeline(load_model("klt"), indoor, "digital:bsc", 128, run=1)


@dataclass
class Fleet:
    """One session's sender, and what it knows of its reports."""

    ue: Pipeline
    ue_id: int
    session_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    next_frame: int = 0
    acknowledged: set[Report] = field(default_factory=set)
    refused: set[Report] = field(default_factory=set)
    num_new: int = 0
    stopped: bool = False

    def frame(self, number: int) -> Frame:
        sequence = np.arange(number * PER_FRAME, (number + 1) * PER_FRAME)
        template = self.ue.frame(
            self.session_id, 0, self.ue_id, np.arange(PER_FRAME), np.arange(PER_FRAME), 5.0, "index"
        )
        return dataclasses.replace(template, frame_id=number, sequence=sequence)

    async def frames(self) -> AsyncIterator[Frame]:
        while not self.stopped:
            yield self.frame(self.next_frame)
            self.next_frame += 1

    async def send(self, station: BaseStationProcess, kill_after: int | None) -> None:
        """Send until told to stop; kill the base station after some acknowledgements."""
        sender = Sender(f"127.0.0.1:{station.grpc_port}")
        num_acks = 0
        try:
            await sender.open_session(self.ue.session_request(self.session_id))
            async for delivery in sender.send(self.frames(), IN_FLIGHT):
                reports = {(self.session_id, self.ue_id, number) for number in delivery.frame.sequence.tolist()}
                if delivery.ack.code:
                    self.refused |= reports
                    self.stopped = True
                    continue
                self.acknowledged |= reports
                self.num_new += int((~delivery.ack.duplicate).sum())
                num_acks += 1
                if num_acks == kill_after:
                    station.process.send_signal(signal.SIGKILL)
        except UnavailableError:
            pass
        await sender.close()

    def go_back(self) -> None:
        """Take up the numbering well before what was acknowledged last, so that reports are repeated."""
        self.next_frame = max(0, self.next_frame - 2 * IN_FLIGHT)


def stored(folder: Path) -> list[Report]:
    """Read a copy of the database: to recover the original is the base station's task."""
    with TemporaryDirectory() as copy:
        for file in folder.glob("csilink.db*"):
            shutil.copy(file, copy)
        return read(Path(copy))


def read(folder: Path) -> list[Report]:
    with closing(sqlite3.connect(folder / "csilink.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return database.execute("SELECT session_id, ue_id, sequence FROM reports").fetchall()


@pytest.mark.timeout(100 * NUM_KILLS)
async def test_a_base_station_killed_again_and_again_has_every_report_that_it_acknowledged(
    tmp_path: Path, ue: Pipeline
) -> None:
    rng = random.Random(3)
    fleets = [Fleet(ue, ue_id) for ue_id in range(2)]
    for _ in range(NUM_KILLS):
        station = await asyncio.to_thread(start_base_station, tmp_path)
        try:
            async with asyncio.timeout(60):
                await asyncio.gather(
                    fleets[0].send(station, kill_after=rng.randint(3, 40)), fleets[1].send(station, kill_after=None)
                )
        finally:
            station.process.kill()
            assert station.process.wait() == -signal.SIGKILL
        survived = set(stored(tmp_path))
        for fleet in fleets:
            assert fleet.acknowledged <= survived
            fleet.go_back()
    rows = stored(tmp_path)
    assert len(rows) == len(set(rows))
    assert all(fleet.acknowledged for fleet in fleets)
    assert sum(fleet.num_new for fleet in fleets) <= len(rows)  # none was new twice

    station = await asyncio.to_thread(start_base_station, tmp_path)
    try:
        sender = Sender(f"127.0.0.1:{station.grpc_port}")
        for fleet in fleets:
            num_before = sum(session_id == fleet.session_id for session_id, _, _ in rows)
            last = max(number for _, _, number in fleet.acknowledged) // PER_FRAME
            ack = await sender.report(fleet.frame(last))
            assert ack.duplicate.all()
            assert await sender.close_session(fleet.session_id) == num_before
        await sender.close()
    finally:
        station.stop()


async def test_a_base_station_told_to_end_under_load_finishes_what_it_took(
    tmp_path: Path, ue: Pipeline, eventually: Callable[[Callable[[], object]], Awaitable[None]]
) -> None:
    station = await asyncio.to_thread(start_base_station, tmp_path)
    fleets = [Fleet(ue, ue_id) for ue_id in range(3)]
    try:
        async with asyncio.timeout(60):
            sending = asyncio.gather(*(fleet.send(station, kill_after=None) for fleet in fleets))
            await eventually(lambda: min(fleet.num_new for fleet in fleets) >= 20 * PER_FRAME)
            station.process.send_signal(signal.SIGTERM)
            start_s = time.monotonic()
            await sending
        code = await asyncio.to_thread(station.process.wait, 30)
        assert code == 0
        assert time.monotonic() - start_s < 30
    finally:
        station.process.kill()
        station.process.wait()
    rows = stored(tmp_path)
    assert len(rows) == len(set(rows))
    assert set().union(*(fleet.acknowledged for fleet in fleets)) == set(rows)
    assert not set().union(*(fleet.refused for fleet in fleets)) & set(rows)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits the files of another process")
async def test_a_full_disk_loses_no_acknowledged_report_and_is_told(ue: Pipeline, tmp_path: Path) -> None:
    station = start_base_station(tmp_path, ["--keep-every", "0"])
    fleet, sender = Fleet(ue, 0), Sender(f"127.0.0.1:{station.grpc_port}")
    try:
        await sender.open_session(ue.session_request(fleet.session_id))
        largest = await asyncio.to_thread(lambda: max(path.stat().st_size for path in tmp_path.glob("csilink.db*")))
        unlimited = resource.prlimit(station.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(station.process.pid, resource.RLIMIT_FSIZE, (largest + 65_536, unlimited[1]))
        acks: list[FrameAck] = []

        async def fill() -> None:
            for number in range(1000):
                acks.append(await sender.report(fleet.frame(number), 20))

        with pytest.raises(UnavailableError, match="the store did not take them"):
            await fill()
        stored = PER_FRAME * len(acks)
        assert stored > 0
        health = station.get("/v1/health/ready")
        assert health["status"] == "ok"
        assert health["store"] == "failing"
        assert station.get(f"/v1/sessions/{fleet.session_id}")["num_reports"] == stored
        resource.prlimit(station.process.pid, resource.RLIMIT_FSIZE, unlimited)
        again = await sender.report(fleet.frame(len(acks)), 20)  # the one that was refused, now new
        assert not again.duplicate.any()
        assert station.get("/v1/health/ready")["store"] == "ok"
        assert await sender.close_session(fleet.session_id) == stored + len(again.duplicate)
    finally:
        await sender.close()
        station.stop()
