"""Refinement behind the handlers: what a session may ask for, what a busy base station leaves undone, what is kept."""

import asyncio
import threading
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import numpy as np
import pytest
import torch

from bs_server.batching import BatchKey, ChannelDecoded, Decoded, Entry, Work
from bs_server.config import Settings
from bs_server.handlers import BaseStation
from bs_server.observability import Observability
from bs_server.store import ReportFilter
from bs_server.store.sql import SqlStore
from bs_server.worker import Worker, make_worker
from shared.errors import CsiError, DataFileError, InvalidArgumentError, ModelMismatchError
from shared.frame import Frame, SessionRequest
from shared.metrics import nmse
from shared.model_files import ModelFile, load_model
from shared.refinement import RefinerFile, make_refiner
from shared.refinement.label import parse_refinement
from shared.rng import Randomness
from ue_client.pipeline import Pipeline

StartStation = Callable[..., AbstractAsyncContextManager[BaseStation]]
MakeUe = Callable[..., Pipeline]
Eventually = Callable[[Callable[[], object]], Awaitable[None]]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def small(untrained_refiner: Callable[..., RefinerFile]) -> RefinerFile:
    return untrained_refiner(load_model("klt").card)


@pytest.fixture(scope="module")
def refining(worker: Worker, small: RefinerFile) -> Worker:
    """The worker with a refiner behind `klt`."""
    return Worker(worker.decoders, refiners={"small": make_refiner(small, CPU)})


def frame(ue: Pipeline, session_id: str, sequence: range) -> Frame:
    numbers = np.array(sequence)
    return ue.frame(session_id, 1, 0, numbers, numbers % len(ue.channels.h), 5.0, "index")


async def opened(station: BaseStation, ue: Pipeline) -> str:
    session_id = str(uuid.uuid4())
    await station.open_session(ue.session_request(session_id))
    return session_id


async def test_reports_are_refined_and_told_stored_counted_and_told_again_as_such(
    start_station: StartStation, make_ue: MakeUe, local: Settings, refining: Worker, small: RefinerFile
) -> None:
    ue, plain = make_ue(link="ideal", refinement="always:steps-3", run=9), make_ue(link="ideal")
    metrics = Observability()
    settings = replace(local, keep_every=1)
    async with start_station(settings, None, metrics, refiners=[small.card], reconstruct=refining.reconstruct) as one:
        session_id = await opened(one, ue)
        coarse = await one.report(frame(plain, await opened(one, plain), range(5)))
        ack = await one.report(frame(ue, session_id, range(5)))
        again = await one.report(frame(ue, session_id, range(5)))
    assert not coarse.refined.any()
    assert ack.num_steps.tolist() == again.num_steps.tolist() == [3] * 5
    assert ack.refined.all()
    assert again.nmse.tolist() == ack.nmse.tolist()
    assert (ack.nmse != coarse.nmse).all()
    assert metrics.registry.get_sample_value("csi_refined_total", {"codec": "klt"}) == 5
    store = SqlStore(local.database_url, 100)
    await store.open()
    (session,) = [row for row in await store.sessions(10, None) if row.session_id == session_id]
    assert (session.refinement, session.run, session.refiner_sha256) == ("always:steps-3", 9, small.card.sha256)
    rows = await store.reports(ReportFilter(refinement="always:steps-3"), 100, 0)
    assert [(row.num_steps, row.refinement, row.nmse) for row in rows] == [
        (3, "always:steps-3", value) for value in ack.nmse
    ]
    unrefined = await store.reports(ReportFilter(refinement="never"), 100, 0)
    kept, refined = [await store.reconstruction(found[4].report_id) for found in (unrefined, rows)]
    await store.close()
    assert kept is not None
    assert refined is not None
    noise = Randomness(9, np.array([0]), np.array([4]))
    wanted = make_refiner(small, CPU).refine(torch.tensor(kept.h_hat)[None], np.array([5.0], np.float32), 3, noise)
    torch.testing.assert_close(torch.tensor(refined.h_hat), wanted[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({"protocol_version": 1}, InvalidArgumentError, "must be 3 with a `refinement` other than never, or a `run`"),
        ({"protocol_version": 2}, InvalidArgumentError, "`protocol_version` must be 3 with a `refinement` .*; got 2"),
        ({"protocol_version": 2, "refinement": "never"}, InvalidArgumentError, "must be 3 with .* or a `run`; got 2"),
        ({"protocol_version": 1, "run": 0, "refinement": "never"}, None, ""),
        ({"refinement": "sometimes"}, InvalidArgumentError, "`refinement` must be one of never, .*; got 'sometimes'"),
        ({"refinement": "always:steps-21"}, InvalidArgumentError, r"`steps-N` of refiner small .*\[1, 20\]; got 21"),
        ({"refinement": "gain"}, InvalidArgumentError, "the card of refiner small has figures of, none; got gain"),
        (
            {"refinement": "always:by-other"},
            ModelMismatchError,
            "holds for model klt, small; got 'always:by-other'. .*`csi-bs serve --refiner FILE`",
        ),
    ],
)
async def test_a_refinement_that_cannot_be_is_refused(
    start_station: StartStation,
    make_ue: MakeUe,
    small: RefinerFile,
    changes: dict[str, object],
    kind: type[CsiError] | None,
    sentence: str,
) -> None:
    good = make_ue(refinement="always").session_request(str(uuid.uuid4()))
    assert (good.protocol_version, good.refinement, good.run) == (3, "always", 1)
    request: SessionRequest = replace(good, **changes)  # type: ignore[arg-type]
    async with start_station(refiners=[small.card]) as station:
        if kind is None:
            await station.open_session(request)
            return
        with pytest.raises(kind, match=sentence):
            await station.open_session(request)


async def test_a_model_without_a_refiner_says_so(
    start_station: StartStation, make_ue: MakeUe, small: RefinerFile
) -> None:
    ue = make_ue("angular-topk", refinement="always")
    async with start_station(refiners=[small.card]) as station:
        with pytest.raises(ModelMismatchError, match="holds for model angular-topk, none; got 'always'"):
            await opened(station, ue)


async def test_a_session_goes_on_with_its_refinement_alone_and_not_without_its_refiner(
    start_station: StartStation, make_ue: MakeUe, refining: Worker, small: RefinerFile
) -> None:
    ue = make_ue(refinement="always:steps-3")
    request = ue.session_request(str(uuid.uuid4()))
    for _ in range(2):  # in memory, then after a restart
        async with start_station(refiners=[small.card], reconstruct=refining.reconstruct) as station:
            await station.open_session(request)
            await station.open_session(replace(request, refinement="always:steps-03"))
            for other in ({"refinement": "always"}, {"run": 2}, {"refinement": "never", "run": 0}):
                with pytest.raises(ModelMismatchError, match="was opened with other parameters"):
                    await station.open_session(replace(request, **other))
    async with start_station(refiners=[small.card], reconstruct=refining.reconstruct) as station:
        assert (await station.report(frame(ue, request.session_id, range(2)))).num_steps.tolist() == [3, 3]
    async with start_station() as station:
        with pytest.raises(ModelMismatchError, match="holds for model klt, none; got 'always:steps-3'"):
            await station.report(frame(ue, request.session_id, range(2, 4)))
        with pytest.raises(ModelMismatchError, match="was opened with other parameters"):
            await station.open_session(replace(request, refinement="never", run=0))


async def test_a_session_does_not_go_on_with_another_refiner_of_the_same_name(
    start_station: StartStation, make_ue: MakeUe, refining: Worker, small: RefinerFile
) -> None:
    ue, other = make_ue(refinement="always"), small.card.model_copy(update={"sha256": "f" * 64})
    request = ue.session_request(str(uuid.uuid4()))
    async with start_station(refiners=[small.card], reconstruct=refining.reconstruct) as station:
        await station.open_session(request)
        await station.report(frame(ue, request.session_id, range(2)))
    async with start_station(refiners=[other], reconstruct=refining.reconstruct) as station:
        sentence = (
            rf"that the session was opened with, {small.card.sha256[:12]}.*; the base station holds small, f{{12}}"
        )
        with pytest.raises(ModelMismatchError, match=sentence):
            await station.report(frame(ue, request.session_id, range(2, 4)))
        with pytest.raises(ModelMismatchError, match=sentence):
            await station.open_session(request)


async def test_nothing_is_refined_while_the_queue_is_full_and_everything_is_again_afterwards(
    start_station: StartStation,
    make_ue: MakeUe,
    local: Settings,
    refining: Worker,
    small: RefinerFile,
    eventually: Eventually,
) -> None:
    """The device is held at its first batch, which nothing waited behind, until the queue is full."""
    started, go = threading.Event(), threading.Event()

    def slow(batch: Sequence[Work], decided: ChannelDecoded, refine: bool) -> list[Decoded]:
        started.set()
        go.wait(20)
        return refining.reconstruct(batch, decided, refine)

    ue = make_ue(refinement="always")
    settings = replace(
        local, queue_reports=8, max_reports_per_frame=2, max_batch=2, max_wait_ms=0.0, refine_queue_reports=3
    )
    async with start_station(settings, refiners=[small.card], reconstruct=slow) as station:
        session_id = await opened(station, ue)
        try:
            sending = [asyncio.create_task(station.report(frame(ue, session_id, range(0, 2))))]
            await eventually(started.is_set)
            sending += [
                asyncio.create_task(station.report(frame(ue, session_id, range(2 * i, 2 * i + 2)))) for i in range(1, 5)
            ]
            await eventually(lambda: station._lanes.num_reports == 8)
        finally:
            go.set()
        acks = await asyncio.gather(*sending)
        assert [ack.num_steps.tolist() for ack in acks] == [[1, 1], [0, 0], [0, 0], [1, 1], [1, 1]]
        assert all(ack.code == 0 for ack in acks)


async def test_a_base_station_whose_refinement_is_turned_off_takes_the_session_and_refines_nothing(
    start_station: StartStation, make_ue: MakeUe, local: Settings, refining: Worker, small: RefinerFile
) -> None:
    ue = make_ue(refinement="always")
    off = replace(local, refine_queue_reports=0)
    async with start_station(off, refiners=[small.card], reconstruct=refining.reconstruct) as station:
        ack = await station.report(frame(ue, await opened(station, ue), range(3)))
    assert not ack.refined.any()


def entry(ue: Pipeline, sequence: range, run: int, refinement: str) -> Entry:
    """Encode and transmit some channels, without a frame."""
    numbers, snr_db = np.array(sequence), np.full(len(sequence), 3.0, dtype=np.float32)
    sent = ue.transmitter.transmit(ue.channels.h[numbers], snr_db, Randomness(1, np.zeros_like(numbers), numbers))
    label = parse_refinement(refinement)
    return Entry(
        key=BatchKey(ue.card.sha256, ue.transmitter.rate, sent.received.kind, "uncoded", ue.scoring, label),
        received=sent.received,
        num_bits=sent.payload.length,
        snr_db=snr_db,
        h=ue.channels.h[numbers],
        sent=sent.payload,
        arrival_s=0.0,
        deadline_s=np.inf,
        result=asyncio.get_running_loop().create_future(),
        randomness=Randomness(run, np.full(len(sequence), 4), numbers),
    )


async def test_entries_of_several_runs_share_a_batch_and_each_is_refined_as_alone(
    refining: Worker, make_ue: MakeUe
) -> None:
    ue = make_ue()
    label = "always:steps-2"
    batch = [entry(ue, range(3), 5, label), entry(ue, range(2, 6), 1, label), entry(ue, range(6, 7), 5, label)]
    coarse = refining.decode(batch, refine=False)
    assert not any(result.num_steps.any() for result in coarse)
    together = refining.decode(batch)
    for part, result, unrefined in zip(batch, together, coarse, strict=True):
        (alone,) = refining.decode([part])
        assert result.num_steps.tolist() == [2] * part.num_reports
        error = np.linalg.norm((result.h_hat - alone.h_hat).reshape(part.num_reports, -1), axis=1)
        assert (error < 1e-4 * np.linalg.norm(alone.h_hat.reshape(part.num_reports, -1), axis=1)).all()
        assert not np.allclose(result.h_hat, unrefined.h_hat, atol=1e-2)
        assert part.h is not None
        assert result.scores is not None
        np.testing.assert_allclose(result.scores.nmse, nmse(torch.from_numpy(result.h_hat), part.h).numpy(), rtol=1e-9)


def test_a_refiner_that_is_not_what_its_card_says_is_refused_at_the_start(
    models: dict[str, ModelFile], small: RefinerFile
) -> None:
    assert list(make_worker([models["klt"]], CPU, [small]).refiners) == ["small"]
    with pytest.raises(DataFileError, match="small"):
        make_worker([models["klt"]], CPU, [replace(small, tensors={})])
