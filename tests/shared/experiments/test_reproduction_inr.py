"""The section on INRIC and CoINR: every figure in its row."""

import json
from pathlib import Path

from shared.experiments.reproduction_inr import inr_section

CARD = {"name": "mine", "trained_on": "100 channels of street", "recipe": "csi-lab train-inric-start"}
STAGES = ("rounded", "adaround", "retrained", "adaround-retrained")
WAYS = ("INRIC, not quantised", "INRIC, rounded", "INRIC, AdaRound and retrained", "JPEG", "JPEG 2000")


def write_results(folder: Path) -> None:
    channels = {
        "command": "python -m benchmarks.inric_channels",
        "starts": [CARD],
        "tests": ["indoor, 10 channels, sha256 1"],
        "num_channels": 10,
        "num_weights": 1282,
        "quantized_steps": 1000,
        "l1_bits": 7,
        "by_steps": [
            {"test": "indoor", "start": "random", "steps": 1000, "nmse_db": -17.25},
            {"test": "indoor", "start": "mine", "steps": 3, "nmse_db": -9.25},
        ],
        "by_bits": [
            {"start": "mine", "bits_a_weight": None, "stage": None, "nmse_db": -31.5},
            *(
                {"start": "mine", "bits_a_weight": 6, "stage": stage, "nmse_db": -20.5 - i, "mean_bits": 7008.0 + i}
                for i, stage in enumerate(STAGES)
            ),
        ],
        "by_lambda": [{"start": "mine", "lambda": 1e-05, "exact_db": -31.5, "nmse_db": -26.5, "mean_bits": 8331.0}],
    }
    pictures = {
        "command": "python -m benchmarks.inric_pictures",
        "starts": [CARD],
        "pictures": ["flower"],
        "rows": [
            {
                "width": 8,
                "start": "learned",
                "steps": 250,
                "bits_a_weight": 7,
                "way": way,
                "psnr_db": 24.5 + i,
                "bits_per_pixel": 0.25,
            }
            for i, way in enumerate(WAYS)
        ],
    }
    coinr = {
        "command": "python -m benchmarks.coinr_tables",
        "test": "indoor, 10 channels, sha256 1",
        "codeword_test": "street, 10 channels, sha256 2",
        "num_channels": 10,
        "num_reports": 320,
        "steps": 1000,
        "rows": [
            {
                "behind": "coin",
                "width": 16,
                "exact_db": -20.5,
                "sparse": [{"share": 0.5, "mean_bits": 9000.5, "nmse_db": -10.5, "saving": -0.5}],
                "grid": [{"bits": 5, "mean_bits": 6000.0, "nmse_db": -10.5}],
            },
            {
                "behind": "32 codewords",
                "width": 32,
                "exact_db": -3.25,
                "sparse": [{"share": 0.5, "mean_bits": 325.0, "nmse_db": -1.25, "saving": None}],
                "grid": [{"bits": 5, "mean_bits": 135.75, "nmse_db": -3.125}],
            },
        ],
    }
    for name, result in (("channels", channels), ("pictures", pictures), ("coinr", coinr)):
        (folder / f"{name}.json").write_text(json.dumps(result))


def test_every_figure_stands_in_its_row(tmp_path: Path) -> None:
    write_results(tmp_path)
    text = inr_section(tmp_path, "What it says.")
    for line in (
        "What it says.",
        "Channels, 10 of each test split, 1,282 weights",
        "| test | start | 3 | 1,000 |",
        "| indoor | random |  | -17.25 |",
        "| indoor | mine | -9.25 |  |",
        "| mine | -31.50 | 6 | -20.50 | -21.50 | -22.50 | -23.50 | 7,008, 7,011 |",
        "| mine | 1e-05 | -31.50 | -26.50 | 8,331 |",
        "| mine | 100 channels of street | `csi-lab train-inric-start` |",
        "| 8 | learned | 250 | 7 | 24.50 | 25.50 at 0.25 | 26.50 at 0.25 | 27.50 at 0.25 | 28.50 at 0.25 |",
        "| coin | 16 | -20.50 | -10.50 at 9,000 | -50 % |",
        "| 32 codewords | 32 | -3.25 | -1.25 at 325 | - |",
        "| 32 codewords | 32 | -3.12 at 136 |",
    ):
        assert line in text
