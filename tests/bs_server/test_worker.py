import asyncio
from collections.abc import Callable

import numpy as np
import pytest
import torch

from bs_server.batching import BatchKey, Entry
from bs_server.worker import Worker, make_device, make_worker
from shared.codecs import EncodeContext, make_decoder
from shared.errors import DataFileError, InvalidArgumentError
from shared.metrics import nmse, sgcs
from shared.model_files import ModelFile
from shared.rng import Randomness
from shared.transforms import from_angular_delay
from shared.types import Payload, Received
from ue_client.pipeline import Pipeline

MakeUe = Callable[..., Pipeline]


def sent_over(ue: Pipeline, rows: range, snr_db: float = 3.0) -> tuple[Payload, Received]:
    """Encode and transmit some channels, without a frame."""
    sequence = np.array(rows)
    snr = np.full(len(rows), snr_db, dtype=np.float32)
    randomness = Randomness(ue.run, np.zeros(len(rows), dtype=np.int64), sequence)
    payload = ue.encoder.encode(ue.channels.h[sequence], EncodeContext(ue.rate, snr, randomness))
    return payload, ue.link.transmit(payload, snr, randomness)


def entry(ue: Pipeline, rows: range, *, truth: bool = True) -> Entry:
    payload, received = sent_over(ue, rows)
    return Entry(
        key=BatchKey(ue.card.sha256, ue.rate, received.kind),
        received=received,
        snr_db=np.full(len(rows), 3.0, dtype=np.float32),
        h=ue.channels.h[rows.start : rows.stop] if truth else None,
        sent=payload if truth else None,
        arrival_s=0.0,
        deadline_s=np.inf,
        result=asyncio.get_running_loop().create_future(),
    )


@pytest.mark.parametrize("codec", ["klt", "angular-topk"])
@pytest.mark.parametrize("link", ["digital:bsc", "digital:soft"])
async def test_entries_with_and_without_truth_share_a_batch_and_each_gets_its_own_scores(
    worker: Worker, make_ue: MakeUe, codec: str, link: str
) -> None:
    ue = make_ue(codec, link)
    sizes = {range(3): False, range(3, 7): True, range(7, 8): False, range(8, 10): True}
    batch = [entry(ue, rows, truth=truth) for rows, truth in sizes.items()]
    results = worker.decode(batch)
    assert [result.scores is None for result in results] == [True, False, True, False]
    assert {result.batch_size for result in results} == {10}
    for part, result in zip(batch, results, strict=True):
        alone = worker.decode([part])[0]
        np.testing.assert_allclose(result.h_hat, alone.h_hat, atol=1e-5)
        assert not result.fallback.any()
        if part.h is None or part.sent is None or result.scores is None:
            continue
        h_hat = torch.from_numpy(result.h_hat)
        decided = part.received.values > 0
        np.testing.assert_allclose(result.scores.nmse, nmse(h_hat, part.h).numpy(), rtol=1e-12)
        expected = sgcs(from_angular_delay(h_hat), from_angular_delay(part.h)).numpy()
        np.testing.assert_allclose(result.scores.sgcs, expected, rtol=1e-6)
        assert result.scores.bit_errors.tolist() == (decided != part.sent.bits).sum(axis=1).tolist()
        assert result.scores.bit_errors.any()


async def test_a_report_that_cannot_be_decoded_becomes_the_mean_channel(
    models: dict[str, ModelFile], make_ue: MakeUe
) -> None:
    decoder = make_decoder(models["float"], torch.device("cpu"))
    ue = make_ue("float", "ideal", rate=65536)
    decoder.mean_csi = ue.channels.h[9]
    both = entry(ue, range(2))
    both.received.values[1] = 1  # every number of the second report is a NaN
    result = Worker({ue.card.sha256: decoder}).decode([both])[0]
    assert result.fallback.tolist() == [False, True]
    np.testing.assert_array_equal(result.h_hat, ue.channels.h[[0, 9]].numpy())
    assert result.scores is not None
    assert result.scores.nmse.tolist() == [0.0, nmse(ue.channels.h[9:10], ue.channels.h[1:2]).item()]


def test_a_model_that_does_not_decode_is_refused_at_the_start(models: dict[str, ModelFile]) -> None:
    card, tensors = models["klt"].card, dict(models["klt"].tensors)
    tensors["basis"] = tensors["basis"][:100]
    with pytest.raises(DataFileError, match="klt"):
        make_worker([ModelFile(card, tensors)], torch.device("cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_on_a_machine_without_it_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`device` must be one this machine has; got cuda"):
        make_device("cuda", threads=1)
