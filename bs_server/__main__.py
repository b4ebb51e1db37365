"""`csi-bs`: the base-station service."""

import asyncio
import os
import sys
from enum import StrEnum
from typing import Annotated

# Before torch is imported: spinning OpenMP threads starve whoever shares the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # which would be sent to Ray's makers

import typer

from bs_server.config import Settings
from shared.errors import CsiError
from shared.version import Version

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
_default = Settings()
_DATA = list(_default.data)


class Device(StrEnum):
    """Where decoding runs."""

    CPU = "cpu"
    CUDA = "cuda"


class Pool(StrEnum):
    """Where batches are decoded."""

    LOCAL = "local"
    RAY = "ray"


class LogLevel(StrEnum):
    """What is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@app.callback()
def root(version: Version = False) -> None:
    """The base-station service of csilink."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(envvar="CSI_BS_HOST", help="Address to listen on.")] = _default.host,
    grpc_port: Annotated[
        int, typer.Option(envvar="CSI_BS_GRPC_PORT", min=0, max=65535, help="0: any free port.")
    ] = _default.grpc_port,
    rest_port: Annotated[
        int, typer.Option(envvar="CSI_BS_REST_PORT", min=0, max=65535, help="0: any free port.")
    ] = _default.rest_port,
    device: Annotated[Device, typer.Option(envvar="CSI_BS_DEVICE", help="Where decoding runs.")] = Device.CPU,
    threads: Annotated[
        int,
        typer.Option(
            envvar="CSI_BS_THREADS", min=1, max=1024, help="Torch threads of each decoding thread, on the CPU."
        ),
    ] = _default.threads,
    pool: Annotated[
        Pool,
        typer.Option(envvar="CSI_BS_POOL", help="Decode in this process, or in replicas of Ray Serve (extra `ray`)."),
    ] = Pool.LOCAL,
    replicas: Annotated[
        int, typer.Option(envvar="CSI_BS_REPLICAS", min=1, max=1024, help="Of the pool ray.")
    ] = _default.replicas,
    ray_address: Annotated[
        str | None, typer.Option(envvar="CSI_BS_RAY_ADDRESS", help="A Ray cluster that runs; without, one is started.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(envvar="CSI_BS_MODEL", help="Model file or package.module:ENTRY; repeatable.")
    ] = None,
    refiner: Annotated[
        list[str] | None,
        typer.Option(envvar="CSI_BS_REFINER", help="Refiner file, beside those shipped for its models; repeatable."),
    ] = None,
    data: Annotated[
        list[str],
        typer.Option(envvar="CSI_BS_DATA", help="Data set for truth by index, a name or a file; may be repeated."),
    ] = _DATA,
    database_url: Annotated[
        str, typer.Option(envvar="CSI_BS_DATABASE_URL", help="sqlite:///path or postgresql://user:password@host/name.")
    ] = _default.database_url,
    max_batch: Annotated[
        int, typer.Option(envvar="CSI_BS_MAX_BATCH", min=1, max=65536, help="Most reports decoded together.")
    ] = _default.max_batch,
    max_wait_ms: Annotated[
        float,
        typer.Option(envvar="CSI_BS_MAX_WAIT_MS", min=0, max=10000, help="Longest wait for others to join a batch."),
    ] = _default.max_wait_ms,
    queue_reports: Annotated[
        int,
        typer.Option(
            envvar="CSI_BS_QUEUE_REPORTS",
            min=1,
            max=10_000_000,
            help="Reports with a channel code that may wait, and others as many.",
        ),
    ] = _default.queue_reports,
    refine_queue_reports: Annotated[
        int,
        typer.Option(
            envvar="CSI_BS_REFINE_QUEUE_REPORTS",
            min=0,
            max=10_000_000,
            help="While so many reports wait, nothing is refined; 0: nothing ever is.",
        ),
    ] = _default.refine_queue_reports,
    max_reports_per_frame: Annotated[
        int, typer.Option(envvar="CSI_BS_MAX_REPORTS_PER_FRAME", min=1, max=65536, help="Largest frame.")
    ] = _default.max_reports_per_frame,
    max_frame_bytes: Annotated[
        int, typer.Option(envvar="CSI_BS_MAX_FRAME_BYTES", min=4096, max=2**30, help="Largest gRPC message.")
    ] = _default.max_frame_bytes,
    keep_every: Annotated[
        int, typer.Option(envvar="CSI_BS_KEEP_EVERY", min=0, help="Keep every n-th reconstruction of a UE; 0: none.")
    ] = _default.keep_every,
    keep_reconstructions: Annotated[
        int, typer.Option(envvar="CSI_BS_KEEP_RECONSTRUCTIONS", min=0, help="Reconstructions kept in all.")
    ] = _default.keep_reconstructions,
    retain_days: Annotated[
        float,
        typer.Option(
            envvar="CSI_BS_RETAIN_DAYS",
            min=0,
            help="Days after which a session that was closed, or does nothing, is removed with its reports; 0: never.",
        ),
    ] = _default.retain_days,
    drain_s: Annotated[
        float, typer.Option(envvar="CSI_BS_DRAIN_S", min=0, max=3600, help="Time to finish after SIGTERM.")
    ] = _default.drain_s,
    token_file: Annotated[
        str | None,
        typer.Option(
            envvar="CSI_BS_TOKEN_FILE", help="Bearer tokens, one a line, that open gRPC and REST; open without."
        ),
    ] = None,
    tls_cert: Annotated[
        str | None, typer.Option(envvar="CSI_BS_TLS_CERT", help="Certificate of gRPC and REST, PEM; plaintext without.")
    ] = None,
    tls_key: Annotated[str | None, typer.Option(envvar="CSI_BS_TLS_KEY", help="Its key, PEM.")] = None,
    tls_client_ca: Annotated[
        str | None,
        typer.Option(
            envvar="CSI_BS_TLS_CLIENT_CA", help="PEM: gRPC takes only clients with a certificate signed by it."
        ),
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(envvar="CSI_BS_LOG_LEVEL", help="What is logged.")] = LogLevel.INFO,
) -> None:
    """Serve gRPC and REST until SIGTERM."""
    from bs_server import app as service  # noqa: PLC0415  (keeps `csi-bs --help` quick)
    from bs_server.logs import configure  # noqa: PLC0415

    settings = Settings(
        host=host,
        grpc_port=grpc_port,
        rest_port=rest_port,
        device=device.value,
        threads=threads,
        pool=pool.value,
        replicas=replicas,
        ray_address=ray_address,
        models=tuple(model or ()),
        refiners=tuple(refiner or ()),
        data=tuple(data),
        database_url=database_url,
        max_batch=max_batch,
        max_wait_ms=max_wait_ms,
        queue_reports=queue_reports,
        refine_queue_reports=refine_queue_reports,
        max_reports_per_frame=max_reports_per_frame,
        max_frame_bytes=max_frame_bytes,
        keep_every=keep_every,
        keep_reconstructions=keep_reconstructions,
        retain_days=retain_days,
        drain_s=drain_s,
        token_file=token_file,
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_client_ca=tls_client_ca,
        log_level=log_level.value,
    )
    configure(settings.log_level)
    asyncio.run(service.serve(settings))


def main() -> None:
    """Run the command; an error of ours is one sentence on standard error and exit code 1."""
    try:
        app()
    except CsiError as error:
        typer.echo(f"csi-bs: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
