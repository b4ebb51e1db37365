from typing import Any

import pytest

from bs_server.config import Settings
from shared.errors import InvalidArgumentError


def test_a_frame_that_could_never_fit_the_queue_is_no_setting() -> None:
    Settings(queue_reports=10, max_reports_per_frame=10)
    with pytest.raises(InvalidArgumentError, match="must be at most `queue_reports`, 10; got 11"):
        Settings(queue_reports=10, max_reports_per_frame=11)


@pytest.mark.parametrize("given", [{"replicas": 2}, {"ray_address": "auto"}])
def test_replicas_are_of_ray(given: dict[str, Any]) -> None:
    Settings(pool="ray", **given)
    with pytest.raises(InvalidArgumentError, match=f"`pool` must be ray with `{next(iter(given))}` .*; got local"):
        Settings(**given)
