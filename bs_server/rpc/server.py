"""The gRPC server: the service, grpc.health.v1 and reflection."""

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from bs_server.config import Settings
from bs_server.rpc.service import SERVICE, CsiFeedbackService
from bs_server.security import TokenInterceptor, Tokens
from shared.errors import UnavailableError


class RpcServer:
    """A gRPC server on the running event loop.

    Args:
        settings: Address, port, message size.
        service: What it serves.
        tokens: That open it.
        credentials: To listen with; None for plaintext.
    """

    def __init__(
        self,
        settings: Settings,
        service: CsiFeedbackService,
        tokens: Tokens,
        credentials: grpc.ServerCredentials | None,
    ) -> None:
        options = [
            ("grpc.max_receive_message_length", settings.max_frame_bytes),
            ("grpc.max_send_message_length", settings.max_frame_bytes),
            ("grpc.so_reuseport", 0),  # two services on one port would each get some of the UEs
        ]
        self._server = grpc.aio.server(interceptors=[TokenInterceptor(tokens)] if tokens else [], options=options)
        self._server.add_generic_rpc_handlers((service.handler(),))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, self._server)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._address, self._credentials = f"{host}:{settings.grpc_port}", credentials

    async def start(self) -> int:
        """Listen and serve; return the port.

        Raises:
            UnavailableError: If the address cannot be had.
        """
        try:
            port: int = (
                self._server.add_insecure_port(self._address)
                if self._credentials is None
                else self._server.add_secure_port(self._address, self._credentials)
            )
        except RuntimeError as error:
            raise UnavailableError(f"gRPC cannot listen on {self._address}: {error}") from error
        await self._server.start()
        await self._set(health_pb2.HealthCheckResponse.SERVING)
        return port

    async def stop(self, grace_s: float) -> None:
        """Tell clients, finish the calls in flight within ``grace_s``, cancel the rest."""
        await self._set(health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.stop(grace_s)

    async def _set(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for name in ("", SERVICE):
            await self._health.set(name, status)
