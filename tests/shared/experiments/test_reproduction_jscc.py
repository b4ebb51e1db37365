import csv
import json
from pathlib import Path

import pytest

from shared.experiments.reproduction_jscc import draw_jscc, jscc_section
from shared.experiments.reproduction_jscc_plot import lines_of

POINT = (
    "data,codec,rate,snr_db,link,num_reports,channel_uses_per_report,nmse_mean_db,downlink_10db_bler_value,refinement"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        POINT,
        "umi-nlos,rd,16,0.0,analog:uplink,200,16.0,-1.234,0.0123,never",
        "umi-nlos,rd,16,5.0,analog:uplink,200,16.0,-2,0.01,never",
        "umi-nlos,rd,16,0.0,analog:uplink,200,16.0,-1.5,,always",
        "umi-nlos,rd,16,5.0,analog:uplink,200,16.0,-2.5,0.001,always",
        "umi-nlos,csinet,32,0.0,digital:soft,200,16.0,9,0.5,never",
        "umi-nlos,csinet,48,0.0,digital:soft:64qam,200,16.0,3,0.4,never",
    ]
    (tmp_path / "hard.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "easy.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "prefixes.csv").write_text(
        "\n".join([POINT, "umi-nlos,nested,4,0.0,analog,100,4.0,-0.5,,never"]) + "\n"
    )
    training = {"samples_seen": 80000, "epochs": 4.0}
    card = {
        "name": "rd",
        "training": training,
        "training_data": "mine, 20 channels, sha256 1",
        "recipe": "csi-lab train",
    }
    measured = [
        {"snr_db": 0, "num_steps": 1, "nmse_coarse_db": -1, "nmse_db": -1.5, "ms_per_report": 4.2}
        | {"nmse_scaled_db": -1.25},
        {"snr_db": 5, "num_steps": 2, "nmse_coarse_db": -2, "nmse_db": -2.5, "ms_per_report": 8.4},
    ]
    for name, more in (("models", {}), ("refiners", {"measured": measured, "final_abar": 0.4})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rd.card.json").write_text(json.dumps(card | more))
    part = {"part": "encoder", "num_parameters": 152052, "published": "152K", "macs": 85400256, "reports_per_s": 50.0}
    cost = {"batch": 64, "threads": 1, "command": "c", "rows": [part | {"of_encoder": 1.0}]}
    (tmp_path / "jscc_cost.json").write_text(json.dumps(cost))
    load = {"reports_per_s": 10.4, "p50_ms": 1, "p99_ms": 2, "num_refined": 5, "num_reports": 10}
    loads = [load, load | {"reports_per_s": 30.0, "p50_ms": 3}, load | {"reports_per_s": 20.0, "p50_ms": 2}]
    row = {"refine": "always", "refine_queue_reports": 16, "loads": loads}
    (tmp_path / "refinement_load.json").write_text(json.dumps({"command": "l", "rows": [row]}))
    return tmp_path


def test_every_figure_stands_in_its_row(folder: Path) -> None:
    text = jscc_section(folder, "What it says.")
    for line in (
        "| rd | 16 symbols | `analog:uplink` | -1.23 | -2.00 |",
        "| rd, `always` | 16 symbols | `analog:uplink` | -1.50 | -2.50 |",
        "| rd, `always` | 16 symbols | `analog:uplink` | - | 0.001 |",
        "| rd | 80,000 | 4 | mine, 20 channels | `csi-lab train` |",
        "| rd, abar_N = 0.4 | none | - | -1.00 | -2.00 |",
        "|  | 1 | 4.2 | -1.50 | - |",
        "|  | 2 | 8.4 | - | -2.50 |",
        "|  | none, times one number | - | -1.25 | - |",
        "| nested | 4 symbols | `analog` | -0.50 |",
        "| csinet | 48 bits | `digital:soft:64qam` | 3.00 | - |",
        "| `always` | 16 | 20 (10 ... 30) | 2 / 2 | 0.50 |",
        "| encoder | 152,052 | 152K | 85.4M | 50 | 1 |",
    ):
        assert line in text, line
    assert "What it says." in text


def test_the_picture_has_one_line_a_way_and_the_best_of_separate_coding(folder: Path, tmp_path: Path) -> None:
    draw_jscc(folder, tmp_path / "rd_jscc.png")
    assert (tmp_path / "rd_jscc.png").read_bytes().startswith(b"\x89PNG")
    with (folder / "hard.csv").open(newline="") as stream:
        lines = lines_of(list(csv.DictReader(stream)), "nmse_mean_db")
    assert lines == {
        "rd": {0.0: -1.234, 5.0: -2.0},
        "rd, always": {0.0: -1.5, 5.0: -2.5},
        "csinet, bits: best rate and modulation": {0.0: 3.0},
    }
