"""Reports of a precoder at the base station: all but an NMSE is scored, and in no mean do they count as channels."""

import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import numpy as np
import pytest
import torch

from bs_server.api.feed import summarise
from bs_server.api.schemas import Report
from bs_server.config import Settings
from bs_server.handlers import BaseStation
from bs_server.store import ReportFilter
from bs_server.store.sql import SqlStore
from bs_server.worker import Worker, make_worker
from shared.channels import ChannelSet
from shared.frame import FrameAck
from shared.model_files import ModelFile, load_model
from shared.scoring import Scoring
from ue_client.pipeline import make_pipeline

StartStation = Callable[..., AbstractAsyncContextManager[BaseStation]]
N, SNR_DB = 30, 8.0


@pytest.fixture(scope="module")
def models(top_eigenvectors: str) -> dict[str, ModelFile]:
    return {load_model(name).card.name: load_model(name) for name in ("etype2", "type1", "klt", top_eigenvectors)}


@pytest.fixture(scope="module")
def worker(models: dict[str, ModelFile]) -> Worker:
    return make_worker(list(models.values()), torch.device("cpu"))


async def sent(
    station: BaseStation, model: ModelFile, indoor: ChannelSet, link: str, rate: int, sequence: Sequence[int]
) -> tuple[FrameAck, FrameAck]:
    """Return the acknowledgement of a frame, and that of the same frame again."""
    ue = make_pipeline(model, indoor, link, rate, run=1, scoring=Scoring((0.0,), num_subbands=4))
    session_id = str(uuid.uuid4())
    await station.open_session(ue.session_request(session_id))
    numbers = np.array(sequence)
    frame = ue.frame(session_id, 1, 0, numbers, numbers, SNR_DB, truth_by="index")
    return await station.report(frame), await station.report(frame)


@pytest.mark.parametrize("link", ["ideal", "digital:soft:crc:erasure-0.2"])
async def test_precoders_are_scored_without_an_nmse_and_leave_the_means_of_channels_alone(
    start_station: StartStation, models: dict[str, ModelFile], indoor: ChannelSet, local: Settings, link: str
) -> None:
    async with start_station() as station:
        acks = {
            (name, rate): await sent(station, models[name], indoor, link, rate, range(N))
            for name, rate in (("etype2", 171), ("type1", 38), ("klt", 128), ("top-eigenvectors", 128))
        }
    for (name, _), (ack, again) in acks.items():
        assert np.isnan(ack.nmse).all() == (name != "klt")
        assert len(ack.nmse) == len(ack.sgcs) == len(ack.bit_errors) == N
        np.testing.assert_array_equal(again.nmse, ack.nmse)
        np.testing.assert_array_equal(again.sgcs, ack.sgcs)
    store = SqlStore(local.database_url, keep_reconstructions=0)
    await store.open()
    rows = await store.reports(ReportFilter(), 10_000, 0)
    groups = {group.codec: group for group in (await summarise(store, ReportFilter(), ["codec"])).groups}
    (together,) = (await summarise(store, ReportFilter(), [])).groups
    await store.close()
    assert {row.codec for row in rows if row.nmse is None} == {"etype2", "type1", "top-eigenvectors"}
    assert {(report.nmse, report.nmse_db) for report in map(Report.of, rows) if report.codec != "klt"} == {(None, None)}
    for (name, _), (ack, _) in acks.items():
        group = groups[name]
        assert group.num_scored == N
        assert group.sgcs == pytest.approx(ack.sgcs.mean())
        assert group.bler is not None
        assert group.downlink[0].spectral_efficiency is not None
        assert len(group.subbands) == 4
        if name == "klt":
            assert group.nmse is not None
            assert group.nmse.mean == pytest.approx(ack.nmse.mean())
            assert group.rho is not None
        else:
            assert (group.nmse, group.nmse_full, group.rho) == (None, None, None)
            assert group.info_bits_per_report <= max(rate for codec, rate in acks if codec == name)
    assert groups["etype2"].sgcs > groups["type1"].sgcs  # type: ignore[operator]
    assert together.num_scored == 4 * N
    assert together.nmse == groups["klt"].nmse
