import pytest

from bs_server.config import Settings
from shared.errors import InvalidArgumentError


def test_a_frame_that_could_never_fit_the_queue_is_no_setting() -> None:
    Settings(queue_reports=10, max_reports_per_frame=10)
    with pytest.raises(InvalidArgumentError, match="must be at most `queue_reports`, 10; got 11"):
        Settings(queue_reports=10, max_reports_per_frame=11)
