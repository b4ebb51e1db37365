"""Reports of as many bits as their entropy code gives at the base station: with a CRC and without, lost, together."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bs_server.api.feed import summarise
from bs_server.api.schemas import Report
from bs_server.config import Settings
from bs_server.handlers import BaseStation
from bs_server.store import ReportFilter, ReportRow
from bs_server.store.sql import SqlStore
from bs_server.worker import Worker, make_worker
from shared.channels import ChannelSet
from shared.codecs import load_codec
from shared.errors import CsiError, InvalidArgumentError, ModelMismatchError
from shared.frame import Frame
from shared.model_files import ModelFile
from shared.rng import Randomness
from shared.summary import Group
from shared.types import ReceivedKind
from ue_client.pipeline import Pipeline, make_pipeline

StartStation = Callable[..., AbstractAsyncContextManager[BaseStation]]
MakeUe = Callable[..., Pipeline]
N, RATE, SNR_DB = 40, 16, 3.0
LOSSY = "digital:soft:crc:erasure-0.3"


@pytest.fixture(scope="module")
def models(golomb_taps: str) -> dict[str, ModelFile]:
    return {"golomb-taps": load_codec(golomb_taps)}


@pytest.fixture(scope="module")
def worker(models: dict[str, ModelFile]) -> Worker:
    return make_worker(list(models.values()), torch.device("cpu"))


@pytest.fixture(scope="module")
def make_ue(models: dict[str, ModelFile], indoor: ChannelSet) -> MakeUe:
    return lambda link, rate=RATE: make_pipeline(models["golomb-taps"], indoor, link, rate, run=1)


def frame(ue: Pipeline, session_id: str, sequence: Sequence[int]) -> Frame:
    numbers = np.array(sequence)
    return ue.frame(session_id, 1, 0, numbers, numbers, SNR_DB, truth_by="index")


def num_bits_of(ue: Pipeline, sequence: Sequence[int]) -> NDArray[np.int64]:
    numbers, snr_db = np.array(sequence), np.full(len(sequence), SNR_DB, dtype=np.float32)
    randomness = Randomness(1, np.zeros_like(numbers), numbers)
    return ue.transmitter.transmit(ue.channels.h[numbers], snr_db, randomness).payload.length


async def opened(station: BaseStation, ue: Pipeline) -> str:
    session_id = str(uuid.uuid4())
    await station.open_session(ue.session_request(session_id))
    return session_id


async def stored(settings: Settings) -> tuple[list[ReportRow], Group]:
    store = SqlStore(settings.database_url, keep_reconstructions=0)
    await store.open()
    rows, summary = await store.reports(ReportFilter(), 10_000, 0), await summarise(store, ReportFilter(), ["snr_db"])
    await store.close()
    (group,) = summary.groups
    return sorted(rows, key=lambda row: row.sequence), group


async def test_every_report_is_counted_by_the_bits_that_it_has(
    start_station: StartStation, make_ue: MakeUe, local: Settings
) -> None:
    ue = make_ue(LOSSY)
    async with start_station(replace(local, max_batch=8)) as station:
        sent = frame(ue, await opened(station, ue), range(N))
        ack = await station.report(sent)
        again = await station.report(sent)
    num_bits, erased = num_bits_of(ue, range(N)), sent.length == 0
    assert sent.num_bits.tolist() == num_bits.tolist()
    assert len(set(num_bits.tolist())) > 3
    assert set(sent.rate.tolist()) == {RATE}
    assert 0 < erased.sum() < N
    rows, group = await stored(local)
    assert [(row.rate, row.num_bits) for row in rows] == [(RATE, number) for number in num_bits]
    with_crc = num_bits >= 12
    on_the_air = num_bits + np.where(with_crc, np.where(num_bits < 20, 6, 11), 0)
    assert [(row.coded_bits, row.channel_uses) for row in rows] == [(number, number) for number in on_the_air]
    assert [row.crc_ok is None for row in rows] == (erased | ~with_crc).tolist()
    assert {row.crc_ok for row in rows} == {None, True, False}
    arrived = ~erased
    assert group.info_bits_per_report == num_bits.mean()
    assert group.coded_bits_per_report == on_the_air.mean()
    assert group.ber == ack.bit_errors[arrived].sum() / num_bits[arrived].sum()
    assert group.crc_fail_rate is not None
    failed = sum(row.crc_ok is False for row in rows)
    assert group.crc_fail_rate.value == failed / (arrived & with_crc).sum() > 0
    assert [Report.of(row).num_bits for row in rows] == num_bits.tolist()
    assert ack.crc_failed.tolist() == [row.crc_ok is False for row in rows]
    assert np.array_equal(again.nmse, ack.nmse)


async def test_frames_whose_reports_have_other_lengths_share_a_batch_and_each_gets_its_own_scores(
    start_station: StartStation, make_ue: MakeUe, local: Settings
) -> None:
    ue = make_ue("digital:hard")
    by_length = np.argsort(num_bits_of(ue, range(N)), kind="stable")
    shortest, longest = by_length[:6].tolist(), by_length[-6:].tolist()
    async with start_station(replace(local, max_wait_ms=200.0)) as station:
        together, alone = await opened(station, ue), await opened(station, ue)
        acks = await asyncio.gather(*(station.report(frame(ue, together, part)) for part in (longest, shortest)))
        singles = [[await station.report(frame(ue, alone, [i])) for i in part] for part in (longest, shortest)]
    for ack, single in zip(acks, singles, strict=True):
        assert set(ack.batch_size.tolist()) == {12}
        for name in ("nmse", "sgcs", "bit_errors", "fallback"):
            wanted = np.concatenate([getattr(one, name) for one in single])
            np.testing.assert_allclose(getattr(ack, name), wanted, rtol=1e-6)
    assert any(ack.bit_errors.any() for ack in acks)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"num_bits": 0}, r"`num_bits` of a report of rate 16 of codec golomb-taps must be in \[1, 160\]; got 0"),
        ({"num_bits": 161}, r"`num_bits` of a report of rate 16 .* must be in \[1, 160\]; got 161"),
        ({"num_bits": 2**32 - 1}, r"must be in \[1, 160\]; got 4294967295"),
        ({"num_bits": 128}, "`length` of a report of 128 bits over digital:bsc must be 128; got "),
    ],
)
async def test_a_report_that_says_another_number_of_bits_than_it_has_is_refused(
    start_station: StartStation, make_ue: MakeUe, changes: dict[str, int], sentence: str
) -> None:
    ue = make_ue("digital:bsc")
    async with start_station() as station:
        good = replace(frame(ue, await opened(station, ue), [0, 1]), truth=None)
        bad = np.array([good.num_bits[0], changes["num_bits"]])
        with pytest.raises(InvalidArgumentError, match=sentence):
            await station.report(replace(good, num_bits=bad))
        assert (await station.report(good)).code == 0


async def test_bits_that_no_encoder_made_are_a_fallback_of_their_report_alone(
    start_station: StartStation, make_ue: MakeUe
) -> None:
    ue = make_ue("ideal")
    async with start_station() as station:
        good = replace(frame(ue, await opened(station, ue), [0, 1, 2]), truth=None)
        first, last = good.payload[: good.num_bytes[0]], good.payload[-good.num_bytes[2] :]
        changed = {"num_bits": good.num_bits.copy(), "length": good.length.copy()}
        for column in changed.values():
            column[1] = 128
        ack = await station.report(replace(good, payload=first + bytes(16) + last, **changed))  # type: ignore[arg-type]
    assert (ack.code, ack.fallback.tolist()) == (0, [False, True, False])


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({"protocol_version": 3}, InvalidArgumentError, "`protocol_version` must be 4 with `variable_length`; got 3"),
        (
            {"protocol_version": 1, "variable_length": False},
            ModelMismatchError,
            "`variable_length` of codec golomb-taps must be true; got false",
        ),
    ],
)
async def test_a_ue_that_does_not_know_such_reports_is_refused(
    start_station: StartStation, make_ue: MakeUe, changes: dict[str, object], kind: type[CsiError], sentence: str
) -> None:
    request = make_ue("ideal").session_request(str(uuid.uuid4()))
    assert (request.protocol_version, request.variable_length) == (4, True)
    async with start_station() as station:
        await station.open_session(request)
        with pytest.raises(kind, match=sentence):
            await station.open_session(replace(request, **changes))  # type: ignore[arg-type]


async def test_a_session_goes_on_after_a_restart(start_station: StartStation, make_ue: MakeUe, local: Settings) -> None:
    ue = make_ue(LOSSY)
    session_id = str(uuid.uuid4())
    for run in range(2):
        async with start_station() as station:
            await station.open_session(ue.session_request(session_id))
            await station.report(frame(ue, session_id, range(5 * run, 5 * run + 5)))
    rows, _ = await stored(local)
    assert [row.num_bits for row in rows] == num_bits_of(ue, range(10)).tolist()
    assert ue.transmitter.link.kind is ReceivedKind.LLRS
