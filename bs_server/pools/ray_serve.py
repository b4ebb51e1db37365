"""Decoders in processes of a Ray cluster: replicas of one Ray Serve deployment, each a local pool.

    base station -- work, pickled --> Ray Serve's router --> replica: LocalPool.decode
                 <- results, pickled ----------------------'

Without an address a cluster of this machine is started, and ended with the service. A replica that dies is started
again by Ray, and the batch that it had goes to another, `MAX_DEATHS` times: what kills every replica fails then.
"""

import asyncio
import contextlib
import logging
import os
import time
import uuid
from collections.abc import AsyncIterator, Sequence, Set
from dataclasses import dataclass, fields, replace
from typing import Any

from bs_server.batching import Decoded, TooSlowError, Work
from bs_server.memory import keep_freed_memory
from bs_server.pools.local import start_local_pool
from shared.errors import DataFileError, ModelMismatchError, UnavailableError
from shared.model_files import ModelFile
from shared.refinement import RefinerFile

log = logging.getLogger(__name__)

# Batches of each lane under way for a replica: one that it works on, and one that travels meanwhile.
BATCHES_A_LANE = 2
MAX_DEATHS = 2  # of replicas under one batch
DECODE_S = 120.0  # for a batch to come back, a replica being started again included
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
        keep_freed_memory()
        self._pool = start_local_pool(models, refiners, device, threads)

    async def decode(self, batch: list[tuple[float, Work]], refine: bool) -> list[Decoded]:
        """Decode a batch of work and how long each has waited.

        The wait goes on by the clock of this machine: what travelling takes is not in it.
        """
        now_s = time.monotonic()
        own = [replace(work, arrival_s=now_s - waited_s) for waited_s, work in batch]
        return await self._pool.decode(own, refine)


class RayPool:
    """The replicas, seen from the base station.

    Attributes:
        num_batches: Of each lane, for all replicas.
        app: Name of the application in the cluster, where other base stations may have theirs.
    """

    def __init__(self, models: Sequence[ModelFile], refiners: Sequence[RefinerFile], replicas: Replicas) -> None:
        self.num_batches = BATCHES_A_LANE * replicas.num_replicas
        self.app = f"csilink-{uuid.uuid4().hex[:12]}"
        self._models = list(models)
        self._refiners = list(refiners)
        self._replicas = replicas
        self._handle: Any = None

    async def decode(self, batch: Sequence[Work], refine: bool) -> list[Decoded]:
        """See `bs_server.batching.DecoderPool.decode`."""
        from ray.exceptions import RayActorError, RayTaskError  # noqa: PLC0415

        for deaths in range(MAX_DEATHS + 1):
            now_s = time.monotonic()
            parcel = [(now_s - work.arrival_s, bare(work)) for work in batch]
            try:
                async with asyncio.timeout(DECODE_S):
                    return list(await self._handle.decode.remote(parcel, refine))
            except RayTaskError as error:  # what the replica raised, with a trace that is nobody's business
                raise error.cause from None
            except RayActorError as error:
                log.warning("a replica died", extra={"app": self.app, "num_entries": len(batch), "error": str(error)})
                if deaths == MAX_DEATHS:
                    raise UnavailableError(f"{deaths + 1} replicas died while they decoded this batch.") from None
            except TimeoutError:
                raise TooSlowError(f"No replica decoded the batch in {DECODE_S:g} s.") from None
        raise RuntimeError("the loop above returns or raises")

    async def hold(self, models: Sequence[ModelFile]) -> None:
        """See `bs_server.batching.DecoderPool.hold`; replicas serve until those that follow them are ready."""
        held = {model.card.sha256 for model in self._models}
        new = [model for model in models if model.card.sha256 not in held]
        if new:
            await self.deploy([*self._models, *new])

    async def release(self, digests: Set[str]) -> None:
        """See `bs_server.batching.DecoderPool.release`; the replicas that follow these do without."""
        self._models = [model for model in self._models if model.card.sha256 not in digests]

    async def deploy(self, models: Sequence[ModelFile]) -> None:
        """Start the replicas, or others beside them that decode for these models and then take their place.

        Raises:
            DataFileError: If they do not start; then those before them are what is deployed.
        """
        try:
            await self._run(models)
        except Exception as error:  # whatever Ray says of replicas that do not start
            if self._handle is not None:
                await self._run(self._models)
            raise DataFileError(f"The replicas of Ray Serve do not start: {error}") from error
        self._models = list(models)

    async def _run(self, models: Sequence[ModelFile]) -> None:
        from ray import serve  # noqa: PLC0415

        replicas = self._replicas
        deployment = serve.deployment(Replica).options(
            name="decoder",
            num_replicas=replicas.num_replicas,
            max_ongoing_requests=2 * BATCHES_A_LANE,
            max_surge_percent=100,
            ray_actor_options={"num_cpus": replicas.threads, "num_gpus": int(replicas.device == "cuda")},
        )
        app = deployment.bind(list(models), self._refiners, replicas.device, replicas.threads)
        running = asyncio.to_thread(serve.run, app, name=self.app, route_prefix=None)
        self._handle = await asyncio.wait_for(running, START_S)


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
        UnavailableError: If there is no such cluster.
        DataFileError: If the replicas do not start.
    """
    try:
        import ray  # noqa: PLC0415
        from ray import serve  # noqa: PLC0415
    except ImportError as error:
        raise ModelMismatchError(
            f"`pool` ray needs the extra `ray`: pip install -c constraints.txt -e '.[ray]' ({error})."
        ) from error

    pool = RayPool(models, refiners, replicas)

    def start() -> None:
        # In a thread that is not the main one: Ray would take SIGTERM from the service.
        cpus = None if address else max(os.cpu_count() or 1, 2 * replicas.num_replicas * replicas.threads)
        try:
            ray.init(
                address=address, num_cpus=cpus, include_dashboard=False, log_to_driver=False, configure_logging=False
            )
            serve.start(http_options={"location": "NoServer"})
        except Exception as error:  # no cluster there, of another version, or none to be started
            raise UnavailableError(f"`ray_address` {address or 'of a cluster of this machine'}: {error}") from error

    def stop() -> None:
        if ray.is_initialized():
            serve.delete(pool.app)
            if address is None:
                serve.shutdown()
            ray.shutdown()

    try:
        await asyncio.to_thread(start)
        await pool.deploy(models)
        yield pool
    finally:
        await asyncio.to_thread(stop)


def bare(work: Work) -> Work:
    """Return work without who waits for it: that stays in this process."""
    return Work(**{one.name: getattr(work, one.name) for one in fields(Work)})
