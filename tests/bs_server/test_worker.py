import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bs_server.batching import BatchKey, Entry
from bs_server.worker import Worker, make_device, make_worker
from shared.codecs import make_decoder
from shared.coding.channel_code import DecodedBits
from shared.errors import DataFileError, InvalidArgumentError
from shared.metrics import nmse, rho, sgcs
from shared.metrics.downlink import mrt_downlink
from shared.model_files import ModelFile
from shared.rng import Randomness
from shared.scoring import Scoring
from shared.transforms import from_angular_delay
from shared.types import Received
from ue_client.pipeline import Pipeline

MakeUe = Callable[..., Pipeline]


class Parity:
    """A channel code that adds one bit, by which it knows an odd number of errors."""

    label = "parity"
    interleaved = False

    def num_coded_bits(self, num_info_bits: int) -> int:
        return num_info_bits + 1

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.concatenate([bits, bits.sum(axis=1, keepdims=True, dtype=np.uint8) % 2], axis=1)

    def decode(self, llrs: NDArray[np.float32], num_info_bits: int) -> DecodedBits:
        bits = (llrs > 0).astype(np.uint8)
        return DecodedBits(bits[:, :num_info_bits], bits.sum(axis=1) % 2 == 0)


def entry(
    ue: Pipeline, rows: range, *, truth: bool = True, code: str = "uncoded", received: Received | None = None
) -> Entry:
    """Encode and transmit some channels, without a frame; or let something else arrive."""
    sequence, snr_db = np.array(rows), np.full(len(rows), 3.0, dtype=np.float32)
    randomness = Randomness(ue.run, np.zeros(len(rows), dtype=np.int64), sequence)
    transmission = ue.transmitter.transmit(ue.channels.h[sequence], snr_db, randomness)
    payload, received = transmission.payload, received or transmission.received
    return Entry(
        key=BatchKey(ue.card.sha256, ue.transmitter.rate, received.kind, code, ue.scoring),
        received=received,
        num_bits=payload.length,
        snr_db=snr_db,
        h=ue.channels.h[rows.start : rows.stop] if truth else None,
        sent=payload if truth else None,
        arrival_s=0.0,
        deadline_s=np.inf,
        result=asyncio.get_running_loop().create_future(),
    )


async def test_a_model_that_is_released_is_decoded_for_no_more_until_it_is_held_again(
    models: dict[str, ModelFile], make_ue: MakeUe
) -> None:
    worker, model = make_worker([models["klt"], models["csinet"]], torch.device("cpu")), models["csinet"]
    worker.release({model.card.sha256})
    assert list(worker.decoders) == [models["klt"].card.sha256]
    with pytest.raises(KeyError):
        worker.decode([entry(make_ue("csinet"), range(1))])
    worker.hold([model])
    assert len(worker.decode([entry(make_ue("csinet"), range(1))])) == 1


@pytest.mark.parametrize("of_known", [(False, True, False, True), (True, True, True, True)])
@pytest.mark.parametrize("codec", ["klt", "angular-topk"])
@pytest.mark.parametrize("link", ["digital:bsc", "digital:soft"])
async def test_entries_with_and_without_truth_share_a_batch_and_each_gets_its_own_scores(
    worker: Worker, make_ue: MakeUe, codec: str, link: str, of_known: tuple[bool, ...]
) -> None:
    ue = make_ue(codec, link, scoring=Scoring((0.0, 10.0)))
    of_entries = (range(3), range(3, 7), range(7, 8), range(8, 10))
    batch = [entry(ue, rows, truth=truth) for rows, truth in zip(of_entries, of_known, strict=True)]
    results = worker.decode(batch)
    assert [result.scores is not None for result in results] == list(of_known)
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
        assert result.scores.rho is not None
        np.testing.assert_allclose(result.scores.rho, rho(h_hat, part.h).numpy(), rtol=1e-12)
        assert result.scores.downlink is not None
        ours, theirs = (from_angular_delay(h.to(torch.complex128)) for h in (h_hat, part.h))
        downlink = mrt_downlink(ours, theirs, (0.0, 10.0))
        np.testing.assert_allclose(result.scores.downlink.bler, downlink.bler.numpy(), rtol=1e-5)
        efficiency = downlink.spectral_efficiency.numpy()
        np.testing.assert_allclose(result.scores.downlink.spectral_efficiency, efficiency, rtol=1e-6)


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


async def test_a_report_that_was_erased_becomes_the_mean_channel_and_its_companions_do_not_notice(
    worker: Worker, make_ue: MakeUe
) -> None:
    ue = make_ue(link="digital:soft:erasure-0.5")
    batch = [entry(ue, range(8)), entry(ue, range(8, 20))]
    results = worker.decode(batch)
    erased = np.concatenate([part.received.length == 0 for part in batch])
    assert 0 < erased.sum() < 20
    assert np.concatenate([result.erased for result in results]).tolist() == erased.tolist()
    assert np.concatenate([result.fallback for result in results]).tolist() == erased.tolist()
    assert not any(result.checked.any() for result in results)
    mean_csi = worker.decoders[ue.card.sha256].mean_csi.numpy()
    h_hat = np.concatenate([result.h_hat for result in results])
    assert (h_hat[erased] == mean_csi).all()
    perfect = worker.decode([entry(make_ue(link="digital:soft"), range(20))])[0]
    np.testing.assert_allclose(h_hat[~erased], perfect.h_hat[~erased], atol=1e-5)


async def test_a_lost_report_takes_the_last_good_csi_of_its_ue_where_its_session_asks_for_it(
    worker: Worker, make_ue: MakeUe
) -> None:
    ue, fresh = make_ue(link="digital:soft:erasure-0.5"), Worker(worker.decoders)

    def sent_by(session_id: str | None, rows: range) -> Entry:
        reports = None if session_id is None else [(session_id, 5, number) for number in rows]
        return replace(entry(ue, rows), reports=reports)

    batches = [
        [sent_by("a", range(8)), sent_by(None, range(8)), sent_by("b", range(4, 12))],
        [sent_by("a", range(8, 20)), sent_by("b", range(12, 20))],
    ]
    results = [result for batch in batches for result in fresh.decode(batch)]
    plain = [result for batch in batches for result in worker.decode([replace(e, reports=None) for e in batch])]
    mean_csi = worker.decoders[ue.card.sha256].mean_csi.numpy()
    last: dict[str, NDArray[np.complex64]] = {}
    for part, ours, theirs in zip([e for batch in batches for e in batch], results, plain, strict=True):
        assert ours.fallback.tolist() == theirs.fallback.tolist()
        assert not theirs.held.any()
        session_id = part.reports[0][0] if part.reports else ""
        for i, lost in enumerate(ours.fallback):
            if not lost and session_id:
                last[session_id] = theirs.h_hat[i]
            wanted = last.get(session_id, mean_csi) if lost else theirs.h_hat[i]
            np.testing.assert_array_equal(ours.h_hat[i], wanted)
            assert ours.held[i] == (lost and session_id in last)
        assert part.h is not None
        assert ours.scores is not None
        np.testing.assert_allclose(ours.scores.nmse, nmse(torch.from_numpy(ours.h_hat), part.h).numpy(), rtol=1e-12)
    assert sum(result.held.sum() for result in results) > 5


async def test_a_channel_code_is_decoded_and_the_checks_of_its_crc_are_told_to_each_entry(
    worker: Worker, make_ue: MakeUe
) -> None:
    ue = make_ue(link="ideal")
    plain = entry(ue, range(5))
    coded = Parity().encode(plain.received.values.astype(np.uint8))
    coded[1, 3] ^= 1
    coded[2] = 0
    length = np.array([129, 129, 0, 129, 129])
    parts = [
        entry(ue, rows, code="parity", received=Received(plain.received.kind, coded[chosen], length[chosen]))
        for rows, chosen in ((range(3), slice(0, 3)), (range(3, 5), slice(3, 5)))
    ]
    with_code = Worker(worker.decoders, {"parity": Parity()})
    one, two = with_code.decode(parts)
    assert (one.checked.tolist(), two.checked.tolist()) == ([True, True, False], [True, True])
    assert (one.crc_ok.tolist(), two.crc_ok.tolist()) == ([True, False, False], [True, True])
    assert (one.fallback.tolist(), one.erased.tolist()) == ([False, True, True], [False, False, True])
    assert one.scores is not None
    assert one.scores.bit_errors.tolist()[:2] == [0, 1]
    uncoded = worker.decode([plain])[0]
    np.testing.assert_allclose(one.h_hat[0], uncoded.h_hat[0], atol=1e-5)
    np.testing.assert_allclose(two.h_hat, uncoded.h_hat[3:], atol=1e-5)


async def test_in_two_halves_a_batch_is_decoded_as_in_one_and_its_time_is_waited_or_worked(
    worker: Worker, make_ue: MakeUe
) -> None:
    ue = make_ue(link="digital:soft:conv-1/2")
    batch = [
        replace(entry(ue, rows, code="conv-1/2"), arrival_s=time.monotonic() - 10) for rows in (range(3), range(5))
    ]
    decided = worker.decode_channel(batch)
    assert decided.reports is not None
    assert decided.reports.payload.bits.shape == (8, ue.transmitter.rate)
    start_s = time.monotonic()
    halves = worker.reconstruct(batch, replace(decided, seconds=4.0), refine=True)
    device_s = time.monotonic() - start_s
    for ours, whole in zip(halves, worker.decode(batch), strict=True):
        np.testing.assert_allclose(ours.h_hat, whole.h_hat, atol=1e-5)
        assert ours.checked.all()
        assert ours.crc_ok.tolist() == whole.crc_ok.tolist()
        assert 4000 < ours.decode_ms <= 4000 + 1000 * device_s
        assert whole.decode_ms < 4000
    for part, ours in zip(batch, halves, strict=True):
        assert ours.queue_ms == pytest.approx(1000 * (start_s - part.arrival_s - 4), abs=1000 * device_s)


async def test_the_codes_that_were_asked_for_are_built_once(worker: Worker, make_ue: MakeUe) -> None:
    fresh = Worker(worker.decoders)
    for _ in range(2):
        fresh.decode([entry(make_ue(), range(2))])
    (code,) = fresh.codes.items()
    fresh.decode([entry(make_ue(link="digital:soft"), range(2))])
    assert list(fresh.codes.items()) == [code]
    assert code[0] == "uncoded"


def test_a_model_that_does_not_decode_is_refused_at_the_start(models: dict[str, ModelFile]) -> None:
    card, tensors = models["klt"].card, dict(models["klt"].tensors)
    tensors["basis"] = tensors["basis"][:100]
    with pytest.raises(DataFileError, match="klt"):
        make_worker([ModelFile(card, tensors)], torch.device("cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_on_a_machine_without_it_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`device` must be one this machine has; got cuda"):
        make_device("cuda", threads=1)
