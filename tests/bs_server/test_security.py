"""Tokens, TLS and client certificates, over real sockets."""

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bs_server.app import running
from bs_server.config import Settings
from bs_server.security import Tokens, read_tokens
from shared.channels import ChannelSet
from shared.errors import DataFileError, InvalidArgumentError, UnauthenticatedError, UnavailableError
from shared.experiments.demo import start_base_station
from shared.frame import Frame
from shared.model_files import load_model
from ue_client.config import Access
from ue_client.pipeline import Pipeline, make_pipeline
from ue_client.sender import Sender

TOKEN = "a-token-of-the-lab-0123456789"
OTHER = "another-token-9876543210"


@dataclass(frozen=True, slots=True)
class Files:
    """What a test needs on disk."""

    tokens: str
    ue_token: str
    ca: str
    cert: str
    key: str
    client_cert: str
    client_key: str
    foreign_cert: str
    foreign_key: str


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("pki")
    ours, theirs = trustme.CA(), trustme.CA()
    paths = {field: folder / f"{field}.pem" for field in Files.__dataclass_fields__}
    ours.cert_pem.write_to_path(str(paths["ca"]))
    for name, ca, host in (("", ours, "localhost"), ("client_", ours, "ue.lab"), ("foreign_", theirs, "ue.lab")):
        pair = ca.issue_cert(host, *(["127.0.0.1"] if not name else []))
        pair.private_key_pem.write_to_path(str(paths[f"{name}key"]))
        pair.cert_chain_pems[0].write_to_path(str(paths[f"{name}cert"]))
    paths["tokens"].write_text(f"# of the lab\n{TOKEN}\n\n{OTHER}\n")
    paths["ue_token"].write_text(f"{TOKEN}\n")
    return Files(**{field: str(path) for field, path in paths.items()})


@pytest.fixture(scope="module")
def ue(indoor: ChannelSet) -> Pipeline:
    return make_pipeline(load_model("klt"), indoor, "digital:bsc", 128, run=1)


async def reported(port: int, ue: Pipeline, access: Access) -> int:
    """Open a session, report by stream and by call; return how many reports are stored."""
    sender = Sender(f"localhost:{port}", 1, access)
    try:
        await sender.connect(5)
        session_id = (await sender.open_session(ue.session_request(str(uuid.uuid4())))).session_id
        first, second = np.arange(4), np.arange(4, 8)

        async def frames() -> AsyncIterator[Frame]:
            yield ue.frame(session_id, 0, 0, first, first, 5.0, None)

        assert [delivery.ack.code async for delivery in sender.send(frames(), 1)] == [0]
        await sender.report(ue.frame(session_id, 1, 0, second, second, 5.0, None), 20)
        return await sender.close_session(session_id)
    finally:
        await sender.close()


async def test_a_token_opens_both_apis_and_nothing_else_does(local: Settings, files: Files, ue: Pipeline) -> None:
    async with running(replace(local, token_file=files.tokens)) as service:
        assert await reported(service.grpc_port, ue, Access(token_file=files.ue_token)) == 8
        with pytest.raises(UnauthenticatedError, match="must carry a bearer token"):
            await reported(service.grpc_port, ue, Access())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.rest_port}") as rest:
            for path in ("/v1/sessions", "/v1/metrics/summary", "/metrics", "/v1/codecs", "/v1/reports"):
                for header, status in (
                    ({}, 401),
                    ({"Authorization": "Bearer " + TOKEN[:-1]}, 401),
                    ({"Authorization": "Basic " + TOKEN}, 401),
                    ({"Authorization": "Bearer " + TOKEN}, 200),
                    ({"Authorization": "bearer " + OTHER}, 200),
                ):
                    answer = await rest.get(path, headers=header)
                    assert answer.status_code == status, path
                    if status == 401:
                        assert answer.headers["www-authenticate"] == "Bearer"
                        assert answer.json()["detail"].startswith("The call must carry a bearer token")
            assert (await rest.get("/v1/health/ready")).status_code == 200


async def test_streams_and_reflection_want_a_token_and_health_does_not(local: Settings, files: Files) -> None:
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    async with (
        running(replace(local, token_file=files.tokens)) as service,
        grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        assert (await health.Check(health_pb2.HealthCheckRequest(), timeout=20)).status == 1
        stream = channel.stream_stream("/csi.v1.CsiFeedback/StreamReports")(iter([b""]), timeout=20)
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=20
        )
        for call in (stream, reflection):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                [answer async for answer in call]
            assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_tls_carries_reports_and_rest(local: Settings, files: Files, ue: Pipeline) -> None:
    async with running(replace(local, tls_cert=files.cert, tls_key=files.key)) as service:
        assert await reported(service.grpc_port, ue, Access(tls_ca=files.ca)) == 8
        with pytest.raises(
            UnavailableError, match=r"No base station answers .* or its certificate is not signed by `tls_ca`"
        ):
            await asyncio.wait_for(_connect(service.grpc_port, Access(tls_ca=files.foreign_cert)), 20)
        context = ssl.create_default_context(cafile=files.ca)
        async with httpx.AsyncClient(verify=context) as rest:
            assert (await rest.get(f"https://localhost:{service.rest_port}/v1/health/ready")).status_code == 200


async def _connect(port: int, access: Access) -> None:
    sender = Sender(f"localhost:{port}", 1, access)
    try:
        await sender.connect(1)
    finally:
        await sender.close()


async def test_mutual_tls_takes_only_clients_of_its_ca(local: Settings, files: Files, ue: Pipeline) -> None:
    settings = replace(local, tls_cert=files.cert, tls_key=files.key, tls_client_ca=files.ca)
    async with running(settings) as service:
        ours = Access(tls_ca=files.ca, tls_cert=files.client_cert, tls_key=files.client_key)
        assert await reported(service.grpc_port, ue, ours) == 8
        foreign = replace(ours, tls_cert=files.foreign_cert, tls_key=files.foreign_key)
        for access in (Access(tls_ca=files.ca), foreign):
            with pytest.raises(UnavailableError):
                await reported(service.grpc_port, ue, access)


def test_no_token_is_in_the_log_of_a_base_station(files: Files, ue: Pipeline, tmp_path: Path) -> None:
    station = start_base_station(
        tmp_path, ["--token-file", files.tokens, "--host", "127.0.0.1", "--log-level", "debug"]
    )
    try:
        header = {"Authorization": f"Bearer {TOKEN}"}
        url = f"http://127.0.0.1:{station.rest_port}/v1/sessions"
        assert [httpx.get(url, headers=one).status_code for one in (header, {})] == [200, 401]
        assert asyncio.run(reported(station.grpc_port, ue, Access(token_file=files.ue_token))) == 8
    finally:
        station.stop()
    assert TOKEN not in (tmp_path / "bs.log").read_text()


@pytest.mark.parametrize("content", ["", "# nothing\n", "short\n", "has a space in its middle\n"])
def test_what_is_no_token_is_refused_and_not_told(content: str, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(content)
    with pytest.raises(DataFileError, match="`token_file` must hold a token a line") as error:
        read_tokens(str(tmp_path / "tokens"))
    assert not content.strip() or content.strip() not in str(error.value)
    with pytest.raises(DataFileError, match="`token_file` must hold a token in its first line"):
        Sender("localhost:1", 1, Access(token_file=str(tmp_path / "tokens")))


async def test_files_that_are_none_are_named(local: Settings, files: Files, tmp_path: Path) -> None:
    for change, sentence in (
        ({"token_file": "nowhere"}, "`token_file` must be a file that can be read; 'nowhere'"),
        (
            {"tls_cert": files.cert, "tls_key": files.client_key},
            "`tls_cert` and `tls_key` must be a certificate and its",
        ),
        (
            {"tls_cert": files.tokens, "tls_key": files.key},
            "`tls_cert` and `tls_key` must be a certificate and its key",
        ),
        ({"tls_cert": files.cert, "tls_key": "nowhere"}, "`tls_key` must be a file that can be read"),
        (
            {"tls_cert": files.cert, "tls_key": files.key, "tls_client_ca": files.tokens},
            "`tls_client_ca` must be certificates in PEM",
        ),
    ):
        with pytest.raises(DataFileError, match=sentence):
            async with running(replace(local, **change)):  # type: ignore[arg-type]
                pass


def test_certificates_of_a_ue_that_are_none_are_named(files: Files) -> None:
    with pytest.raises(DataFileError, match="`tls_ca` must be certificates in PEM"):
        Sender("localhost:1", 1, Access(tls_ca=files.tokens))
    with pytest.raises(DataFileError, match="`tls_cert` and `tls_key` must be a certificate and its key"):
        Sender("localhost:1", 1, Access(tls_ca=files.ca, tls_cert=files.cert, tls_key=files.client_key))


def test_halves_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`tls_cert` and `tls_key` must be given together"):
        Settings(tls_cert="x")
    with pytest.raises(InvalidArgumentError, match="`tls_client_ca` must be given with `tls_cert`"):
        Settings(tls_client_ca="x")
    with pytest.raises(InvalidArgumentError, match="`tls_cert` and `tls_key` must be given together"):
        Access(tls_ca="x", tls_key="y")
    with pytest.raises(InvalidArgumentError, match="`tls_cert` must be given with `tls_ca`"):
        Access(tls_cert="x", tls_key="y")


def test_a_token_does_not_travel_in_plaintext_to_another_machine() -> None:
    from ue_client.config import Settings as UeSettings

    UeSettings(bs="localhost:1", access=Access(token_file="x"))
    UeSettings(bs="bs.lab:1", access=Access(tls_ca="system", token_file="x"))
    with pytest.raises(InvalidArgumentError, match="`tls_ca` must be given with `token_file` where `bs` is another"):
        UeSettings(bs="bs.lab:1", access=Access(token_file="x"))


def test_without_tokens_everybody_may_call() -> None:
    Tokens().require(None)
    Tokens().require("Bearer whatever")
