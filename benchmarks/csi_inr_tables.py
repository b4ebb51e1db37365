"""CSI-INR's tables III, IV and V and its rate-distortion curve, and what encoding costs, of trained models.

python -m benchmarks.csi_inr_tables --data street-3g5-test.npz --out benchmarks/results/csi_inr MODEL.safetensors ...

Each channel is fitted once for each number of inner steps; what follows is of those codewords: NMSE without
quantisation, by the uniform quantiser of 3 to 14 bits an entry, and for 3 to 8 bits the mean length of the arithmetic
code by the tables of the model's training split, beside the cross-entropy by the same tables. Models are entropy-coded
ones (`--coding entropy`). The encode time of a report is the shortest of `REPETITIONS` batches, taken in turns.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.channels import load_channels
from shared.codecs.csi_inr.codec import BITS, CsiInrBitEncoder, fit_codewords, models_of
from shared.coding.arithmetic import TOTAL, encode_symbols
from shared.coding.crc import num_crc_bits
from shared.coding.latents import latent_widths
from shared.errors import DataFileError
from shared.experiments.commands.printing import command_line
from shared.metrics import nmse, to_db
from shared.model_files import ModelFile, load_model
from shared.network_settings import CoordinateSettings

INNER_STEPS = (1, 2, 3, 5, 8)
BATCHES = (1, 2, 4, 8, 16, 32, 64)
REPETITIONS = 3
CHUNK = 64


def main() -> None:
    """Measure and write ``<model>.json`` for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", required=True, help="test split")
    parser.add_argument("--num-channels", type=int, default=1000, help="of the split, its first")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    test = load_channels(arguments.data)
    for name in arguments.models:
        model = load_model(name)
        result = {
            "command": command_line("python -m benchmarks.csi_inr_tables"),
            "card": model.card.model_dump(mode="json"),
            "test_data": test.identity,
            "num_channels": min(arguments.num_channels, len(test.h)),
            "threads": arguments.threads,
            **measure(model, test.h[: arguments.num_channels]),
        }
        arguments.out.mkdir(parents=True, exist_ok=True)
        path = arguments.out / f"{model.card.name}.json"
        path.write_text(json.dumps(result, indent=2) + "\n")
        print(path)  # noqa: T201  (a command)


def measure(model: ModelFile, h: Tensor) -> dict[str, Any]:
    """Return what is said above of one model.

    Raises:
        DataFileError: If it is not an entropy-coded CSI-INR.
    """
    settings = model.card.coordinates
    if settings is None or settings.coding != "entropy":
        raise DataFileError(f"model {model.card.name} must be csi-inr with --coding entropy; it is not.")
    encoder = CsiInrBitEncoder(model, torch.device("cpu"))
    codewords = {steps: fit_codewords(encoder.network, h, steps) for steps in INNER_STEPS}
    own = codewords.get(settings.inner_steps)
    own = fit_codewords(encoder.network, h, settings.inner_steps) if own is None else own
    return {
        "by_inner_steps": [
            {"inner_steps": steps, "nmse_db": _nmse_db(encoder, m, h)} for steps, m in codewords.items()
        ],
        "by_bits": [
            _quantized(encoder, settings, own, h, bits) for bits in range(BITS["uniform"][0], BITS["uniform"][1] + 1)
        ],
        "encoding": _encoding(encoder, h, settings),
    }


@torch.no_grad()
def _nmse_db(encoder: CsiInrBitEncoder, codewords: Tensor, h: Tensor) -> float | None:
    parts = zip(torch.split(codewords, CHUNK), torch.split(h, CHUNK), strict=True)
    value = to_db(float(torch.cat([nmse(encoder.network(m), part) for m, part in parts]).mean()))
    return None if value is None else round(value, 3)


def _quantized(
    encoder: CsiInrBitEncoder, settings: CoordinateSettings, codewords: Tensor, h: Tensor, bits: int
) -> dict[str, Any]:
    n = settings.num_latents
    widths = latent_widths(n * bits, n)
    index = encoder.quantizer.index(codewords, widths)
    row: dict[str, Any] = {"bits": bits, "fixed_bits": n * bits}
    row["nmse_db"] = _nmse_db(encoder, encoder.quantizer.value(index, widths), h)
    if bits > BITS["entropy"][1]:
        return row
    models = models_of(encoder.tables, widths)
    lengths = np.array([len(encode_symbols(symbols, models)) for symbols in index.tolist()])
    own = np.array([[models[i].interval(s)[1] for i, s in enumerate(symbols)] for symbols in index.tolist()])
    cross_entropy = float(np.log2(TOTAL / own).sum(axis=1).mean())
    return row | {
        "mean_bits": round(float(lengths.mean()), 3),
        "mean_bits_with_crc": round(float(np.mean([length + num_crc_bits(length) for length in lengths.tolist()])), 3),
        "cross_entropy_bits": round(cross_entropy, 3),
        "coding_gain": round(1 - float(lengths.mean()) / (n * bits), 4),
        "ideal_coding_gain": round(1 - cross_entropy / (n * bits), 4),
    }


def _encoding(encoder: CsiInrBitEncoder, h: Tensor, settings: CoordinateSettings) -> list[dict[str, Any]]:
    shortest = np.full(len(BATCHES), np.inf)
    for _ in range(REPETITIONS):
        for i, batch in enumerate(BATCHES):
            started_s = time.perf_counter()
            fit_codewords(encoder.network, h[:batch], settings.inner_steps)
            shortest[i] = min(shortest[i], time.perf_counter() - started_s)
    return [
        {
            "batch": batch,
            "ms_per_report": round(1000 * seconds / batch, 3),
            "of_one": round(seconds / batch / float(shortest[0]), 3),
        }
        for batch, seconds in zip(BATCHES, shortest.tolist(), strict=True)
    ]


if __name__ == "__main__":
    main()
