import grpc
import pytest

from bs_server.api import problems
from bs_server.rpc.status import STATUS, status_metadata, status_of
from shared.errors import CsiError, OverloadedError


def leaves(kind: type[CsiError]) -> set[type[CsiError]]:
    return {leaf for child in kind.__subclasses__() for leaf in leaves(child)} or {kind}


@pytest.mark.parametrize("table", [STATUS, problems.STATUS], ids=["grpc", "http"])
def test_every_error_of_ours_has_a_status(table: dict[type[CsiError], object]) -> None:
    ours = {kind for kind in leaves(CsiError) if kind.__module__ == "shared.errors"}
    assert set(table) == ours


def test_an_error_that_is_not_ours_tells_nothing_of_the_inside() -> None:
    code, sentence, delay_ms = status_of(RuntimeError("/secret/path"))
    assert (code, delay_ms) == (grpc.StatusCode.INTERNAL, 0)
    assert "secret" not in sentence


def test_only_an_error_with_a_delay_has_metadata() -> None:
    code, sentence, delay_ms = status_of(OverloadedError("full", retry_delay_ms=7))
    assert [name for name, _ in status_metadata(code, sentence, delay_ms)] == ["grpc-status-details-bin"]
    assert status_metadata(code, sentence, 0) == ()
