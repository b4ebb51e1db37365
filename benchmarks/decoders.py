"""What the base station's form of each decoder's network is worth, beside its plain form and what the core can do.

python -m benchmarks.decoders --out benchmarks/results

For the decoder of each autoencoder that ships, in turns and on one thread: microseconds of CPU a report of the plain
form, with batch norms in the convolutions, with the channels last besides (`shared.networks.inference.for_inference`),
and in bfloat16; multiply-accumulates a second beside those of a large matrix product in the same turn, the roofline;
and the largest change of an output, relative to the largest output.
"""

import copy
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

from shared.codecs.autoencoder.codec import DECODERS, Autoencoder
from shared.experiments.commands.printing import command_line
from shared.model_files import load_model, zoo_names
from shared.networks import inference

BATCH = 64
SIZE = 1024  # of the matrices


def main(
    out: Annotated[Path, typer.Option(help="Folder for decoders.json.")] = Path("benchmarks/results"),
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each measurement.")] = 0.5,
    turns: Annotated[int, typer.Option(min=1, help="Times that each is measured; medians are told.")] = 5,
) -> None:
    """Measure, print a line a network, write JSON."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    rows = []
    for name in zoo_names():
        model = load_model(name)
        if model.card.codec in DECODERS and model.card.network is not None:
            z = torch.randn(BATCH, model.card.network.num_latents, generator=torch.Generator().manual_seed(0))
            rows.append(_row(name, Autoencoder.load(model).decoder, model.card.decoder_macs or 0, z, seconds, turns))
            typer.echo(json.dumps(rows[-1]))
    out.mkdir(parents=True, exist_ok=True)
    result = {"command": command_line("python -m benchmarks.decoders"), "torch": torch.__version__, "rows": rows}
    (out / "decoders.json").write_text(json.dumps(result, indent=2) + "\n")


def _row(name: str, plain: nn.Module, macs: int, z: Tensor, seconds: float, turns: int) -> dict[str, Any]:
    folded, fast = inference.fold_norms(copy.deepcopy(plain)), inference.for_inference(copy.deepcopy(plain))
    a, b = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)

    def reduced(x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y: Tensor = fast(x)
        return y

    forms: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: plain(z),
        "folded": lambda: folded(z),
        "base_station": lambda: fast(z),
        "bfloat16": lambda: reduced(z),
        "matrix": lambda: a @ b,
    }
    taken: dict[str, list[float]] = {form: [] for form in forms}
    for _ in range(turns):
        for form, call in forms.items():
            taken[form].append(_cpu_s(call, seconds))
    us = {form: 1e6 * statistics.median(times) / BATCH for form, times in taken.items() if form != "matrix"}
    roofline = SIZE**3 / statistics.median(taken["matrix"])
    expected = plain(z)
    return {
        "model": name,
        "us_per_report": {form: round(value, 1) for form, value in us.items()},
        "gain": round(us["plain"] / us["base_station"], 2),
        "gmacs_per_s": {form: round(macs / value / 1e3, 2) for form, value in us.items()},
        "roofline_gmacs_per_s": round(roofline / 1e9, 1),
        "largest_change": {
            form: float(f"{((forms[form]() - expected).abs().max() / expected.abs().max()).item():.1e}")
            for form in ("base_station", "bfloat16")
        },
    }


def _cpu_s(call: Callable[[], Tensor], seconds: float) -> float:
    """Return the CPU time of a call."""
    call()
    count, start_s = 0, time.process_time()
    while (taken_s := time.process_time() - start_s) < seconds:
        call()
        count += 1
    return taken_s / count


if __name__ == "__main__":
    typer.run(main)
