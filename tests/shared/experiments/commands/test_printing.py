"""The command line that cards and manifests keep."""

import shlex
import sys

import pytest

from shared.experiments.commands.printing import command_line


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
