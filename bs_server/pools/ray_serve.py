"""Decoders in processes of a Ray cluster: replicas of one Ray Serve deployment, each a local pool.

    base station -- work, pickled --> Ray Serve's router --> replica: LocalPool.decode
                 <- results, pickled ----------------------'

Without an address a cluster of this machine is started, and ended with the service. A replica that dies is started
again by Ray, and the batch that it had fails; the batch loop sends its halves to the replicas that are left.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from bs_server.batching import Decoded, Work
from bs_server.pools.local import start_local_pool
from shared.errors import CsiError, DataFileError, ModelMismatchError
from shared.model_files import ModelFile
from shared.refinement import RefinerFile

APP = "csilink"
# Batches of a replica under way: one of each lane, and one more of each that travels meanwhile.
MAX_BATCHES = 4
START_S = 600.0  # for all replicas to have decoded their zeros: a cluster may have to start machines


@dataclass(frozen=True, slots=True)
class Replicas:
    """What the replicas are.

    Attributes:
        num_replicas: How many.
        device: ``cpu`` or ``cuda``: a GPU for each.
        threads: Torch threads of each of its two threads, on the CPU, and the CPUs that it takes of the cluster.
    """

    num_replicas: int
    device: str
    threads: int


class Replica:
    """What runs in a process of Ray's.

    Args:
        models: What it decodes for.
        refiners: What it refines by.
        device: ``cpu`` or ``cuda``.
        threads: Torch threads.
    """

    def __init__(self, models: Sequence[ModelFile], refiners: Sequence[RefinerFile], device: str, threads: int) -> None:
        self._pool = start_local_pool(models, refiners, device, threads)

    async def decode(self, batch: list[tuple[float, Work]], refine: bool) -> tuple[int, list[Decoded]]:
        """Decode a batch of work and how long each has waited; return the process, and the results.

        The wait goes on by the clock of this machine: what travelling takes is not in it.
        """
        now_s = time.monotonic()
        own = [replace(work, arrival_s=now_s - waited_s) for waited_s, work in batch]
        return os.getpid(), await self._pool.decode(own, refine)


class RayPool:
    """The replicas, seen from the base station.

    Attributes:
        num_replicas: Of the deployment.
        processes: Those that have decoded something, in order of their first batch.
    """

    def __init__(self, models: Sequence[ModelFile], refiners: Sequence[RefinerFile], replicas: Replicas) -> None:
        self.num_replicas = replicas.num_replicas
        self.processes: list[int] = []
        self._models = list(models)
        self._refiners = list(refiners)
        self._replicas = replicas
        self._handle: Any = None

    async def decode(self, batch: Sequence[Work], refine: bool) -> list[Decoded]:
        """See `bs_server.batching.DecoderPool.decode`."""
        now_s = time.monotonic()
        parcel = [(now_s - work.arrival_s, bare(work)) for work in batch]
        process, results = await self._handle.decode.remote(parcel, refine)
        if process not in self.processes:
            self.processes.append(process)
        return list(results)

    async def hold(self, models: Sequence[ModelFile]) -> None:
        """See `bs_server.batching.DecoderPool.hold`; replicas are replaced one by one, and serve until they are."""
        held = {model.card.sha256 for model in self._models}
        new = [model for model in models if model.card.sha256 not in held]
        if new:
            await self.deploy([*self._models, *new])

    async def deploy(self, models: Sequence[ModelFile]) -> None:
        """Start the replicas, or replace them by ones that decode for these models.

        Raises:
            DataFileError: If they do not start; those before them serve on.
        """
        from ray import serve  # noqa: PLC0415

        replicas = self._replicas
        deployment = serve.deployment(Replica).options(
            name="decoder",
            num_replicas=replicas.num_replicas,
            max_ongoing_requests=MAX_BATCHES,
            ray_actor_options={"num_cpus": replicas.threads, "num_gpus": int(replicas.device == "cuda")},
        )
        app = deployment.bind(list(models), self._refiners, replicas.device, replicas.threads)
        try:
            self._handle = await asyncio.wait_for(
                asyncio.to_thread(serve.run, app, name=APP, route_prefix=None), START_S
            )
        except CsiError:
            raise
        except Exception as error:  # whatever Ray says of replicas that do not start
            raise DataFileError(f"The replicas of Ray Serve do not start: {error}") from error
        self._models = list(models)


@contextlib.asynccontextmanager
async def ray_pool(
    models: Sequence[ModelFile],
    refiners: Sequence[RefinerFile],
    replicas: Replicas,
    address: str | None,
) -> AsyncIterator[RayPool]:
    """Run a pool of replicas in a Ray cluster.

    Args:
        models: What it decodes for.
        refiners: What it refines by.
        replicas: How many, on what.
        address: Of a cluster that runs already; None starts one on this machine.

    Raises:
        ModelMismatchError: If Ray is not installed.
        DataFileError: If the replicas do not start.
    """
    try:
        import ray  # noqa: PLC0415
        from ray import serve  # noqa: PLC0415
    except ImportError as error:
        raise ModelMismatchError(
            f"`pool` ray needs the extra `ray`: pip install -c constraints.txt -e '.[ray]' ({error})."
        ) from error

    def start() -> None:
        # In a thread that is not the main one: Ray would take SIGTERM from the service.
        cpus = None if address else max(os.cpu_count() or 1, replicas.num_replicas * replicas.threads)
        ray.init(address=address, num_cpus=cpus, include_dashboard=False, log_to_driver=False, configure_logging=False)
        serve.start(http_options={"location": "NoServer"})

    def stop() -> None:
        serve.delete(APP)
        if address is None:
            serve.shutdown()
        ray.shutdown()

    pool = RayPool(models, refiners, replicas)
    await asyncio.to_thread(start)
    try:
        await pool.deploy(models)
        yield pool
    finally:
        await asyncio.to_thread(stop)


def bare(work: Work) -> Work:
    """Return work without who waits for it: that stays in this process."""
    return Work(**{one.name: getattr(work, one.name) for one in fields(Work)})
