"""INRIC on pictures that no start was learned from: few steps from a start, many from random weights, JPEG beside.

python -m benchmarks.inric_pictures --pictures FOLDER --starts W8.safetensors W16.safetensors ... --out FILE.json

Each start (`csi-lab train-inric-start --data OTHER_PICTURES --size 128x128`) is a network of its own width, and so a point
of rate. `WAYS` are its steps and bits a weight: INRIC's are 8 bits behind a random start, 7 behind a learned one.
JPEG and JPEG 2000 are the best of at most the size of INRIC's file by AdaRound and retraining, or the smallest there is.
Sizes are those of whole files.
"""  # noqa: E501  (a command is one line)

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shared.experiments.commands.printing import command_line
from shared.experiments.commands.step_progress import step_progress
from shared.experiments.picture import Picture, read_picture
from shared.experiments.picture_compression import (
    CompressionOptions,
    Row,
    compress_picture,
    picture_codec_rows,
    size_of_best,
)
from shared.inr.overfit import OverfitOptions, warm_up_of
from shared.inr.pipeline import QuantizingOptions
from shared.inr.start_file import StartFile, read_start

WAYS = (("random", 250, 8), ("random", 2500, 8), ("learned", 250, 7))  # start, steps, bits a weight


def measure(pictures: list[tuple[str, Picture]], file: StartFile) -> list[dict[str, Any]]:
    """Return the means over some pictures of each way, and of each row of its table."""
    rows = []
    for start, num_steps, bits in WAYS:
        held = file if start == "learned" else None
        overfitting = OverfitOptions(num_steps=num_steps, warm_up=warm_up_of(num_steps) if held else 0)
        options = CompressionOptions(file.card.shape(), overfitting, QuantizingOptions(bits), None, seed=1)
        tables: list[list[Row]] = []
        for name, picture in pictures:
            print(f"{name}, width {file.card.width}, {start}, {num_steps} steps")  # noqa: T201  (a command)
            with step_progress() as report_of:
                found = compress_picture(picture, options, held, report_of)
            tables.append([*found, *picture_codec_rows(picture, size_of_best(found))])
        for same in zip(*tables, strict=True):
            bits_a_pixel = [row.num_bits / row.picture.num_pixels for row in same]
            rows.append(
                {
                    "width": file.card.width,
                    "num_weights": file.card.shape().num_weights,
                    "start": start,
                    "steps": num_steps,
                    "bits_a_weight": bits,
                    "way": same[0].name,
                    "psnr_db": round(float(np.mean([row.psnr_db for row in same])), 3),
                    "bits_per_pixel": round(float(np.mean(bits_a_pixel)), 4),
                }
            )
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True, help="folder")
    parser.add_argument("--starts", nargs="+", type=Path, required=True)
    parser.add_argument("--num-pictures", type=int, default=4, help="taken evenly from the folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    paths = sorted(arguments.pictures.iterdir())
    chosen = paths[:: -(-len(paths) // arguments.num_pictures)]
    pictures = [(path.stem, read_picture(path)) for path in chosen]
    files = [read_start(path) for path in arguments.starts]
    result = {
        "command": command_line("python -m benchmarks.inric_pictures"),
        "starts": [file.card.model_dump(mode="json") for file in files],
        "pictures": [name for name, _ in pictures],
        "rows": [row for file in files for row in measure(pictures, file)],
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(arguments.out)  # noqa: T201  (a command)


if __name__ == "__main__":
    main()
