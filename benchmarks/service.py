"""Reports a CPU-second of the base station's process carries, over those of the raw batched decode of the same model.

For each codec, frame size and truth off or on, in turns: (a) `shared.receive.receive` on batches in a loop, without and
with scores, (b) a `csi-bs` process under `csi-ue load` in closed loop, its database on disk with its usual durability.
Both are counted in CPU time, all threads and the kernel's share included, once they are warm: a ratio of 1 is a service
that costs nothing. Base station and decode run on one core, the generator on another where there is one.
"""

import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.station import cpu_s, load_command
from bs_server.memory import keep_freed_memory
from shared.channels import load_channels
from shared.codecs import DecodeContext, make_decoder
from shared.evaluation import evaluate
from shared.experiments.commands.printing import command_line
from shared.experiments.demo import BaseStationProcess, start_base_station
from shared.model_files import load_model
from shared.receive import Refinement, receive
from shared.refinement import make_refiner
from shared.refinement.held import load_refiners
from shared.refinement.label import parse_refinement
from shared.rng import Randomness
from shared.scoring import Scoring
from shared.transmit import make_transmitter

SNR_DB = 5.0
SCORING = Scoring((0.0,))  # what csi-ue load asks for
WARM_UP_S = 1.0  # of each frame size: first batches of a shape cost more, and memory grows
BATCH = 128  # of the raw decode, and the base station's largest here: its default is for low latency


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured.

    Attributes:
        codec: Model of the zoo.
        rate: Of a report.
        link: Label.
        refine: Label of a refinement.
        frames: Reports of a frame.
        wanted: Ratio that is wanted of packed frames, or None.
    """

    codec: str
    rate: int
    link: str
    refine: str
    frames: tuple[int, ...]
    wanted: float | None


CASES = (
    Case("rd-jscc-indoor", 16, "analog:uplink", "never", (64, 1), 0.90),
    Case("rd-jscc-indoor", 16, "analog:uplink", "always:steps-2", (64,), 0.97),
    Case("csinet", 128, "digital:bsc", "never", (64, 1), 0.80),
    Case("klt", 128, "digital:bsc", "never", (64, 1), None),
)


def main(
    out: Annotated[Path, typer.Option(help="Folder for service.json.")] = Path("benchmarks/results"),
    seconds: Annotated[float, typer.Option(min=0.2, help="Time of each measurement.")] = 5.0,
    turns: Annotated[int, typer.Option(min=1, help="Times that each is measured; the ratios are medians.")] = 3,
    codec: Annotated[str, typer.Option(help="This one alone.")] = "",
) -> None:
    """Measure, write JSON, print a line for each codec, frame size and truth."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as the base station does, so that the allocator is not what is compared
    options = ["--refine-queue-reports", "1000000", "--max-batch", str(BATCH)]
    cores = sorted(os.sched_getaffinity(0))
    rows = []
    for case in (case for case in CASES if codec in ("", case.codec)):
        os.sched_setaffinity(0, cores[:1])
        raw_cpu_s = _raw(case)
        turned = []
        for _ in range(turns):
            with tempfile.TemporaryDirectory() as folder:
                station = start_base_station(Path(folder).resolve(), options)
                try:
                    for frame in case.frames:
                        _load(station, case, frame, truth=True, seconds=WARM_UP_S, cores=cores[-1:])
                    raw = {scored: raw_cpu_s(scored, seconds) for scored in (False, True)}
                    turned += [
                        _Turn(
                            frame,
                            truth,
                            raw,
                            *_load(station, case, frame, truth=truth, seconds=seconds, cores=cores[-1:]),
                        )
                        for frame in case.frames
                        for truth in (False, True)
                    ]
                finally:
                    station.stop()
        for frame in case.frames:
            for truth in (False, True):
                row = _row(case, frame, truth, [turn for turn in turned if (turn.frame, turn.truth) == (frame, truth)])
                rows.append(row)
                typer.echo(json.dumps(row))
    result = {
        "command": command_line("python -m benchmarks.service"),
        "cpu_count": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "rows": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "service.json").write_text(json.dumps(result, indent=2) + "\n")


@dataclass(frozen=True, slots=True)
class _Turn:
    frame: int
    truth: bool
    raw_cpu_s: dict[bool, float]  # of a report; with scores or not
    cpu_s: float  # of a report
    load: dict[str, Any]


def _row(case: Case, frame: int, truth: bool, turns: list[_Turn]) -> dict[str, Any]:
    ratios = [turn.raw_cpu_s[False] / turn.cpu_s for turn in turns]
    scored = [turn.raw_cpu_s[True] / turn.cpu_s for turn in turns]
    row = {
        "codec": case.codec,
        "refine": case.refine,
        "reports_per_frame": frame,
        "truth": truth,
        "raw_us": [round(1e6 * turn.raw_cpu_s[False], 1) for turn in turns],
        "raw_scored_us": [round(1e6 * turn.raw_cpu_s[True], 1) for turn in turns],
        "service_us": [round(1e6 * turn.cpu_s, 1) for turn in turns],
        "service_over_raw": round(statistics.median(ratios), 3),
        "wanted": case.wanted if frame > 1 else None,
    }
    if truth:
        row["service_over_raw_scored"] = round(statistics.median(scored), 3)
    loads = [turn.load for turn in turns]
    for name in ("reports_per_s", "p50_ms", "p99_ms", "mean_batch_size"):
        row[name] = [round(load[name], 1) for load in loads]
    return row


def _raw(case: Case) -> Callable[[bool, float], float]:
    """Return what measures the CPU time of a report decoded in process, in batches, scored or not."""
    model, device, channels = load_model(case.codec), torch.device("cpu"), load_channels("indoor-open-office")
    index = np.arange(BATCH) % len(channels.h)
    h, snr_db = channels.h[torch.from_numpy(index)], np.full(BATCH, SNR_DB, dtype=np.float32)
    randomness = Randomness(1, np.zeros(BATCH, dtype=np.int64), np.arange(BATCH))
    transmitter = make_transmitter(model, channels.shape, case.link, case.rate)
    sent = transmitter.transmit(h, snr_db, randomness)
    code, decoder, context = transmitter.link.code, make_decoder(model, device), DecodeContext(case.rate, snr_db)
    refinement = None
    if case.refine != "never":
        file = next(file for file in load_refiners((), {model.card.sha256: model.card.shape}))
        refinement = Refinement(make_refiner(file, device), parse_refinement(case.refine), [randomness])

    def decode(scored: bool) -> None:
        reception = receive(sent.received, code, sent.payload.length, decoder, context, refinement)
        if scored:
            evaluate(reception.h_hat, reception.payload, h, sent.payload, channels.shape.domain, SCORING)

    def measure(scored: bool, seconds: float) -> float:
        decode(scored)
        count, start_s, cpu_s = 0, time.monotonic(), time.process_time()
        while time.monotonic() - start_s < seconds:
            decode(scored)
            count += BATCH
        return (time.process_time() - cpu_s) / count

    return measure


def _load(
    station: BaseStationProcess, case: Case, frame: int, *, truth: bool, seconds: float, cores: list[int]
) -> tuple[float, dict[str, Any]]:
    """Load a base station over gRPC; return the CPU time of a report in its process, and what the generator says."""
    command = load_command(
        station, "--codec", case.codec, "--rate", str(case.rate), "--link", case.link, "--snr-db", str(SNR_DB)
    )
    command += ["--refine", case.refine, "--truth" if truth else "--no-truth", "--reports-per-frame", str(frame)]
    command += ["--duration-s", str(seconds), "--num-sessions", "2", "--in-flight", "4" if frame > 1 else "32"]
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # which the generator inherits
    before_s = cpu_s(station)
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603  (our own command)
    taken_s = cpu_s(station) - before_s
    os.sched_setaffinity(0, ours)
    result = json.loads(done.stdout)
    return taken_s / result["num_reports"], result


if __name__ == "__main__":
    typer.run(main)
