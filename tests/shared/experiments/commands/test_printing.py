"""Cards on a terminal, and the command line that cards and manifests keep."""

import shlex
import sys

import pytest
from rich.console import Console

from shared.experiments.commands import printing
from shared.experiments.commands.printing import command_line, print_card


def test_a_card_is_printed_whole_also_where_the_terminal_is_narrow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(printing, "console", Console(width=40))
    fields = {"sha256": "0123456789abcdef" * 4, "measured": [{"rate": 32, "nmse_db": -0.86}], "rx": [1, 2]}
    print_card("mine [1, 32]", fields | {"configuration": {"bandwidth_hz": 2e7, "bs_array": "ULA [of] 32"}})
    shown = capsys.readouterr().out
    cells = "".join(line.split("│")[2] for line in shown.splitlines() if line.startswith("│")).replace(" ", "")
    wanted = "rate32,nmse_db-0.86[1,2]bandwidth_hz:20000000.0bs_array:ULA[of]32"
    assert cells == "0123456789abcdef" * 4 + wanted


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["data", "import", "/home/me/a.npz", "--out", "/tmp/x.npz"], "csi-lab data import a.npz --out x.npz"),
        (["data", "import", "a.npz", "--out=/tmp/dir/x.npz"], "csi-lab data import a.npz --out=x.npz"),
        (["data", "import", "my files/a b.npz", "--name=a b"], "csi-lab data import 'a b.npz' '--name=a b'"),
        (["data", "import", "deepmimo/NY/", "--split", "test=0.1"], "csi-lab data import NY --split test=0.1"),
        (["data", "import", "./", "--base-station=1"], "csi-lab data import . --base-station=1"),
    ],
)
def test_a_command_is_kept_without_folders_and_as_a_shell_reads_it(
    typed: list[str], kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/csi-lab", *typed])
    assert command_line() == kept
    assert len(shlex.split(kept)) == len(typed) + 1
