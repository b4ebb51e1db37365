"""The settings of the base-station service; `docs/settings.md` has the table.

Environment and command line are read once, in `bs_server.__main__`, into this class.
"""

from dataclasses import dataclass
from typing import Literal

from shared.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of `csi-bs serve`.

    Attributes:
        host: Address that gRPC and REST listen on.
        grpc_port: Port of the gRPC service; 0 for any free one.
        rest_port: Port of the REST API; 0 for any free one.
        device: ``cpu`` or ``cuda``.
        threads: Torch threads of each of the two decoding threads, on the CPU.
        pool: Where batches are decoded: ``local``, in this process, or ``ray``, in replicas of Ray Serve.
        replicas: Of the pool ``ray``.
        ray_address: Of a Ray cluster that runs; None starts one on this machine.
        models: Model files (.safetensors) and codecs of the user's own (package.module:ENTRY) beside the zoo.
        refiners: Refiner files (.safetensors) beside those that ship for the models held.
        data: Data sets that truth may refer to by index: shipped names or files.
        database_url: ``sqlite:///path`` or ``postgresql://user:password@host/name``.
        max_batch: Most reports decoded together.
        max_wait_ms: Longest time that a report waits for others to join its batch.
        queue_reports: Reports with a channel code that may wait, and others as many; beyond it a frame is refused with
            RESOURCE_EXHAUSTED.
        refine_queue_reports: While so many reports wait in both queues, batches that start are not refined; 0 turns
            refinement off.
        max_reports_per_frame: Largest frame.
        max_frame_bytes: Largest gRPC message.
        keep_every: Keep the reconstruction of every n-th report of a UE; 0 keeps none.
        keep_reconstructions: Reconstructions kept in all, newest first.
        retain_days: Days after which a session that was closed, or does nothing, is removed with its reports; 0: never.
        drain_s: Time for accepted reports to finish after SIGTERM.
        token_file: File of the bearer tokens that open both APIs; None: they are open.
        tls_cert: Certificate of gRPC and REST, PEM; None for plaintext.
        tls_key: Its key, PEM.
        tls_client_ca: Certificates of who signs the clients' of gRPC, PEM; None: clients need none.
        log_level: ``debug``, ``info``, ``warning`` or ``error``.
    """

    host: str = "127.0.0.1"
    grpc_port: int = 50051
    rest_port: int = 8000
    device: str = "cpu"
    threads: int = 1
    pool: Literal["local", "ray"] = "local"
    replicas: int = 1
    ray_address: str | None = None
    models: tuple[str, ...] = ()
    refiners: tuple[str, ...] = ()
    data: tuple[str, ...] = ("indoor-open-office",)
    database_url: str = "sqlite:///csilink.db"
    max_batch: int = 64
    max_wait_ms: float = 0.0
    queue_reports: int = 4096
    refine_queue_reports: int = 256
    max_reports_per_frame: int = 256
    max_frame_bytes: int = 16 * 1024 * 1024
    keep_every: int = 20
    keep_reconstructions: int = 500
    retain_days: float = 0.0
    drain_s: float = 20.0
    token_file: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_client_ca: str | None = None
    log_level: str = "info"

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if self.grpc_port == self.rest_port != 0:
            raise InvalidArgumentError(f"`rest_port` must differ from `grpc_port`; got {self.rest_port} for both.")
        if self.pool == "local" and (self.replicas > 1 or self.ray_address is not None):
            given = f"`replicas` {self.replicas}" if self.replicas > 1 else f"`ray_address` {self.ray_address}"
            raise InvalidArgumentError(f"`pool` must be ray with {given}; got local.")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InvalidArgumentError("`tls_cert` and `tls_key` must be given together; got one of them.")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise InvalidArgumentError("`tls_client_ca` must be given with `tls_cert`; got it alone.")
        if self.max_reports_per_frame > self.queue_reports:
            raise InvalidArgumentError(
                f"`max_reports_per_frame` must be at most `queue_reports`, {self.queue_reports}; "
                f"got {self.max_reports_per_frame}."
            )
