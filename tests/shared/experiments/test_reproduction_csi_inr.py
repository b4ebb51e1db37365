"""The section on CSI-INR: every figure in its row, the paper's beside it."""

import json
from pathlib import Path

import pytest

from shared.errors import DataFileError
from shared.experiments.reproduction_csi_inr import csi_inr_section, draw_csi_inr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    card = {
        "name": "mine",
        "coordinates": {"num_latents": 8, "width": 64, "num_layers": 4, "inner_steps": 3},
        "training": {"samples_seen": 168000, "epochs": 6.0, "unquantized_nmse_db": -1.25},
        "training_data": "street, 20 channels, sha256 1",
        "recipe": "csi-lab train-csi-inr --coding entropy",
        "codec": "csi-inr",
        "num_parameters": 27_470,
        "encoder_macs": 127_440_000,
        "decoder_macs": 21_240_000,
    }
    coded = {
        "mean_bits": 19.25,
        "mean_bits_with_crc": 25.5,
        "cross_entropy_bits": 18.5,
        "coding_gain": 0.198,
        "ideal_coding_gain": 0.23,
    }
    result = {
        "card": card,
        "test_data": "street-test, 10 channels, sha256 2",
        "num_channels": 10,
        "threads": 1,
        "by_inner_steps": [{"inner_steps": 2, "nmse_db": -1.0}, {"inner_steps": 3, "nmse_db": -1.25}],
        "by_bits": [
            {"bits": 3, "fixed_bits": 24, "nmse_db": -0.75} | coded,
            {"bits": 14, "fixed_bits": 112, "nmse_db": -1.24},
        ],
        "encoding": [
            {"batch": 1, "ms_per_report": 20.0, "of_one": 1.0},
            {"batch": 8, "ms_per_report": 5.0, "of_one": 0.25},
        ],
    }
    (tmp_path / "mine.json").write_text(json.dumps(result))
    epochs = [{"epoch": 1, "loss": 0.9, "nmse_db": -0.5}, {"epoch": 2, "loss": 0.8, "nmse_db": -1.25}]
    (tmp_path / "mine.manifest.json").write_text(json.dumps({"epochs": epochs, "command": "csi-lab train-csi-inr"}))
    (tmp_path / "quantized.csv").write_text("codec,rate,nmse_mean_db\nmine,96,-3.375\nother,24,-1.5\nmine,24,-1.25\n")
    return tmp_path


def test_every_figure_stands_in_its_row(folder: Path) -> None:
    text = csi_inr_section(folder, "What it says.")
    for line in (
        "What it says.",
        "not quantised; paper / ours, 10 channels of street-test (Table IV)",
        "| model | s_in = 2 | s_in = 3 |",
        "| mine | - / -1.00 | - / -1.25 |",
        "| model | 24 bits | 96 bits |",
        "| mine | -1.25 | -3.38 |",
        "| other | -1.50 |  |",
        "| mine | 3 | 24 | 19.2, 25.5 | 18.5 | 21.0 % / 19.8 % | -0.75 |",
        "| mine | 8, 64, 8 | 27,470 | 127.4M | 21.2M | -6.17 | -1.25 |",
        "| mine | 20.0 (1.00) | 5.0 (0.25) |",
        "20 channels | `csi-lab train-csi-inr`, then `csi-lab train-csi-inr --coding entropy` |",
    ):
        assert line in text


def test_published_inner_steps_stand_beside_ours(folder: Path) -> None:
    result = json.loads((folder / "mine.json").read_text())
    result["card"]["coordinates"]["num_latents"] = 32
    (folder / "mine.json").write_text(json.dumps(result))
    assert "| mine | -24.41 / -1.00 | -36.94 / -1.25 |" in csi_inr_section(folder, "")
    result["card"]["codec"] = "coin-plus-plus"  # of which the paper has none
    (folder / "mine.json").write_text(json.dumps(result))
    assert "| mine | - / -1.00 | - / -1.25 |" in csi_inr_section(folder, "")


def test_a_picture_is_drawn(folder: Path, tmp_path: Path) -> None:
    draw_csi_inr(folder, tmp_path / "images" / "csi_inr.png")
    assert (tmp_path / "images" / "csi_inr.png").read_bytes()[:4] == b"\x89PNG"


def test_a_folder_without_measurements_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="must hold measurements"):
        csi_inr_section(tmp_path, "")
