import grpc
import pytest

from bs_server.api import problems
from bs_server.batching import TooSlowError
from bs_server.rpc.status import STATUS, status_metadata, status_of
from shared.errors import CsiError, OverloadedError


def leaves(kind: type[CsiError]) -> set[type[CsiError]]:
    """Return those of `shared.errors` without others there below; what is derived elsewhere has its base's status."""
    ours = [child for child in kind.__subclasses__() if child.__module__ == CsiError.__module__]
    return {leaf for child in ours for leaf in leaves(child)} or {kind}


@pytest.mark.parametrize("table", [STATUS, problems.STATUS], ids=["grpc", "http"])
def test_every_error_of_ours_has_a_status(table: dict[type[CsiError], object]) -> None:
    assert set(table) == leaves(CsiError)
    for derived in (TooSlowError("late"), OverloadedError("full", retry_delay_ms=1)):
        assert any(kind in table for kind in type(derived).__mro__)


def test_an_error_that_is_not_ours_tells_nothing_of_the_inside() -> None:
    code, sentence, delay_ms = status_of(RuntimeError("/secret/path"))
    assert (code, delay_ms) == (grpc.StatusCode.INTERNAL, 0)
    assert "secret" not in sentence


def test_only_an_error_with_a_delay_has_metadata() -> None:
    code, sentence, delay_ms = status_of(OverloadedError("full", retry_delay_ms=7))
    assert [name for name, _ in status_metadata(code, sentence, delay_ms)] == ["grpc-status-details-bin"]
    assert status_metadata(code, sentence, 0) == ()
