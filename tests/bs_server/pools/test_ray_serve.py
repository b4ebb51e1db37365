"""What needs no cluster; the rest is in tests/integration/test_replicas.py."""

import pickle
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from bs_server.config import Settings
from bs_server.pools import make_pool
from bs_server.pools.ray_serve import RayPool, Replica, Replicas, bare
from bs_server.worker import Worker
from shared.errors import ModelMismatchError
from shared.model_files import ModelFile
from tests.bs_server.test_worker import entry
from ue_client.pipeline import Pipeline


async def test_a_replica_decodes_what_travelled_to_it_as_the_worker_does(
    worker: Worker, models: dict[str, ModelFile], make_ue: Callable[..., Pipeline]
) -> None:
    ue = make_ue("csinet")
    waiting = [replace(entry(ue, rows), arrival_s=time.monotonic()) for rows in (range(3), range(3, 5))]
    parcel = pickle.dumps([(2.0, bare(one)) for one in waiting])  # who waits, a future, would not travel
    results = await Replica([models["csinet"]], [], "cpu", 1).decode(pickle.loads(parcel), refine=False)
    for ours, theirs in zip(results, worker.decode(list(waiting)), strict=True):
        np.testing.assert_allclose(ours.h_hat, theirs.h_hat, rtol=1e-4, atol=1e-5)
        assert ours.scores is not None
        assert theirs.scores is not None
        np.testing.assert_allclose(ours.scores.nmse, theirs.scores.nmse, rtol=1e-4)
        assert 2000 <= ours.queue_ms < 20_000


async def test_replicas_that_follow_do_without_the_models_that_were_released(
    models: dict[str, ModelFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (models[name] for name in ("klt", "csinet", "crnet"))
    pool = RayPool([first, second], [], Replicas(1, "cpu", 1))
    started: list[list[ModelFile]] = []

    async def run(_: RayPool, models: Sequence[ModelFile]) -> None:
        started.append(list(models))

    monkeypatch.setattr(RayPool, "_run", run)
    await pool.release({first.card.sha256})
    assert not started
    await pool.hold([third])
    await pool.hold([first])  # whose file came back
    assert started == [[second, third], [second, third, first]]


async def test_without_ray_the_pool_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, models: dict[str, ModelFile]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModelMismatchError, match=r"`pool` ray needs the extra `ray`: pip install .*'\.\[ray\]'"):
        async with make_pool(Settings(pool="ray"), [models["klt"]], []):
            pass
