import asyncio
import contextlib
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from bs_server.app import running, serve
from bs_server.config import Settings
from bs_server.store import GroupWriter
from bs_server.store.sql import SqlStore
from shared.channels import DATASETS
from shared.errors import DataFileError, StoreError, UnavailableError
from shared.frame import Frame
from shared.model_files import ZOO, ModelFile, load_model, save_model
from ue_client.pipeline import Pipeline
from ue_client.sender import Sender

MakeUe = Callable[..., Pipeline]
Eventually = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.mark.parametrize("link", ["digital:bsc", "digital:soft:conv-1/2"])
async def test_a_station_that_shuts_down_says_so_finishes_what_it_took_and_takes_nothing_new(
    local: Settings, make_ue: MakeUe, eventually: Eventually, may_decode: asyncio.Event, link: str
) -> None:
    ue, session_id = make_ue(link=link), str(uuid.uuid4())
    frames = [ue.frame(session_id, i, 0, np.arange(i, i + 1), np.arange(1), 5.0, "index") for i in range(2)]
    async with contextlib.AsyncExitStack() as station:
        addresses = await station.enter_async_context(running(local))
        sender = Sender(f"127.0.0.1:{addresses.grpc_port}")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{addresses.rest_port}") as rest:

            async def status() -> tuple[int, int]:
                answers = await asyncio.gather(rest.get("/v1/health/ready"), rest.get("/v1/health/live"))
                return answers[0].status_code, answers[1].status_code

            async def is_queued() -> bool:
                return bool((await rest.get("/v1/health/live")).json()["queued_reports"])

            await eventually(lambda: _is(status(), (200, 200)))
            await sender.open_session(ue.session_request(session_id))
            accepted = asyncio.create_task(sender.report(frames[0], timeout_s=20))
            await eventually(is_queued)
            stopping = asyncio.create_task(station.aclose())
            await eventually(lambda: _is(status(), (503, 200)))
            ready = await rest.get("/v1/health/ready")
            assert ready.headers["content-type"] == "application/problem+json"
            with pytest.raises(UnavailableError):
                await sender.report(frames[1], timeout_s=20)
            assert not accepted.done()
            may_decode.set()
            assert (await accepted).code == 0
        await sender.close()
        await stopping
    async with running(local) as addresses, httpx.AsyncClient() as rest:
        page = (await rest.get(f"http://127.0.0.1:{addresses.rest_port}/v1/reports")).json()
        assert [report["sequence"] for report in page["reports"]] == [0]


async def _is(status: Awaitable[tuple[int, int]], wanted: tuple[int, int]) -> bool:
    return await status == wanted


async def test_a_model_beside_the_zoo_is_served_and_two_of_one_name_or_one_file_are_refused(
    local: Settings, tmp_path: Path
) -> None:
    for suffix in (".safetensors", ".card.json"):
        shutil.copy(ZOO / f"klt{suffix}", tmp_path)
    with pytest.raises(DataFileError, match=r"`models` must have different names; got .*, klt, klt"):
        async with running(replace(local, models=(str(tmp_path / "klt.safetensors"),))):
            pass
    card = (tmp_path / "klt.card.json").read_text()
    (tmp_path / "mine.card.json").write_text(card.replace('"name": "klt"', '"name": "mine"'))
    (tmp_path / "klt.safetensors").rename(tmp_path / "mine.safetensors")
    mine = replace(local, models=(str(tmp_path / "mine.safetensors"),))
    with pytest.raises(DataFileError, match="`models` must be different files; klt and mine are one, by SHA-256"):
        async with running(mine):
            pass
    model = load_model(str(tmp_path / "mine.safetensors"))
    save_model(ModelFile(model.card, model.tensors | {"mean": 0.9 * model.tensors["mean"]}), tmp_path)
    async with running(mine) as addresses, httpx.AsyncClient() as rest:
        answer = await rest.get(f"http://127.0.0.1:{addresses.rest_port}/v1/codecs/mine")
        assert answer.json()["codec"] == "klt"


async def test_a_new_model_is_served_though_the_store_does_not_say_which_old_ones_are_in_use(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    klt = load_model("klt")

    def replaced(scale: float) -> str:
        card, tensors = klt.card.model_copy(update={"name": "mine"}), {"mean": scale * klt.tensors["mean"]}
        return save_model(ModelFile(card, klt.tensors | tensors), tmp_path).card.sha256

    async def refuse(_: SqlStore) -> set[str]:
        raise StoreError("the connection is lost")

    first, mine = replaced(0.9), replace(local, models=(str(tmp_path / "mine.safetensors"),))
    async with running(mine) as service, httpx.AsyncClient() as rest:

        async def digests() -> list[str]:
            cards = (await rest.get(f"http://127.0.0.1:{service.rest_port}/v1/codecs")).json()
            return [card["sha256"] for card in cards if card["name"] == "mine"]

        second = replaced(0.5)
        with monkeypatch.context() as patch:
            patch.setattr(SqlStore, "open_models", refuse)
            await service.reload()
        assert await digests() == [first, second]
        await service.reload()
        assert await digests() == [second]
        card = tmp_path / "mine.card.json"
        card.write_text(card.read_text().replace('"name": "mine"', '"name": "renamed"'))
        await service.reload()
        assert await digests() == [second]
        told = next(line for line in caplog.records if "card of a model" in line.message)
        assert told.__dict__["cards"] == [f"renamed {second[:12]}"]


async def test_data_and_devices_that_are_not_there_are_refused(local: Settings, tmp_path: Path) -> None:
    data, model = str(tmp_path / "none.npz"), str(tmp_path / "none.safetensors")
    with pytest.raises(DataFileError, match=f"`data` must be a file that exists; got '{data}'"):
        async with running(replace(local, data=(data,))):
            pass
    with pytest.raises(DataFileError, match=f"`model` must be a file that exists; got '{model}'"):
        async with running(replace(local, models=(model,))):
            pass
    shutil.copy(DATASETS / "indoor-open-office.card.json", tmp_path / "other.card.json")
    (tmp_path / "other.npz").write_bytes(b"not what the card says")
    with pytest.raises(DataFileError, match="is not the file of its card"):
        async with running(replace(local, data=(str(tmp_path / "other.npz"),))):
            pass


async def test_a_stream_that_says_nothing_does_not_hold_up_the_shutdown(local: Settings, make_ue: MakeUe) -> None:
    ue, session_id = make_ue(), str(uuid.uuid4())

    async def one_and_no_more() -> AsyncIterator[Frame]:
        yield ue.frame(session_id, 0, 0, np.arange(1), np.arange(1), 5.0, "index")
        await asyncio.Event().wait()

    async with contextlib.AsyncExitStack() as station:
        addresses = await station.enter_async_context(running(replace(local, drain_s=30.0)))
        sender = Sender(f"127.0.0.1:{addresses.grpc_port}")
        await sender.open_session(ue.session_request(session_id))
        deliveries = sender.send(one_and_no_more(), in_flight=1)
        assert (await anext(deliveries)).ack.code == 0
        async with asyncio.timeout(15):
            await station.aclose()
            with pytest.raises(UnavailableError):
                await anext(deliveries)
        await sender.close()


async def test_a_part_of_the_service_that_ends_ends_the_service(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: GroupWriter) -> None:
        raise OSError("the writer broke")

    monkeypatch.setattr(GroupWriter, "run", broken)
    for of_the_process in ("keep_freed_memory", "exempt_from_collection", "sys.setswitchinterval"):
        monkeypatch.setattr(f"bs_server.app.{of_the_process}", lambda *_: None)
    async with asyncio.timeout(30):
        with pytest.raises(UnavailableError, match="A part of the service, writer, ended: OSError"):
            await serve(local)


async def test_exactly_those_that_find_no_room_are_refused_and_every_report_is_accounted_for(
    local: Settings, make_ue: MakeUe, eventually: Eventually, may_decode: asyncio.Event
) -> None:
    ue, session_id = make_ue(), str(uuid.uuid4())
    size, room, too_many = 2, 5, 7  # reports a frame, frames that fit, frames that do not

    def frame(number: int) -> Frame:
        sequence = np.arange(size * number, size * (number + 1))
        return ue.frame(session_id, number, 0, sequence, sequence, 5.0, "index")

    settings = replace(local, queue_reports=size * room, max_reports_per_frame=size)
    async with running(settings) as addresses, httpx.AsyncClient() as rest:

        async def counts() -> dict[str, float]:
            text = (await rest.get(f"http://127.0.0.1:{addresses.rest_port}/metrics")).text
            lines = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("csi_")]
            return {name: float(value) for name, value in lines}

        async def is_full() -> bool:
            return (await counts())["csi_queued_reports"] == size * room

        sender = Sender(f"127.0.0.1:{addresses.grpc_port}")
        await sender.open_session(ue.session_request(session_id))
        fitting = [asyncio.create_task(sender.report(frame(i), timeout_s=20)) for i in range(room)]
        await eventually(is_full)
        refusals = await asyncio.gather(
            *(sender.report(frame(room + i), timeout_s=20) for i in range(too_many)), return_exceptions=True
        )
        assert ["RESOURCE_EXHAUSTED" in str(refusal) for refusal in refusals] == [True] * too_many
        may_decode.set()
        assert [ack.code for ack in await asyncio.gather(*fitting)] == [0] * room
        again = await sender.report(frame(0), timeout_s=20)
        assert again.duplicate.all()
        found = await counts()
        await sender.close()
    assert found["csi_received_reports_total"] == size * (room + too_many + 1)
    assert found['csi_reports_total{codec="klt"}'] == size * room
    assert found['csi_refused_reports_total{reason="resource_exhausted"}'] == size * too_many
    assert found['csi_duplicates_total{codec="klt"}'] == size
