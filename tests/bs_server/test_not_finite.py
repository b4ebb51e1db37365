"""A decoder that lets NaN through, as a user's own may: the fallback takes its place, and the summary stands."""

import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import numpy as np
import pytest
import torch

from bs_server.api.feed import summarise
from bs_server.config import Settings
from bs_server.handlers import BaseStation
from bs_server.store import ReportFilter
from bs_server.store.sql import SqlStore
from bs_server.worker import Worker, make_worker
from shared.channels import ChannelSet
from shared.codecs import DecodeContext
from shared.codecs.klt import KltDecoder
from shared.errors import DataFileError
from shared.metrics import nmse
from shared.model_files import ModelFile, load_model
from shared.scoring import Scoring
from shared.types import Payload, Reconstruction
from ue_client.pipeline import Pipeline

NUM_REPORTS, NOT_FINITE = 40, 25


class Broken(KltDecoder):
    """Marks everything valid, and gives the first reports a NaN in one real, or one imaginary part."""

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        reconstruction = super().decode(payload, context)
        reals = torch.view_as_real(reconstruction.h_hat.clone())
        reals[:NOT_FINITE:2, 0, 3, 4, 0] = torch.nan
        reals[1:NOT_FINITE:2, 0, 3, 4, 1] = torch.inf
        return Reconstruction(torch.view_as_complex(reals), np.ones(len(reals), dtype=np.bool_))


async def test_reports_that_are_not_finite_fall_back_and_the_summary_stands(
    start_station: Callable[..., AbstractAsyncContextManager[BaseStation]],
    make_ue: Callable[..., Pipeline],
    local: Settings,
    indoor: ChannelSet,
) -> None:
    model, ue = load_model("klt"), make_ue("klt", "digital:bsc", scoring=Scoring((0.0, 10.0)))
    broken = Worker({model.card.sha256: Broken(model, torch.device("cpu"))})
    session_id, sequence = str(uuid.uuid4()), np.arange(NUM_REPORTS)
    in_one_batch = replace(local, max_batch=NUM_REPORTS)
    async with start_station(in_one_batch, reconstruct=broken.reconstruct) as station:
        await station.open_session(ue.session_request(session_id))
        ack = await station.report(ue.frame(session_id, 0, 0, sequence, sequence, snr_db=0.0, truth_by="index"))
    assert ack.fallback.tolist() == [True] * NOT_FINITE + [False] * (NUM_REPORTS - NOT_FINITE)
    mean_csi = broken.decoders[model.card.sha256].mean_csi
    expected = nmse(mean_csi.expand(NOT_FINITE, -1, -1, -1), indoor.h[:NOT_FINITE])
    np.testing.assert_allclose(ack.nmse[:NOT_FINITE], expected, rtol=1e-6)
    store = SqlStore(local.database_url, keep_reconstructions=0)
    await store.open()
    (group,) = (await summarise(store, ReportFilter(), ["codec"])).groups
    await store.close()
    assert (group.num_reports, group.num_scored, group.fallbacks) == (NUM_REPORTS, NUM_REPORTS, NOT_FINITE)
    assert len(group.downlink) == 2


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_mean_channel_that_is_not_finite_is_refused_at_the_start(models: dict[str, ModelFile], value: float) -> None:
    tensors = dict(models["klt"].tensors)
    tensors["mean"] = torch.full_like(tensors["mean"], value)
    with pytest.raises(DataFileError, match="`mean_csi` of model klt must be finite"):
        make_worker([ModelFile(models["klt"].card, tensors)], torch.device("cpu"))
