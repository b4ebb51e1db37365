"""Reports per second through the service, beside the raw batched decode of the same model in process.

For each batch size, in one run on one machine: (a) `shared.receive.receive` on batches in a loop, (b) the same with
scores, (c) a `csi-bs` process with that `--max-batch`, loaded by `csi-ue load` with frames of that many reports,
without and with truth. Absolute figures belong to the machine; the ratios c/a are what to compare.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from matplotlib.figure import Figure

from shared.channels import load_channels
from shared.codecs import DecodeContext, make_decoder
from shared.evaluation import evaluate
from shared.experiments.demo import start_base_station
from shared.model_files import load_model
from shared.receive import receive
from shared.rng import Randomness
from shared.scoring import Scoring
from shared.transmit import make_transmitter

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SNR_DB = 10.0
SCORING = Scoring((0.0,))  # what csi-ue load asks for


def main(
    out: Annotated[Path, typer.Option(help="Folder for service.json and service.png.")] = Path("benchmarks/results"),
    codec: Annotated[str, typer.Option(help="Model of the zoo.")] = "klt",
    rate: Annotated[int, typer.Option(help="Information bits of a report.")] = 128,
    seconds: Annotated[float, typer.Option(min=0.2, help="Time of each measurement.")] = 3.0,
) -> None:
    """Measure, write JSON and a plot, print a line a batch size."""
    torch.set_num_threads(1)
    rows = []
    for batch in BATCHES:
        row: dict[str, Any] = {"batch": batch, **_raw(codec, rate, batch, seconds)}
        row |= _service(out / "tmp", codec, rate, batch, seconds)
        row["service_over_raw"] = round(row["service_reports_per_s"] / row["raw_reports_per_s"], 4)
        row["scored_over_raw_scored"] = round(row["scored_service_reports_per_s"] / row["raw_scored_reports_per_s"], 4)
        rows.append(row)
        typer.echo(json.dumps(row))
    result = {
        "command": f"python -m benchmarks.service --codec {codec} --rate {rate} --seconds {seconds:g}",
        "cpu_count": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "rows": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "service.json").write_text(json.dumps(result, indent=2) + "\n")
    _plot(rows, f"{codec}, {rate} bits, {os.cpu_count()} cores", out / "service.png")


def _raw(codec: str, rate: int, batch: int, seconds: float) -> dict[str, float]:
    """Decode batches in process, with one thread as the service does."""
    model, device, channels = load_model(codec), torch.device("cpu"), load_channels("indoor-open-office")
    index = np.arange(batch) % len(channels.h)
    h, snr_db = channels.h[torch.from_numpy(index)], np.full(batch, SNR_DB, dtype=np.float32)
    randomness = Randomness(1, np.zeros(batch, dtype=np.int64), np.arange(batch))
    transmitter = make_transmitter(model, channels.shape, "digital:bsc", rate)
    sent = transmitter.transmit(h, snr_db, randomness)
    code, decoder, context = transmitter.link.code, make_decoder(model, device), DecodeContext(rate, snr_db)

    def decode() -> None:
        receive(sent.received, code, sent.payload.length, decoder, context).h_hat.numpy()

    def decode_and_score() -> None:
        reception = receive(sent.received, code, sent.payload.length, decoder, context)
        evaluate(reception.h_hat, reception.payload, h, sent.payload, channels.shape.domain, SCORING)

    return {
        "raw_reports_per_s": _rate(decode, batch, seconds),
        "raw_scored_reports_per_s": _rate(decode_and_score, batch, seconds),
    }


def _rate(call: Callable[[], None], batch: int, seconds: float) -> float:
    call()
    count, start_s = 0, time.perf_counter()
    while (elapsed_s := time.perf_counter() - start_s) < seconds:
        call()
        count += batch
    return round(count / elapsed_s, 1)


def _service(folder: Path, codec: str, rate: int, batch: int, seconds: float) -> dict[str, float]:
    """Load a base station over gRPC with frames of ``batch`` reports."""
    for old in ("csilink.db", "csilink.db-wal", "csilink.db-shm"):
        (folder / old).unlink(missing_ok=True)
    station = start_base_station(folder.resolve(), ["--max-batch", str(batch)])
    try:
        figures: dict[str, float] = {}
        for prefix, truth in (("", "--no-truth"), ("scored_", "--truth")):
            command = [sys.executable, "-m", "ue_client", "load", "--bs", f"127.0.0.1:{station.grpc_port}", truth]
            options = ["--codec", codec, "--rate", str(rate), "--reports-per-frame", str(batch), "--json"]
            load = ["--duration-s", str(seconds), "--num-sessions", "2", "--in-flight", "8"]
            done = subprocess.run([*command, *options, *load], stdout=subprocess.PIPE, check=True)  # noqa: S603
            result = json.loads(done.stdout)
            figures[f"{prefix}service_reports_per_s"] = result["reports_per_s"]
            for name in ("p50_ms", "p95_ms", "p99_ms", "mean_batch_size"):
                figures[f"{prefix}service_{name}"] = result[name]
    finally:
        station.stop()
    return figures


def _plot(rows: list[dict[str, Any]], title: str, path: Path) -> None:
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.subplots()
    for name, label in (
        ("raw_reports_per_s", "decode in process"),
        ("raw_scored_reports_per_s", "decode and score in process"),
        ("service_reports_per_s", "through the service"),
        ("scored_service_reports_per_s", "through the service, scored"),
    ):
        ax.plot([row["batch"] for row in rows], [row[name] for row in rows], marker="o", markersize=4, label=label)
    ax.set(xscale="log", yscale="log", xlabel="reports a frame = largest batch", ylabel="reports/s", title=title)
    ax.set_xticks(BATCHES, [str(batch) for batch in BATCHES])
    ax.grid(visible=True, which="both", alpha=0.3)
    ax.legend(fontsize=8)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    typer.run(main)
