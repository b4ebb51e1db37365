"""A base station whose decoders are replicas of Ray Serve, in processes of their own; needs the extra `ray`."""

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from shared.channels import ChannelSet
from shared.experiments.demo import BaseStationProcess, start_base_station
from shared.frame import Frame, FrameAck
from shared.model_files import ModelFile, load_model, save_model
from ue_client.pipeline import Pipeline, make_pipeline
from ue_client.sender import Sender

pytest.importorskip("ray")
pytestmark = pytest.mark.timeout(400)
psutil = pytest.importorskip("psutil")  # comes with Ray

Eventually = Callable[..., Awaitable[None]]
NUM_FRAMES, PER_FRAME = 40, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replicas")


@pytest.fixture(scope="module")
def station(folder: Path) -> Iterator[BaseStationProcess]:
    saved(folder, 0.9)
    options = [
        "--pool",
        "ray",
        "--replicas",
        "2",
        "--max-batch",
        str(PER_FRAME),
        "--model",
        str(folder / "mine.safetensors"),
    ]
    process = start_base_station(folder, options)
    yield process
    process.stop()


def saved(folder: Path, scale: float) -> str:
    klt = load_model("klt")
    tensors = klt.tensors | {"mean": klt.tensors["mean"] * scale}
    return save_model(ModelFile(klt.card.model_copy(update={"name": "mine"}), tensors), folder).card.sha256


def replicas(station: BaseStationProcess) -> list[int]:
    children = psutil.Process(station.process.pid).children(recursive=True)
    return [child.pid for child in children if any("ServeReplica" in word for word in child.cmdline())]


async def send(
    station: BaseStationProcess, ue: Pipeline, after_first: Callable[[], object] = lambda: None
) -> list[float]:
    """Send frames of a session of its own, all at once, a batch each; return the NMSE of each report in order."""
    sender, session_id = Sender(f"127.0.0.1:{station.grpc_port}"), str(uuid.uuid4())

    async def frames() -> AsyncIterator[Frame]:
        for number in range(NUM_FRAMES):
            sequence = np.arange(number * PER_FRAME, (number + 1) * PER_FRAME)
            yield ue.frame(session_id, number, 0, sequence, sequence, 5.0, "index")

    await sender.open_session(ue.session_request(session_id))
    acks: dict[int, FrameAck] = {}
    async with asyncio.timeout(100):
        async for delivery in sender.send(frames(), NUM_FRAMES):
            assert delivery.ack.code == 0, delivery.ack.message
            if not acks:
                after_first()
            acks[delivery.frame.frame_id] = delivery.ack
    await sender.close()
    assert station.get(f"/v1/sessions/{session_id}")["num_reports"] == NUM_FRAMES * PER_FRAME
    return [float(nmse) for number in range(NUM_FRAMES) for nmse in acks[number].nmse]


@pytest.mark.parametrize(
    ("codec", "link"), [("klt", "digital:bsc"), ("csinet", "digital:soft:conv-1/2"), ("klt-analog", "analog")]
)
async def test_replicas_reconstruct_what_a_station_by_itself_does(
    station: BaseStationProcess, tmp_path: Path, indoor: ChannelSet, codec: str, link: str
) -> None:
    ue = make_pipeline(load_model(codec), indoor, link, None, 1)
    alone = start_base_station(tmp_path)
    try:
        wanted = await send(alone, ue)
    finally:
        alone.stop()
    np.testing.assert_allclose(await send(station, ue), wanted, rtol=1e-4)


async def test_reports_outlive_a_replica_that_is_killed_and_it_comes_back(
    station: BaseStationProcess, indoor: ChannelSet, eventually: Eventually
) -> None:
    ue = make_pipeline(load_model("csinet"), indoor, "digital:bsc", None, 2)
    before = await send(station, ue)
    victim, other = replicas(station)
    killed = await send(station, ue, after_first=psutil.Process(victim).kill)
    np.testing.assert_allclose(killed, before, rtol=1e-4)
    await eventually(lambda: len(set(replicas(station)) - {victim}) == 2, 120)
    assert other in replicas(station)


async def test_a_new_model_is_served_beside_the_old(
    station: BaseStationProcess, folder: Path, indoor: ChannelSet, eventually: Eventually
) -> None:
    path = folder / "mine.safetensors"
    old = make_pipeline(load_model(str(path)), indoor, "digital:bsc", None, 1)
    before = await send(station, old)
    digest = saved(folder, 0.5)
    station.process.send_signal(signal.SIGHUP)
    # Two processes are started, one after the other.
    await eventually(lambda: digest in [card["sha256"] for card in station.get("/v1/codecs")], 150)
    new = make_pipeline(load_model(str(path)), indoor, "digital:bsc", None, 1)
    assert await send(station, new) != before
    assert await send(station, old) == pytest.approx(before, rel=1e-4)
    path.write_bytes(b"no model at all")
    station.process.send_signal(signal.SIGHUP)
    await eventually(lambda: "models not read again" in station.log.read_text())
    assert await send(station, old) == pytest.approx(before, rel=1e-4)
