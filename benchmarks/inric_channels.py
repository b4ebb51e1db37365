"""INRIC on channels: starts by steps and data set, ways to round by bits, lambda.

python -m benchmarks.inric_channels --tests A B --starts A.safetensors B.safetensors --out benchmarks/results/inric/channels.json

Start i was learned on data of the kind of test i (`csi-lab train-inric-start`). All starts and a random one are
overfitted to channels of all tests by each number of steps, weights not quantised. Of the first test, what `BITS` and
`STAGES` make of the weights after `QUANTIZED_STEPS` steps, from its own start and from a random one, and, rounded, what
lambda changes. Bits are whole reports: scales as float16, indices through the range coder.
"""  # noqa: E501  (a command is one line)

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.channels import ChannelSet, load_channels
from shared.experiments.commands.printing import command_line
from shared.experiments.commands.step_progress import step_progress
from shared.inr.csi_signals import channels_of, grid_of, signals_of
from shared.inr.meta_siren import MetaStart, adapted
from shared.inr.overfit import OverfitOptions, overfit, warm_up_of
from shared.inr.pipeline import Quantized, QuantizingOptions, Stage, quantize
from shared.inr.siren import SirenShape, Weights, signal_of
from shared.inr.start_file import StartFile, read_start
from shared.inr.weight_quantizer import values_of
from shared.metrics import nmse, to_db
from shared.transforms import from_angular_delay
from shared.types import CsiShape

STEPS = (50, 250, 1000, 2500)
QUANTIZED_STEPS = 1000
BITS = (4, 5, 6, 7, 8)
STAGES: tuple[Stage, ...] = ("rounded", "adaround", "retrained", "adaround-retrained")
LAMBDAS = (0.0, 1e-5, 1e-4, 1e-3)
L1_BITS = 7
RANDOM = "random"


class Signals:
    """Channels of a test split as signals, and the architecture that they are overfitted by.

    Args:
        channels: The split.
        num_channels: Taken evenly from it.
        shape: The architecture.
    """

    def __init__(self, channels: ChannelSet, num_channels: int, shape: SirenShape) -> None:
        chosen = channels.h[:: -(-len(channels.h) // num_channels)]
        self.h = from_angular_delay(chosen) if channels.shape.domain == "angular-delay" else chosen
        self.csi_shape: CsiShape = channels.shape
        self.architecture, self.target = shape, signals_of(self.h)
        self.features = shape.features(grid_of(channels.shape))

    def nmse_db(self, weights: Weights) -> float:
        """Return the mean NMSE of the signals of some weights."""
        with torch.no_grad():
            h_hat = channels_of(signal_of(self.architecture, weights, self.features), self.csi_shape)
            return rounded_db(nmse(h_hat, self.h))

    def first(self, start: MetaStart | None) -> Weights:
        """Return the weights that overfitting starts from, those behind the inner loop if there is one."""
        if start is None:
            return self.architecture.random_weights(1, len(self.h))
        return adapted(self.architecture, self.features, self.target, start)

    def overfitted(self, start: MetaStart | None, num_steps: int, what: str, l1: float = 1e-5) -> Weights:
        """Return the weights after some steps."""
        warm_up = 0 if start is None else warm_up_of(num_steps)
        options = OverfitOptions(num_steps=num_steps, warm_up=warm_up, l1=l1)
        reference = None if start is None else start.weights
        with step_progress() as report_of:
            first = self.first(start)
            return overfit(
                self.architecture, self.features, self.target, first, options, reference, report=report_of(what)
            ).weights


def rounded_db(values: Tensor) -> float:
    """Return 10 log10 of a mean, to 0.001."""
    value = to_db(float(values.mean()))
    return float("-inf") if value is None else round(value, 3)


def by_steps(signals: Signals, starts: dict[str, StartFile], name: str) -> list[dict[str, Any]]:
    """Return the NMSE from each start after each number of steps, weights not quantised."""
    rows = []
    for told_as, file in [(RANDOM, None), *starts.items()]:
        start = file.start if file else None
        if start:
            rows.append(
                {
                    "test": name,
                    "start": told_as,
                    "steps": start.num_steps,
                    "nmse_db": signals.nmse_db(signals.first(start)),
                }
            )
        for num_steps in STEPS:
            weights = signals.overfitted(start, num_steps, f"{name}, {told_as}, {num_steps} steps")
            rows.append({"test": name, "start": told_as, "steps": num_steps, "nmse_db": signals.nmse_db(weights)})
    return rows


def by_bits(signals: Signals, file: StartFile | None) -> list[dict[str, Any]]:
    """Return NMSE and bits behind each stage."""
    start, rows = file.start if file else None, []
    told_as, theta_0 = _start_of(signals, file)
    weights = signals.overfitted(start, QUANTIZED_STEPS, f"{told_as}, to quantise")
    for bits in BITS:
        with step_progress() as report_of:
            quantized = _quantized(signals, theta_0, weights, QuantizingOptions(bits, "float16"), STAGES, report_of)
        rows += [
            {"start": told_as, "bits_a_weight": bits, "stage": stage, **_sent(signals, theta_0, quantized, stage)}
            for stage in STAGES
        ]
    return [{"start": told_as, "bits_a_weight": None, "stage": None, "nmse_db": signals.nmse_db(weights)}, *rows]


def by_lambda(signals: Signals, file: StartFile | None) -> list[dict[str, Any]]:
    """Return NMSE and bits, rounded, by lambda."""
    rows, (told_as, theta_0) = [], _start_of(signals, file)
    for l1 in LAMBDAS:
        weights = signals.overfitted(file.start if file else None, QUANTIZED_STEPS, f"{told_as}, lambda {l1}", l1)
        quantized = _quantized(signals, theta_0, weights, QuantizingOptions(L1_BITS, "float16"), ("rounded",), None)
        exact = signals.nmse_db(weights)
        rows.append(
            {"start": told_as, "lambda": l1, "exact_db": exact, **_sent(signals, theta_0, quantized, "rounded")}
        )
    return rows


def _start_of(signals: Signals, file: StartFile | None) -> tuple[str, Weights]:
    return (file.card.name, file.start.weights) if file else (RANDOM, signals.architecture.zero_weights())


def _quantized(
    signals: Signals,
    theta_0: Weights,
    weights: Weights,
    options: QuantizingOptions,
    stages: tuple[Stage, ...],
    report_of: Any,
) -> Quantized:
    shape, features, target = signals.architecture, signals.features, signals.target
    return quantize(shape, features, target, theta_0, weights, options, stages, report_of)


def _sent(signals: Signals, theta_0: Weights, quantized: Quantized, stage: Stage) -> dict[str, Any]:
    """Return NMSE and mean bits of what is sent."""
    update = values_of(quantized.indices[stage], quantized.grids)
    bits = [len(quantized.bits(stage, signal)) for signal in range(len(signals.h))]
    weights = {name: theta_0[name] + tensor for name, tensor in update.items()}
    return {"nmse_db": signals.nmse_db(weights), "mean_bits": round(sum(bits) / len(bits), 1)}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", nargs="+", required=True, help="shipped data sets or files")
    parser.add_argument("--starts", nargs="+", required=True, help="of as many kinds, in this order")
    parser.add_argument("--num-channels", type=int, default=20, help="of each test")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    files = [read_start(Path(name)) for name in arguments.starts]
    shape = files[0].card.shape()
    tests = [load_channels(name) for name in arguments.tests]
    if len(tests) != len(files) or any(file.card.shape() != shape for file in files):
        parser.error("--starts must be as many as --tests, all of one architecture")
    starts = {file.card.name: file for file in files}
    signals = [Signals(test, arguments.num_channels, shape) for test in tests]
    result = {
        "command": command_line("python -m benchmarks.inric_channels"),
        "starts": [file.card.model_dump(mode="json") for file in files],
        "tests": [test.identity for test in tests],
        "num_channels": len(signals[0].h),
        "num_weights": shape.num_weights,
        "quantized_steps": QUANTIZED_STEPS,
        "l1_bits": L1_BITS,
        "by_steps": [row for one, test in zip(signals, tests, strict=True) for row in by_steps(one, starts, test.name)],
        "by_bits": [row for file in (None, files[0]) for row in by_bits(signals[0], file)],
        "by_lambda": [row for file in (None, files[0]) for row in by_lambda(signals[0], file)],
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(arguments.out)  # noqa: T201  (a command)


if __name__ == "__main__":
    main()
