import subprocess
import sys
from pathlib import Path

import pytest

SERVE = [sys.executable, "-m", "bs_server", "serve"]


@pytest.mark.parametrize(
    "option", [["--max-batch", "0"], ["--device", "abacus"], ["--grpc-port", "65536"], ["--log-level", "loud"], ["--x"]]
)
def test_an_option_out_of_range_is_a_usage_error(option: list[str]) -> None:
    end = subprocess.run([*SERVE, *option], capture_output=True, text=True, timeout=60, check=False)
    assert (end.returncode, end.stdout) == (2, "")
    assert option[0] in end.stderr


def test_settings_that_cannot_be_served_end_in_one_sentence(tmp_path: Path) -> None:
    command = [*SERVE, "--database-url", "mysql://host/name"]
    end = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    sentence = "csi-bs: `database_url` must begin with one of sqlite, postgresql; got 'mysql'.\n"
    assert (end.returncode, end.stdout, end.stderr) == (1, "", sentence)
    assert list(tmp_path.iterdir()) == []


def test_the_environment_sets_what_the_command_line_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSI_BS_QUEUE_REPORTS", "10")
    monkeypatch.setenv("CSI_BS_MAX_REPORTS_PER_FRAME", "12")
    end = subprocess.run(SERVE, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert end.returncode == 1
    assert "at most `queue_reports`, 10; got 12" in end.stderr
