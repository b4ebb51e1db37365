import asyncio
import contextlib
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from bs_server.app import running
from bs_server.config import Settings
from shared.errors import UnavailableError

Connected = Callable[..., AbstractAsyncContextManager[grpc.aio.Channel]]
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("service", ["", "csi.v1.CsiFeedback"])
async def test_health_is_serving_until_the_station_shuts_down(local: Settings, service: str) -> None:
    async with contextlib.AsyncExitStack() as station:
        addresses = await station.enter_async_context(running(local))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{addresses.grpc_port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=service)
            assert (await stub.Check(request, timeout=20)).status == SERVING
            watch = stub.Watch(request, timeout=20)
            assert (await watch.read()).status == SERVING
            stopping = asyncio.create_task(station.aclose())
            assert (await watch.read()).status == NOT_SERVING
            watch.cancel()
            await stopping


async def test_health_of_a_service_that_is_not_there_is_not_found(connected: Connected) -> None:
    async with connected() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.Check(health_pb2.HealthCheckRequest(service="csi.v1.Nothing"), timeout=20)
        assert error.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_service_and_describes_it(connected: Connected) -> None:
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="csi.v1.CsiFeedback"),
    ]
    async with connected() as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        listed, described = [answer async for answer in stub.ServerReflectionInfo(iter(requests), timeout=20)]
    assert "csi.v1.CsiFeedback" in {service.name for service in listed.list_services_response.service}
    content = described.file_descriptor_response.file_descriptor_proto
    files = [FileDescriptorProto.FromString(file) for file in content]
    methods = {method.name for file in files for service in file.service for method in service.method}
    assert methods == {"OpenSession", "Report", "StreamReports", "CloseSession"}
    assert {"Frame", "FrameAck", "SimTruth"} <= {message.name for file in files for message in file.message_type}


@pytest.mark.parametrize("port", ["grpc_port", "rest_port"])
async def test_a_port_that_is_taken_is_told(
    local: Settings, tmp_path_factory: pytest.TempPathFactory, port: str, capfd: pytest.CaptureFixture[str]
) -> None:
    other = replace(local, database_url=f"sqlite:///{tmp_path_factory.mktemp('other')}/csilink.db")
    async with running(local) as addresses:
        taken = addresses.grpc_port if port == "grpc_port" else addresses.rest_port
        settings = replace(other, grpc_port=taken) if port == "grpc_port" else replace(other, rest_port=taken)
        protocol = {"grpc_port": "gRPC", "rest_port": "REST"}[port]
        sentence = f"{protocol} cannot listen on 127.0.0.1:{taken}: Address already in use. Is another csi-bs running?"
        capfd.readouterr()
        with pytest.raises(UnavailableError, match=re.escape(sentence)):
            async with running(settings):
                pass
        assert capfd.readouterr().err == ""
