"""A codec that does not ship, over real sockets between two processes, against the same computed here."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet, load_channels
from shared.channels.writing import write_channels
from shared.codecs import DecodeContext, EncodeContext, make_decoder, make_encoder
from shared.experiments.demo import BaseStationProcess, start_base_station
from shared.metrics import nmse
from shared.model_files import load_model
from shared.rng import Randomness
from shared.training.published import import_codec

from ..shared.training.keras_weights import random_layers, write_keras

NUM_REPORTS = 40


@pytest.fixture(scope="module")
def model_path(indoor: ChannelSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CsiNet from a Keras file, original layout, with random weights."""
    folder = tmp_path_factory.mktemp("imported")
    write_keras(folder / "weights.h5", random_layers("original"))
    design = replace(indoor.part(100, 200), sha256="1" * 64)
    test = replace(indoor.part(200, 230), sha256="2" * 64)
    import_codec(folder / "weights.h5", design, test, "uniform", folder, "", "imported")
    return folder / "imported.safetensors"


@pytest.fixture(scope="module")
def own_station(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseStationProcess]:
    process = start_base_station(tmp_path_factory.mktemp("station"), ["--model", str(model_path)])
    yield process
    process.stop()


def run_ue(station: BaseStationProcess, codec: str, data: Path, rate: int) -> subprocess.CompletedProcess[str]:
    options = ["--bs", f"127.0.0.1:{station.grpc_port}", "--codec", codec, "--data", str(data), "--rate", str(rate)]
    command = [sys.executable, "-m", "ue_client", "run", *options, "--link", "ideal", "--snr-db", "5", "--json"]
    command += ["--num-reports", str(NUM_REPORTS)]
    return subprocess.run(command, capture_output=True, timeout=120, text=True, check=False)


def test_an_imported_codec_gives_over_the_link_what_it_gives_in_process(
    own_station: BaseStationProcess, model_path: Path, indoor: ChannelSet, tmp_path: Path
) -> None:
    write_channels(tmp_path / "data.npz", [indoor.h[:NUM_REPORTS]], NUM_REPORTS)
    model = load_model(str(model_path))
    rate = model.card.max_rate
    end = run_ue(own_station, str(model_path), tmp_path / "data.npz", rate)
    assert end.returncode == 0, end.stderr
    [row] = json.loads(end.stdout)
    h = load_channels(str(tmp_path / "data.npz")).h
    snr_db = np.full(NUM_REPORTS, 5, dtype=np.float32)
    context = EncodeContext(rate, snr_db, Randomness(0, np.zeros(NUM_REPORTS, dtype=np.uint32), np.arange(NUM_REPORTS)))
    payload = make_encoder(model, torch.device("cpu")).encode(h, context)
    h_hat = make_decoder(model, torch.device("cpu")).decode(payload, DecodeContext(rate, snr_db)).h_hat
    expected = nmse(h_hat, h).numpy()
    assert (row["codec"], row["rate"], row["reports"], row["ber"]) == ("imported", rate, NUM_REPORTS, 0)
    assert row["nmse_db"] == pytest.approx(10 * np.log10(expected.mean()), abs=0.01)
    reports = own_station.get("/v1/reports?codec=imported&limit=1000")["reports"]
    by_sequence = sorted(reports, key=lambda report: report["sequence"])
    np.testing.assert_allclose([report["nmse"] for report in by_sequence], expected, rtol=1e-4)


def test_a_base_station_without_the_model_file_refuses_its_codec(
    station: BaseStationProcess, model_path: Path, indoor: ChannelSet, tmp_path: Path
) -> None:
    write_channels(tmp_path / "data.npz", [indoor.h[:NUM_REPORTS]], NUM_REPORTS)
    end = run_ue(station, str(model_path), tmp_path / "data.npz", 20)
    assert end.returncode == 1
    assert end.stderr.count("\n") == 1
    assert "imported" in end.stderr
