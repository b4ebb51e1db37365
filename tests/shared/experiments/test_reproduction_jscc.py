import json
from pathlib import Path

import pytest

from shared.experiments.reproduction_jscc import jscc_section

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
        "umi-nlos,csinet,21,0.0,digital:soft,200,11.0,9,0.5,never",
    ]
    (tmp_path / "hard.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "easy.csv").write_text("\n".join(rows) + "\n")
    training = {"samples_seen": 80000, "epochs": 4.0}
    card = {
        "name": "rd",
        "training": training,
        "training_data": "mine, 20 channels, sha256 1",
        "recipe": "csi-lab train",
    }
    measured = [
        {"snr_db": 0, "num_steps": 1, "nmse_coarse_db": -1, "nmse_db": -1.5, "ms_per_report": 4.2},
        {"snr_db": 5, "num_steps": 2, "nmse_coarse_db": -2, "nmse_db": -2.5, "ms_per_report": 8.4},
    ]
    for name, more in (("models", {}), ("refiners", {"measured": measured, "final_abar": 0.4})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rd.card.json").write_text(json.dumps(card | more))
    part = {"part": "encoder", "num_parameters": 152052, "published": "152K", "macs": 85400256, "reports_per_s": 50.0}
    cost = {"batch": 64, "threads": 1, "command": "c", "rows": [part | {"of_encoder": 1.0}]}
    (tmp_path / "jscc_cost.json").write_text(json.dumps(cost))
    load = {"reports_per_s": 10.4, "p50_ms": 1, "p99_ms": 2, "num_refined": 5, "num_reports": 10}
    row = {"refine": "always", "refine_queue_reports": 16, "load": load}
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
        "| `always` | 16 | 10 | 1 / 2 | 0.50 |",
        "| encoder | 152,052 | 152K | 85.4M | 50 | 1 |",
    ):
        assert line in text, line
    assert "What it says." in text
    assert "csinet" not in text  # other channel uses
