import json
from pathlib import Path

import pytest

from shared.experiments.reproduction_invcsinet import (
    ABLATIONS,
    AWGN,
    IDEAL,
    POLAR,
    WHOLE,
    draw_ideal,
    invcsinet_section,
)

POINT = "data,codec,rate,snr_db,link,num_reports,nmse_mean_db"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    figures = {WHOLE: (-1.0, -2.5), **dict.fromkeys(ABLATIONS, (0.25, -2.0)), "dnnet": (3.0, -2.25)}
    for size in (32, 128):
        rows = [
            f"street-28g,{codec},{bits * size},{snr_db},{link},1000,{nmse_db + gained_db}"
            for codec, found in figures.items()
            for link, gained_db in ((AWGN, 0), (POLAR, -0.5))
            for bits in (2, 4)
            for snr_db, nmse_db in zip((0.0, 10.0), found, strict=True)
        ]
        (tmp_path / f"{size}.csv").write_text("\n".join([POINT, *rows]) + "\n")
    (tmp_path / "models").mkdir()
    training = {"samples_seen": 151800, "epochs": 12.0}
    counts = {"num_parameters": 1234, "encoder_macs": 5000, "decoder_macs": 6000}
    card = counts | {
        "training": training,
        "training_data": "mine, 20 channels, sha256 1",
        "recipe": "csi-lab train-invertible",
    }
    for name in IDEAL:
        (tmp_path / "models" / f"{name}.card.json").write_text(
            json.dumps(card | {"name": name, "codec": name.split("-")[0]})
        )
        epochs = [{"epoch": 1, "nmse_db": -1, "mmd": 0.1}, {"epoch": 2, "nmse_db": -2, "mmd": 0.05}]
        (tmp_path / "models" / f"{name}.manifest.json").write_text(json.dumps({"epochs": epochs}))
    return tmp_path


def test_every_figure_stands_in_its_row(folder: Path) -> None:
    text = invcsinet_section(folder, "What it says.")
    for line in (
        "| codec | 2 bits, 0 dB | 2 bits, 10 dB | 4 bits, 0 dB | 4 bits, 10 dB |",
        "| dnnet | 3.00 | -2.25 | 3.00 | -2.25 |",
        "| dnnet | 2.50 | -2.75 | 2.50 | -2.75 |",  # behind the polar code
        "| codec | 4 bits, 0 dB | 4 bits, 10 dB | 2 bits, polar, 0 dB | 2 bits, polar, 10 dB |",
        "| dnnet | 3.00 | -2.25 | 2.50 | -2.75 |",
        "| nothing | -1.00 | -2.50 | -1.00 | -2.50 | - |",
        "| D-BCD | 0.25 (+1.25) | -2.00 (+0.50) | 0.25 (+1.25) | -2.00 (+0.50) | 0.5 ... 11.8 |",
        "| csinet-street-28g | 151,800 | 12 | mine, 20 channels | `csi-lab train-invertible` |",
        "| csinet-street-28g | 1,234 | 5,000 | 6,000 |",
    ):
        assert line in text
    assert text.count("without-daq") == 0  # ablations have a table of their own


def test_the_picture_is_drawn(folder: Path) -> None:
    draw_ideal(folder, folder / "images" / "invcsinet.png")
    assert (folder / "images" / "invcsinet.png").read_bytes().startswith(b"\x89PNG")
