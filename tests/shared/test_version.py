from importlib.metadata import version

import pytest
import typer
from typer.testing import CliRunner

from bs_server.__main__ import app as csi_bs
from shared.experiments.__main__ import app as csi_lab
from ue_client.__main__ import app as csi_ue


@pytest.mark.parametrize("app", [csi_bs, csi_ue, csi_lab])
def test_each_command_tells_its_version_and_ends(app: typer.Typer) -> None:
    end = CliRunner().invoke(app, ["--version"])
    assert (end.exit_code, end.output) == (0, f"csilink {version('csilink')}\n")
