"""CoINR behind the weights of INRIC and COIN and behind the codewords of CSI-INR: bits beside plain grids.

python -m benchmarks.coinr_tables --test TEST --starts WIDTH16.safetensors --models csi-inr.safetensors --out FILE.json

Channels are overfitted by each network (from its start; of INRIC and COIN from random weights too, by width); codewords
are those of `GROUP` reports together. The same numbers then travel as s atoms a vector, for several s, and on uniform
grids of several bits through the same coder. `saving` is what CoINR's bits are fewer by than those of the grids at the
same NMSE, interpolated between the two next to it; none where the grids do not reach it.
"""

import argparse
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.inric_channels import Signals, rounded_db
from shared.channels import ChannelSet, load_channels
from shared.codecs.csi_inr.codec import fit_codewords, load_csi_inr
from shared.experiments.commands.printing import command_line
from shared.inr.bitstream import encode_update
from shared.inr.siren import SirenShape, Weights, of_signal
from shared.inr.sparse_dictionary import CodewordShape, Shape, SparseOptions, encode_sparse, from_sparse, to_sparse
from shared.inr.start_file import read_start
from shared.inr.weight_quantizer import grids_of, indices_of, values_of
from shared.metrics import nmse
from shared.model_files import load_model

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
GRID_BITS = (3, 4, 5, 6, 7, 8, 10, 12, 16)
WIDTHS = (16, 32, 64)
NUM_FREQUENCIES = 6  # of INRIC's encoding on a channel
STEPS = 1000
GROUP = 32  # reports whose codewords are one matrix

Rebuilt = Callable[[Sequence[Weights]], float]  # numbers of each signal, or group -> NMSE in dB


def points(shape: Shape, numbers: Sequence[Weights], nmse_db_of: Rebuilt, reports: int) -> dict[str, Any]:
    """Send numbers both ways.

    Args:
        shape: What they are of.
        numbers: Of each signal, or of each group of them, name -> [...] float32.
        nmse_db_of: What becomes of the channels.
        reports: In a group.
    """
    sparse: list[dict[str, Any]] = []
    grid: list[dict[str, Any]] = []
    for share in SHARES:
        found = [to_sparse(shape, update, SparseOptions(share=share)) for update in numbers]
        mean_bits = float(np.mean([len(encode_sparse(one)) for one in found])) / reports
        nmse_db = nmse_db_of([from_sparse(shape, one) for one in found])
        sparse.append({"share": share, "mean_bits": round(mean_bits, 1), "nmse_db": nmse_db})
    for bits in GRID_BITS:
        lengths, values = [], []
        for update in numbers:
            batch = {name: tensor[None] for name, tensor in update.items()}
            grids = grids_of(batch, bits)
            indices = indices_of(batch, grids)
            lengths.append(len(encode_update(indices, grids)))
            values.append(of_signal(values_of(indices, grids), 0))
        mean_bits = float(np.mean(lengths)) / reports
        grid.append({"bits": bits, "mean_bits": round(mean_bits, 1), "nmse_db": nmse_db_of(values)})
    for row in sparse:
        wanted = bits_at(row["nmse_db"], grid)
        row["saving"] = None if wanted is None else round(1 - row["mean_bits"] / wanted, 3)
    return {"exact_db": nmse_db_of(numbers), "sparse": sparse, "grid": grid}


def bits_at(nmse_db: float, grid: list[dict[str, Any]]) -> float | None:
    """Return the bits at which grids reach an NMSE; None if they do not, or all do.

    Example:
        >>> bits_at(-5.0, [{"mean_bits": 100, "nmse_db": -4.0}, {"mean_bits": 120, "nmse_db": -6.0}])
        110.0
    """
    for worse, better in itertools.pairwise(grid):
        if better["nmse_db"] <= nmse_db <= worse["nmse_db"] != better["nmse_db"]:
            share = (worse["nmse_db"] - nmse_db) / (worse["nmse_db"] - better["nmse_db"])
            return float(worse["mean_bits"] + share * (better["mean_bits"] - worse["mean_bits"]))
    return None


def behind_networks(test: ChannelSet, num_channels: int, starts: list[Path]) -> list[dict[str, Any]]:
    """Measure behind INRIC and COIN."""
    shapes: list[tuple[str, SirenShape, Any]] = [
        (codec, SirenShape(width, num_outputs=2, num_frequencies=NUM_FREQUENCIES if codec == "inric" else 0), None)
        for codec in ("inric", "coin")
        for width in WIDTHS
    ]
    for path in starts:
        file = read_start(path)
        shapes.append((f"inric from {file.card.name}", file.card.shape(), file.start))
    rows = []
    for name, shape, start in shapes:
        signals = Signals(test, num_channels, shape)
        weights = signals.overfitted(start, STEPS, f"{name}, width {shape.width}")
        theta_0 = start.weights if start else shape.zero_weights()
        numbers = [
            of_signal({key: tensor - theta_0[key] for key, tensor in weights.items()}, signal)
            for signal in range(len(signals.h))
        ]
        found = points(shape, numbers, _of_networks(signals, theta_0), reports=1)
        rows.append({"behind": name, "width": shape.width, "numbers": shape.num_weights, **found})
    return rows


def _of_networks(signals: Signals, theta_0: Weights) -> Rebuilt:
    def nmse_db_of(numbers: Sequence[Weights]) -> float:
        return signals.nmse_db({name: theta_0[name] + torch.stack([one[name] for one in numbers]) for name in theta_0})

    return nmse_db_of


def behind_codewords(test: ChannelSet, name: str, num_reports: int) -> dict[str, Any]:
    """Measure behind the codewords of a model."""
    model = load_model(name)
    network = load_csi_inr(model)
    settings = model.card.coordinates
    if settings is None:
        raise AssertionError("load_csi_inr takes no other")
    h = test.h[:num_reports]
    shape = CodewordShape(GROUP, settings.num_latents)
    codewords = torch.split(fit_codewords(network, h, settings.inner_steps), GROUP)

    def nmse_db_of(numbers: Sequence[Weights]) -> float:
        with torch.no_grad():
            parts = zip(numbers, torch.split(h, GROUP), strict=True)
            errors: list[Tensor] = [nmse(network(one["codewords.weight"]), part) for one, part in parts]
        return rounded_db(torch.cat(errors))

    found = points(shape, [{"codewords.weight": one} for one in codewords], nmse_db_of, GROUP)
    what = f"{GROUP} codewords of {model.card.codec}"
    return {"behind": what, "width": settings.num_latents, "numbers": settings.num_latents, **found}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--test", required=True, help="of the networks: a shipped data set or a file")
    parser.add_argument("--starts", nargs="*", type=Path, default=[], help="of INRIC")
    parser.add_argument("--codeword-test", default="street-3g5-narrow", help="of the models")
    parser.add_argument("--models", nargs="*", default=[], help="csi-inr or coin-plus-plus")
    parser.add_argument("--num-channels", type=int, default=10, help="of the networks, taken evenly")
    parser.add_argument("--num-reports", type=int, default=320, help="of the models, the first")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.num_reports % GROUP:
        parser.error(f"--num-reports must be a multiple of {GROUP}")
    test, codeword_test = load_channels(arguments.test), load_channels(arguments.codeword_test)
    result = {
        "command": command_line("python -m benchmarks.coinr_tables"),
        "test": test.identity,
        "codeword_test": codeword_test.identity,
        "num_channels": arguments.num_channels,
        "num_reports": arguments.num_reports,
        "steps": STEPS,
        "rows": [
            *behind_networks(test, arguments.num_channels, arguments.starts),
            *(behind_codewords(codeword_test, name, arguments.num_reports) for name in arguments.models),
        ],
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(arguments.out)  # noqa: T201  (a command)


if __name__ == "__main__":
    main()
