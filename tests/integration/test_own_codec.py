"""The codec of CONTRIBUTING.md, as a reader would use it: checked, then over real sockets between two processes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, load_codec, make_decoder, make_encoder
from shared.codecs.contract import CHECKS
from shared.experiments.demo import BaseStationProcess, start_base_station
from shared.metrics import nmse
from shared.rng import Randomness

ROOT = Path(__file__).parents[2]
REFERENCE = "strongest_taps:ENTRY"
RATE, NUM_REPORTS = 130, 40  # six taps, ten bits of zeros


@dataclass(frozen=True, slots=True)
class Reader:
    """A folder with the reader's module, and a base station that serves it."""

    folder: Path
    station: BaseStationProcess


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    [source] = [block.partition("```\n")[0] for block in page.split("```python\n")[1:]]
    folder = tmp_path_factory.mktemp("reader")
    (folder / "strongest_taps.py").write_text(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")
        patch.setattr(sys, "path", [*sys.path, str(folder)])
        station = start_base_station(folder / "station", ["--model", REFERENCE])
        yield Reader(folder, station)
        station.stop()
    del sys.modules["strongest_taps"]


def run(folder: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder as its console script would: the folder is on no import path."""
    command = [sys.executable, "-P", "-m", module, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def run_ue(folder: Path, station: BaseStationProcess) -> subprocess.CompletedProcess[str]:
    options = ["--bs", f"127.0.0.1:{station.grpc_port}", "--codec", REFERENCE, "--rate", str(RATE), "--link", "ideal"]
    return run(folder, "ue_client", "run", *options, "--num-reports", str(NUM_REPORTS), "--json")


def test_the_codec_keeps_the_contract(reader: Reader) -> None:
    end = run(reader.folder, "shared.experiments", "codecs", "check", REFERENCE, "--json")
    assert (end.returncode, end.stderr) == (0, "")
    assert json.loads(end.stdout) == {"codec": "strongest-taps", "checks": dict.fromkeys(CHECKS)}


def test_the_codec_gives_over_the_link_what_it_gives_in_process(reader: Reader, indoor: ChannelSet) -> None:
    model = load_codec(REFERENCE)
    assert reader.station.get("/v1/codecs/strongest-taps")["sha256"] == model.card.sha256
    end = run_ue(reader.folder, reader.station)
    assert end.returncode == 0, end.stderr
    [row] = json.loads(end.stdout)
    h, n = indoor.h[:NUM_REPORTS], NUM_REPORTS
    context = EncodeContext(
        RATE, np.zeros(n, dtype=np.float32), Randomness(0, np.zeros(n, dtype=np.uint32), np.arange(n))
    )
    payload = make_encoder(model, torch.device("cpu")).encode(h, context)
    decoder = make_decoder(model, torch.device("cpu"))
    expected = nmse(decoder.decode(payload, DecodeContext(RATE, context.snr_db)).h_hat, h).numpy()
    assert (row["codec"], row["rate"], row["reports"], row["ber"]) == ("strongest-taps", RATE, n, 0)
    assert row["nmse_db"] == pytest.approx(10 * np.log10(expected.mean()), abs=0.01)
    assert row["nmse_db"] < -4  # six of 1,024 taps hold most of the power
    reports = reader.station.get("/v1/reports?codec=strongest-taps&limit=1000")["reports"]
    by_sequence = sorted(reports, key=lambda report: report["sequence"])
    np.testing.assert_allclose([report["nmse"] for report in by_sequence], expected, rtol=1e-4)


def test_another_version_of_the_module_at_the_ue_is_refused(reader: Reader, tmp_path: Path) -> None:
    source = (reader.folder / "strongest_taps.py").read_text()
    (tmp_path / "strongest_taps.py").write_text(source.replace("INDEX, PART = 10, 5", "INDEX, PART = 10, 4"))
    end = run_ue(tmp_path, reader.station)
    assert (end.returncode, end.stdout) == (1, "")
    assert end.stderr.startswith("csi-ue: ")
    assert end.stderr.count("\n") == 1
    assert "`codec` 'strongest-taps' must be the model file that the base station holds, " in end.stderr


def test_a_base_station_without_the_module_ends_in_one_sentence(tmp_path: Path) -> None:
    end = run(tmp_path, "bs_server", "serve", "--grpc-port", "0", "--rest-port", "0", "--model", REFERENCE)
    assert (end.returncode, end.stdout) == (1, "")
    assert end.stderr.startswith(
        "csi-bs: `codec` strongest_taps:ENTRY must be importable; got ModuleNotFoundError: No "
    )
    assert end.stderr.count("\n") == 1
