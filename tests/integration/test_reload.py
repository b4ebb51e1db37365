"""A model file is replaced under a running base station, which is told by SIGHUP."""

import json
import signal
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from shared.channels import ChannelSet
from shared.errors import ModelMismatchError
from shared.experiments.demo import BaseStationProcess, start_base_station
from shared.model_files import ModelFile, load_model, save_model
from ue_client.pipeline import Pipeline, make_pipeline
from ue_client.sender import Sender

Eventually = Callable[[Callable[[], object]], Awaitable[None]]


def replaced(folder: Path, scale: float) -> str:
    """Write model `mine`, KLT with another mean channel, and return its digest."""
    klt = load_model("klt")
    tensors = klt.tensors | {"mean": klt.tensors["mean"] * scale}
    return save_model(ModelFile(klt.card.model_copy(update={"name": "mine"}), tensors), folder).card.sha256


@pytest.fixture
def station(tmp_path: Path) -> Iterator[BaseStationProcess]:
    replaced(tmp_path, 0.9)
    process = start_base_station(tmp_path, ["--model", str(tmp_path / "mine.safetensors")])
    yield process
    process.stop()


def test_models_that_are_read_again_do_not_hold_up_the_end(station: BaseStationProcess, tmp_path: Path) -> None:
    replaced(tmp_path, 0.5)
    station.process.send_signal(signal.SIGHUP)
    station.process.send_signal(signal.SIGTERM)
    station.process.send_signal(signal.SIGHUP)
    assert station.process.wait(30) == 0
    assert '"message": "stopped"' in station.log.read_text()


async def test_a_new_model_is_served_beside_the_old_until_its_sessions_close_and_a_bad_file_is_refused(
    station: BaseStationProcess, tmp_path: Path, indoor: ChannelSet, eventually: Eventually
) -> None:
    path = tmp_path / "mine.safetensors"

    def digests() -> list[str]:
        return [card["sha256"] for card in station.get("/v1/codecs") if card["name"] == "mine"]

    def logged(message: str) -> list[str]:
        entries = map(json.loads, station.log.read_text().splitlines())
        return [entry["reason"] for entry in entries if entry["message"].startswith(message)]

    async def send(ue: Pipeline, session_id: str, first: int) -> int:
        sequence = np.arange(first, first + 4)
        return (await sender.report(ue.frame(session_id, first, 0, sequence, sequence, 5.0, "index"))).code

    sender = Sender(f"127.0.0.1:{station.grpc_port}")
    old, old_session, new_session = (
        make_pipeline(load_model(str(path)), indoor, "digital:bsc", None, 1),
        str(uuid.uuid4()),
        str(uuid.uuid4()),
    )
    await sender.open_session(old.session_request(old_session))
    assert await send(old, old_session, 0) == 0

    before = digests()
    after = replaced(tmp_path, 0.5)
    station.process.send_signal(signal.SIGHUP)
    await eventually(lambda: digests() == [*before, after])
    assert station.get("/v1/codecs/mine")["sha256"] == after
    new = make_pipeline(load_model(str(path)), indoor, "digital:bsc", None, 1)
    await sender.open_session(new.session_request(new_session))
    assert [await send(old, old_session, 4), await send(new, new_session, 0)] == [0, 0]

    path.write_bytes(b"no model at all")
    station.process.send_signal(signal.SIGHUP)
    await eventually(lambda: logged("models not read again"))
    assert "mine" in logged("models not read again")[0]
    assert digests() == [*before, after]
    assert [await send(old, old_session, 8), await send(new, new_session, 4)] == [0, 0]
    stored = {row["session_id"]: row["num_reports"] for row in station.get("/v1/sessions")["sessions"]}
    assert (stored[old_session], stored[new_session]) == (12, 8)

    replaced(tmp_path, 0.5)
    await sender.close_session(old_session)
    station.process.send_signal(signal.SIGHUP)
    await eventually(lambda: digests() == [after])
    assert await send(new, new_session, 8) == 0
    with pytest.raises(ModelMismatchError, match="mine"):
        await sender.open_session(old.session_request(old_session))
    await sender.close()
