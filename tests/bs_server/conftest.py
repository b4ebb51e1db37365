"""A base station without its transports: lanes, their threads, store and group commits are the real ones."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
import torch

from bs_server.batching import BatchQueue, ChannelDecoded, Decoded, Entry, Lanes, Work, run_batches
from bs_server.config import Settings
from bs_server.handlers import BaseStation
from bs_server.observability import Observability
from bs_server.pools import LocalPool
from bs_server.store import GroupWriter, Store, make_store
from bs_server.worker import Worker, make_worker
from shared.channels import ChannelSet
from shared.estimation.ls import LsEstimator
from shared.model_files import ModelFile, load_model, zoo_names
from shared.refinement import RefinerCard
from shared.scoring import DEFAULT_SCORING, Scoring
from ue_client.pipeline import Pipeline, make_pipeline


@dataclass(frozen=True, slots=True)
class Halves:
    """A worker whose halves a test may replace."""

    decode_channel: Callable[[Sequence[Work]], ChannelDecoded]
    reconstruct: Callable[[Sequence[Work], ChannelDecoded, bool], list[Decoded]]
    hold: Callable[[Sequence[ModelFile]], None]
    release: Callable[[Set[str]], None]


StartStation = Callable[..., AbstractAsyncContextManager[BaseStation]]


@pytest.fixture
def may_decode(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Return what base stations of this process wait for before they take a batch from their queues."""
    event, next_batch = asyncio.Event(), BatchQueue.next_batch

    async def when_told(queue: BatchQueue) -> list[Entry]:
        await event.wait()
        return await next_batch(queue)

    monkeypatch.setattr(BatchQueue, "next_batch", when_told)
    return event


@pytest.fixture(scope="session")
def models() -> dict[str, ModelFile]:
    return {name: load_model(name) for name in zoo_names()}


@pytest.fixture(scope="session")
def worker(models: dict[str, ModelFile]) -> Worker:
    return make_worker(list(models.values()), torch.device("cpu"))


@pytest.fixture(scope="session")
def make_ue(models: dict[str, ModelFile], indoor: ChannelSet) -> Callable[..., Pipeline]:
    """Return what builds the UE's side of a session: real frames of real codecs over a real link."""

    def make(
        codec: str = "klt",
        link: str = "digital:bsc",
        rate: int | None = None,
        ls_cnr_db: float | None = None,
        scoring: Scoring = DEFAULT_SCORING,
        refinement: str = "never",
        run: int = 1,
    ) -> Pipeline:
        estimator = None if ls_cnr_db is None else LsEstimator(indoor.shape)
        return make_pipeline(
            models[codec], indoor, link, rate, run, estimator, ls_cnr_db, scoring, refinement=refinement
        )

    return make


@pytest.fixture
def start_station(local: Settings, models: dict[str, ModelFile], worker: Worker, indoor: ChannelSet) -> StartStation:
    """Return what runs a base station inside an ``async with``; twice on one database is a restart."""

    @asynccontextmanager
    async def start(
        settings: Settings = local,
        store: Store | None = None,
        metrics: Observability | None = None,
        decode_channel: Callable[[Sequence[Work]], ChannelDecoded] = worker.decode_channel,
        reconstruct: Callable[[Sequence[Work], ChannelDecoded, bool], list[Decoded]] = worker.reconstruct,
        refiners: Sequence[RefinerCard] = (),
        clock: Callable[[], float] = time.time,
    ) -> AsyncIterator[BaseStation]:
        store = store or make_store(settings.database_url, settings.keep_reconstructions)
        await store.open()
        wait_s = settings.max_wait_ms / 1000
        lanes = Lanes(settings.queue_reports, settings.max_batch, wait_s, settings.refine_queue_reports)
        writer = GroupWriter(store)
        cards = {model.card.sha256: model.card for model in models.values()}
        datasets, metrics = {indoor.sha256: indoor}, metrics or Observability()
        station = BaseStation(settings, cards, list(refiners), datasets, lanes, store, writer, metrics, "test", clock)
        with ThreadPoolExecutor(1) as channel_thread, ThreadPoolExecutor(1) as device_thread:
            pool = LocalPool(
                Halves(decode_channel, reconstruct, worker.hold, worker.release), channel_thread, device_thread
            )
            tasks = [
                asyncio.create_task(writer.run()),
                asyncio.create_task(run_batches(lanes, pool, lambda *_: None)),
            ]
            try:
                async with asyncio.timeout(60):
                    yield station
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await store.close()

    return start
