"""Compressed sensing beside the lasso figures that were published, and beside codecs that learn, at equal bits.

python -m benchmarks.compressed_sensing --cost2100 ../shared/data/cost2100-indoor

* Unquantised, COST 2100 indoor: the NMSE of `cs-omp` and `cs-lasso` at n real measurements, of complex vectors (as the
  codecs have it) and of real ones, [re, im] stacked (as the figures were published); parameters are chosen on channels
  of other environments. For the lasso of real vectors also what other lambdas give.
* In bits, data sets that ship: the NMSE over an ideal link of models of the zoo; milliseconds of CPU that a decoder
  takes for a report in batches of 64.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from shared.channels import ChannelSet, load_channels
from shared.channels.file import open_stream
from shared.codecs import DecodeContext, EncodeContext, make_decoder, make_encoder
from shared.codecs.compressed_sensing.front_end import measurement_matrix
from shared.codecs.compressed_sensing.lasso import Lasso
from shared.experiments.commands.printing import command_line
from shared.experiments.published_figures import LASSO_COST2100_INDOOR_DB
from shared.metrics import mean_interval, nmse, to_db
from shared.model_files import load_model
from shared.rng import Randomness
from shared.training.compressed_sensing import ATOMS, THRESHOLDS, Recovery, best_parameter, by_omp
from shared.training.fit import measure_nmse_db

TEST_FILE, TUNING_FILE = "paths_train_0.npz", "paths_train_7.npz"  # they share no environment
NUM_TEST, NUM_TUNING = 1000, 100
REALS = (512, 256, 128, 64)
NUM_ITERATIONS = 100  # the codecs' 60 are few for the small lambdas that suit what is not quantised
SEED = 1
OTHER_THRESHOLDS = THRESHOLDS[2:14:2]
DATA = ("indoor-open-office", "street-28g")
MODELS = ("cs-omp", "cs-lasso", "klt", "angular-topk")
RATES = (32, 64, 128, 256, 512, 1024)
BATCH = 64


def main(
    cost2100: Annotated[Path, typer.Option(help="Folder of COST 2100 indoor as multipath.")],
    out: Annotated[Path, typer.Option(help="Folder for compressed_sensing.json.")] = Path("benchmarks/results"),
) -> None:
    """Measure, print a line a figure, write JSON."""
    torch.set_num_threads(1)
    test, tuning = _spread(cost2100 / TEST_FILE, NUM_TEST), _spread(cost2100 / TUNING_FILE, NUM_TUNING)
    unquantized = []
    for vectors in ("complex", "real"):
        for num_reals in REALS:
            for codec, recovery, ladder in (("cs-omp", by_omp, ATOMS), ("cs-lasso", _by_lasso, THRESHOLDS)):
                row = _unquantized(codec, recovery, ladder, vectors, num_reals, test, tuning)
                typer.echo(json.dumps(row))
                unquantized.append(row)
    quantized = []
    for channels in map(load_channels, DATA):
        for name in MODELS:
            for rate in RATES:
                quantized.append(_quantized(name, channels, rate))
                typer.echo(json.dumps(quantized[-1]))
    result = {
        "command": command_line("python -m benchmarks.compressed_sensing"),
        "cost2100": {"test": [TEST_FILE, NUM_TEST], "tuning": [TUNING_FILE, NUM_TUNING]},
        "num_iterations": NUM_ITERATIONS,
        "unquantized": unquantized,
        "models": {name: load_model(name).card.sha256 for name in MODELS},
        "data": [load_channels(name).identity for name in DATA],
        "quantized": quantized,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "compressed_sensing.json").write_text(json.dumps(result, indent=2) + "\n")


def _spread(path: Path, num_channels: int) -> Tensor:
    """Return channels of a file of paths, evenly spaced over it: [num_channels, 1024] complex64."""
    x = torch.cat([x for x, _ in open_stream(path).chunks()]).flatten(1)
    return x[torch.linspace(0, len(x) - 1, num_channels).long()]


def _by_lasso(y: Tensor, matrix: Tensor, parameter: float) -> Tensor:
    return Lasso(matrix, parameter, NUM_ITERATIONS)(y)


def _unquantized(
    codec: str,
    recovery: Recovery,
    ladder: tuple[float, ...],
    vectors: str,
    num_reals: int,
    test: Tensor,
    tuning: Tensor,
) -> dict[str, Any]:
    """Choose the parameter on ``tuning`` and measure on ``test``."""
    matrix = measurement_matrix(num_reals // 2, test.shape[1], SEED)
    if vectors == "real":
        matrix = measurement_matrix(num_reals, 2 * test.shape[1], SEED).real
        matrix = matrix / matrix.norm(dim=0)
        test, tuning = (torch.cat([x.real, x.imag], dim=1) for x in (test, tuning))
    measured, of_tuning = ((x.to(matrix.dtype) @ matrix.T).to(x.dtype) for x in (test, tuning))
    parameter = ladder[best_parameter(tuning, of_tuning, matrix, recovery, ladder).rung]
    ratios = nmse(recovery(measured, matrix, parameter), test)
    mean = float(ratios.mean())
    interval = mean_interval(mean, float(ratios.square().sum()), len(ratios))
    others = OTHER_THRESHOLDS if vectors == "real" and codec == "cs-lasso" else ()
    return {
        "codec": codec,
        "vectors": vectors,
        "num_reals": num_reals,
        "parameter": round(parameter, 3),
        "nmse_db": _db(mean),
        "low_db": _db(interval.low) if interval else None,
        "high_db": _db(interval.high) if interval else None,
        "published_db": LASSO_COST2100_INDOOR_DB.get(num_reals),
        "other_thresholds": [
            {"parameter": round(t, 3), "nmse_db": _db(float(nmse(recovery(of_tuning, matrix, t), tuning).mean()))}
            for t in others
        ],
    }


def _quantized(name: str, channels: ChannelSet, rate: int) -> dict[str, Any]:
    model = load_model(name)
    return {
        "codec": name,
        "data": channels.name,
        "rate": rate,
        "nmse_db": measure_nmse_db(model, channels, rate),
        "decode_cpu_ms": _decode_cpu_ms(name, channels.h[:BATCH], rate),
    }


def _decode_cpu_ms(name: str, h: Tensor, rate: int) -> float:
    """Return the CPU time of one report in a batch, the second time that a decoder does it."""
    model, device = load_model(name), torch.device("cpu")
    snr_db, streams = (
        np.zeros(len(h), dtype=np.float32),
        Randomness(0, np.zeros(len(h), dtype=np.uint32), np.arange(len(h))),
    )
    payload = make_encoder(model, device).encode(h, EncodeContext(rate, snr_db, streams))
    decoder = make_decoder(model, device)
    decoder.decode(payload, DecodeContext(rate, snr_db))
    start_s = time.process_time()
    decoder.decode(payload, DecodeContext(rate, snr_db))
    return round((time.process_time() - start_s) / len(h) * 1e3, 3)


def _db(ratio: float) -> float:
    return round(to_db(ratio) or 0.0, 3)


if __name__ == "__main__":
    typer.run(main)
