"""Multiply-accumulates, parameters and throughput of RD-JSCC's parts: encoder, decoder, steps of the refiner.

python -m benchmarks.jscc_cost --out benchmarks/results --threads 1

RD-JSCC, Tables III and IV, has throughputs on a GPU, whose numbers are not in our copy. Reports a second are this
machine's; the ratios to the encoder are what carries over.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from shared.codecs.jscc.network import JsccDecoderNetwork, JsccEncoderNetwork
from shared.experiments.commands.printing import command_line
from shared.network_settings import JsccSettings
from shared.networks.unet import UNet
from shared.refinement.diffusion import Diffusion
from shared.refinement.schedule import abar_of
from shared.training.jscc_presets import UNETS, jscc_settings
from shared.training.macs import count_macs

BATCH, REPETITIONS = 64, 5
STEPS = (1, 2, 5, 20)
NUM_SYMBOLS = 16


def main() -> None:
    """Measure and write ``jscc_cost.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = list(measure())
    result = {
        "command": command_line("python -m benchmarks.jscc_cost"),
        "threads": arguments.threads,
        "batch": BATCH,
        "rows": rows,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "jscc_cost.json").write_text(json.dumps(result, indent=2) + "\n")
    for row in rows:
        print(row)  # noqa: T201  (a command)


@torch.no_grad()
def measure() -> list[dict[str, Any]]:
    """Return one row a part; the time is the shortest of `REPETITIONS` batches, taken in turns."""
    settings = JsccSettings(num_symbols=NUM_SYMBOLS)
    two_layers = settings.model_copy(update={"encoder_layers": 2})
    supervised = jscc_settings("unet-jscc", "small", NUM_SYMBOLS, (), 4, (-10.0, 10.0), None)
    x, z, snr_db = torch.randn(BATCH, 2, 32, 32), torch.randn(BATCH, 2 * NUM_SYMBOLS), torch.zeros(BATCH)
    eps = torch.randn_like(x)
    parts: list[tuple[str, str, nn.Module, int, Callable[[], object]]] = []

    def add(name: str, published: str, network: nn.Module, macs: int, run: Callable[[], object]) -> None:
        if not name.startswith("encoder"):  # as the codecs do
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        parts.append((name, published, network.eval(), macs, run))

    for name, published, of in (
        ("encoder, 4 layers", "152K", settings),
        ("encoder, 2 layers", "-", two_layers),
    ):
        encoder = JsccEncoderNetwork(of)
        add(name, published, encoder, count_macs(encoder, x[:1], snr_db[:1]), partial(encoder, x, snr_db))
    for name, published, of in (("decoder", "118K", settings), ("decoder of U-Net JSCC", "118K + 1.25M", supervised)):
        decoder = JsccDecoderNetwork(of)
        add(name, published, decoder, count_macs(decoder, z[:1], snr_db[:1]), partial(decoder, z, snr_db))
    unet_of = UNETS["small"]
    unet = UNet(4, unet_of.width, unet_of.multipliers, unet_of.num_blocks)
    macs = count_macs(unet, torch.cat([x, x], dim=1)[:1], snr_db[:1], snr_db[:1])
    diffusion = Diffusion("residual", abar_of("stopped", 20))
    for num_steps in STEPS:
        name = f"refiner, {num_steps} step{'s' if num_steps > 1 else ''}"
        add(name, "1.28M", unet, num_steps * macs, partial(diffusion.sample, unet, x, snr_db, eps, num_steps))
    shortest = np.full(len(parts), np.inf)
    for _ in range(REPETITIONS):
        for index, (*_, run) in enumerate(parts):
            started_s = time.perf_counter()
            run()
            shortest[index] = min(shortest[index], time.perf_counter() - started_s)
    return [
        {
            "part": name,
            "num_parameters": sum(weight.numel() for weight in network.parameters()),
            "published": published,
            "macs": macs,
            "reports_per_s": float(f"{BATCH / seconds:.3g}"),
            "of_encoder": float(f"{shortest[0] / seconds:.2g}"),
        }
        for (name, published, network, macs, _), seconds in zip(parts, shortest, strict=True)
    ]


if __name__ == "__main__":
    main()
