"""One process: gRPC and REST on one event loop, beside the decoder pool.

start:   models -> pool, warm-up -> store -> batch loop, group commits -> REST, gRPC -> ready
SIGHUP:  model files read again -> warm-up -> held beside the old ones, which serve their sessions; those of none go
SIGTERM: not ready -> no new reports -> calls in flight finish -> gRPC, REST -> store
"""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import grpc
import uvicorn

from bs_server.api.app import make_app
from bs_server.api.deps import Context
from bs_server.api.feed import SummaryFeed
from bs_server.batching import Decoded, DecoderPool, Entry, Lanes, run_batches
from bs_server.config import Settings
from bs_server.handlers import BaseStation
from bs_server.memory import exempt_from_collection, keep_freed_memory
from bs_server.observability import Observability
from bs_server.pairing import SHOWN_DIGITS
from bs_server.pools import make_pool
from bs_server.rpc.server import RpcServer
from bs_server.rpc.service import CsiFeedbackService
from bs_server.security import Tokens, read_tokens, server_credentials
from bs_server.store import GroupWriter, Store, make_store
from shared.channels import load_channels
from shared.codecs import load_codec
from shared.errors import CsiError, DataFileError, UnavailableError
from shared.model_files import CodecCard, ModelFile, zoo_names
from shared.refinement import RefinerCard
from shared.refinement.held import load_refiners

log = logging.getLogger(__name__)

# Python's 5 ms is what the device's thread waits, after each operation, for an event loop that is busy with frames.
SWITCH_INTERVAL_S = 0.0002
RETENTION_S = 3600.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Running:
    """A running service.

    Attributes:
        grpc_port: Port of gRPC.
        rest_port: Port of REST.
        tasks: Its parts; none of them ends by itself.
        reload: Reads the model files again; one that was replaced is held beside the one before while that is in use.
    """

    grpc_port: int
    rest_port: int
    tasks: tuple["asyncio.Task[None]", ...]
    reload: Callable[[], Awaitable[None]]


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        CsiError: If the service cannot start; says why.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    keep_freed_memory()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    hang_up = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hang_up.set)
    async with running(settings) as service:
        exempt_from_collection()
        reloading = asyncio.create_task(_reload_when_told(hang_up, service), name="reload")
        ports = {"grpc_port": service.grpc_port, "rest_port": service.rest_port}
        log.info("ready", extra={"version": version("csilink"), "host": settings.host, **ports})
        stopping = asyncio.create_task(stop.wait())
        parts = (*service.tasks, reloading)
        await asyncio.wait([stopping, *parts], return_when=asyncio.FIRST_COMPLETED)
        reloading.cancel()
        for task in parts:
            if task.done():
                stopping.cancel()
                raise UnavailableError(f"A part of the service, {task.get_name()}, ended: {task.exception()!r}.")
        log.info("shutting down", extra={"drain_s": settings.drain_s})
    log.info("stopped")


async def _reload_when_told(hang_up: asyncio.Event, service: Running) -> None:
    while True:
        await hang_up.wait()
        hang_up.clear()
        try:
            await service.reload()
        except Exception as error:  # whatever a file does to its reader, the models held are served
            trace = None if isinstance(error, CsiError) else error
            log.error("models not read again; those held stay", exc_info=trace, extra={"reason": str(error)})


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Run the service inside an ``async with``.

    Raises:
        CsiError: If the service cannot start.
    """
    tokens, credentials = read_tokens(settings.token_file), server_credentials(settings)
    if not tokens and settings.host not in LOOPBACK:
        log.warning("everybody who reaches this address may call; give --token-file", extra={"host": settings.host})
    store = make_store(settings.database_url, settings.keep_reconstructions)
    metrics = Observability()
    _listen("gRPC", settings.host, settings.grpc_port).close()  # gRPC binds later, and tells a taken port by noise
    with contextlib.closing(_listen("REST", settings.host, settings.rest_port)) as rest_socket:
        models = _load_models(settings.models)
        refiners = load_refiners(settings.refiners, {model.card.sha256: model.card.shape for model in models})
        async with make_pool(settings, models, refiners) as pool:
            cards = {model.card.sha256: model.card for model in models}
            models.clear()  # the pool has what it needs of them, and releases them one by one
            await store.open()
            try:
                access, of_refiners = (tokens, credentials), [file.card for file in refiners]
                async with _serving(settings, access, pool, cards, of_refiners, store, metrics, rest_socket) as service:
                    yield service
            finally:
                await store.close()


@contextlib.asynccontextmanager
async def _serving(
    settings: Settings,
    access: tuple[Tokens, grpc.ServerCredentials | None],
    pool: DecoderPool,
    models: dict[str, CodecCard],
    refiners: list[RefinerCard],
    store: Store,
    metrics: Observability,
    rest_socket: socket.socket,
) -> AsyncIterator[Running]:
    wait_s = settings.max_wait_ms / 1000
    lanes = Lanes(settings.queue_reports, settings.max_batch, wait_s, settings.refine_queue_reports)
    metrics.queued.set_function(lambda: lanes.num_reports)
    writer = GroupWriter(store)
    metrics.store_fails.set_function(lambda: writer.failing)
    datasets = {channels.sha256: channels for channels in map(load_channels, settings.data)}
    station = BaseStation(settings, models, refiners, datasets, lanes, store, writer, metrics, version("csilink"))
    feed = SummaryFeed(store, writer)
    metrics.listeners.set_function(lambda: feed.num_seats_taken)
    context = Context(
        store,
        lambda: station.cards,
        station.refiners,
        metrics,
        is_ready=lambda: not station.draining,
        queued_reports=lambda: lanes.num_reports,
        store_failing=lambda: writer.failing,
        device=settings.device,
        version=version("csilink"),
        feed=feed,
        tokens=access[0],
    )
    rest = _RestServer(
        uvicorn.Config(
            make_app(context),
            log_config=None,
            access_log=False,
            lifespan="off",
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
        )
    )
    feedback = CsiFeedbackService(station, metrics)
    rpc = RpcServer(settings, feedback, *access)
    tasks = (
        asyncio.create_task(writer.run(), name="writer"),
        asyncio.create_task(run_batches(lanes, pool, _observer(metrics)), name="batches"),
        asyncio.create_task(_remove_old_sessions(settings.retain_days, station), name="retention"),
        asyncio.create_task(rest.serve(sockets=[rest_socket]), name="rest"),
    )
    try:
        grpc_port = await rpc.start()

        async def reload() -> None:
            await _reload(settings, pool, station)

        yield Running(grpc_port, rest_socket.getsockname()[1], tasks, reload)
    finally:
        station.draining = True
        feedback.drain()
        await rpc.stop(settings.drain_s)
        await feed.close()  # whose listeners would keep REST from ending
        rest.should_exit = True
        await asyncio.wait([tasks[-1]], timeout=5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _remove_old_sessions(retain_days: float, station: BaseStation) -> None:
    """Remove sessions that are over, now and every `RETENTION_S`; a database that refuses is asked again."""
    while retain_days:
        try:
            num_removed = await station.remove_idle_sessions(time.time() - retain_days * 86400)
        except Exception:
            log.exception("old sessions not removed")
        else:
            log.log(logging.INFO if num_removed else logging.DEBUG, "old sessions removed", extra={"num": num_removed})
        await asyncio.sleep(RETENTION_S)
    await asyncio.Event().wait()  # a part of the service that ends by itself is a failure


class _RestServer(uvicorn.Server):
    """Uvicorn that leaves the signals of the process to `serve`."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


def _listen(protocol: str, host: str, port: int) -> socket.socket:
    """Return a bound socket, so that a taken port is told before anything starts.

    Raises:
        UnavailableError: If the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY by it
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UnavailableError(
            f"{protocol} cannot listen on {host}:{port}: {error.strerror}. Is another csi-bs running?"
        ) from error
    return listener


def _load_models(further: tuple[str, ...]) -> list[ModelFile]:
    """Load the zoo, further model files, and codecs of the user's own.

    Raises:
        DataFileError: If a file cannot be used, or two models have one name or are one file.
        InvalidArgumentError: If a reference leads to no codec.
    """
    models = [load_codec(name, "model") for name in (*zoo_names(), *further)]
    names = [model.card.name for model in models]
    if len(set(names)) < len(names):
        raise DataFileError(f"`models` must have different names; got {', '.join(sorted(names))}.")
    by_digest: dict[str, str] = {}
    for model in models:
        other = by_digest.setdefault(model.card.sha256, model.card.name)
        if other != model.card.name:
            raise DataFileError(f"`models` must be different files; {other} and {model.card.name} are one, by SHA-256.")
    return models


async def _reload(settings: Settings, pool: DecoderPool, station: BaseStation) -> None:
    """Hold the models of files that were replaced, all of them or none; then release those that nobody needs.

    Raises:
        CsiError: If a file cannot be used.
    """
    found = await asyncio.to_thread(_load_models, settings.models)
    held = {card.sha256 for card in station.cards}
    new = [model for model in found if model.card.sha256 not in held]
    await pool.hold(new)
    for model in new:
        station.hold(model.card)
    log.info("models read again", extra={"new": [_named(model.card) for model in new]})
    cards = {card.sha256: card for card in station.cards}
    if changed := [_named(model.card) for model in found if cards[model.card.sha256] != model.card]:
        log.warning(
            "the card of a model that is held changed, and is read when the service starts", extra={"cards": changed}
        )
    try:
        released = await station.release(keep={model.card.sha256 for model in found})
    except Exception:
        log.exception("no models released: the store does not say which are in use")
        released = []
    if released:
        await pool.release({card.sha256 for card in released})
        log.info("models released", extra={"released": [_named(card) for card in released]})
    exempt_from_collection(anew=bool(released))


def _named(card: CodecCard) -> str:
    """Return what tells a model from others of its name in the log."""
    return f"{card.name} {card.sha256[:SHOWN_DIGITS]}"


def _observer(metrics: Observability) -> Callable[[Sequence[Entry], list[Decoded]], None]:
    """Return what notes the figures of a finished batch."""

    def observe(batch: Sequence[Entry], results: list[Decoded]) -> None:
        metrics.batch.observe(results[0].batch_size)
        metrics.decode_s.observe(results[0].decode_ms / 1000)
        for result in results:
            metrics.queue_s.observe(result.queue_ms / 1000)

    return observe
