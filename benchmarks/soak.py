"""A base station under a steady load, with clients that crash and clients that read nothing, for as long as it is left.

python -m benchmarks.soak --seconds 1800 --out benchmarks/results

Beside a steady load, load tests are killed in the middle, every second one after it was stopped (SIGSTOP) for a while
and read nothing. Memory, descriptors and threads of the base station's process are taken every two seconds: after the
first fifth, the warm-up, they have to stay flat.
"""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.figure import Figure

from benchmarks.station import load_command, rss_mb
from shared.experiments.commands.printing import command_line
from shared.experiments.demo import BaseStationProcess, start_base_station

WARM_UP = 0.2  # of the time
SAMPLE_S = 2.0
MOST_GROWTH = {"rss_mb": 20.0, "descriptors": 4.0, "threads": 1.0}  # an hour
CRASH_S = 8.0  # life of a client that is killed


def main(
    out: Annotated[Path, typer.Option(help="Folder for soak.json and soak.png.")] = Path("benchmarks/results"),
    seconds: Annotated[float, typer.Option(min=20)] = 1800,
    rate: Annotated[float, typer.Option(help="Steady load, reports/s.")] = 200,
) -> None:
    """Load, disturb, watch; write JSON and a picture."""
    with tempfile.TemporaryDirectory() as folder:
        station = start_base_station(Path(folder))
        try:
            result = _soak(station, seconds, rate)
        finally:
            station.stop()
    out.mkdir(parents=True, exist_ok=True)
    result = {"command": command_line("python -m benchmarks.soak")} | result
    (out / "soak.json").write_text(json.dumps(result, indent=2) + "\n")
    _plot(result["samples"], out / "soak.png")
    typer.echo(json.dumps({name: value for name, value in result.items() if name != "samples"}, indent=2))
    grown = [name for name, most in MOST_GROWTH.items() if result["growth_per_hour"][name] > most]
    if grown or result["unaccounted_reports"] or result["errors_logged"]:
        typer.echo(f"not flat, or not all accounted for: {', '.join(grown) or 'see above'}", err=True)
        raise typer.Exit(1)


def _soak(station: BaseStationProcess, seconds: float, rate: float) -> dict[str, Any]:
    start_s = time.monotonic()
    steady = subprocess.Popen(_load(station, f"poisson:{rate:g}", seconds), stdout=subprocess.PIPE)  # noqa: S603
    ended = threading.Event()
    samples: list[dict[str, float]] = []

    def watch() -> None:
        while not ended.wait(SAMPLE_S):
            samples.append({"second": round(time.monotonic() - start_s, 1)} | _resources(station))

    watching = threading.Thread(target=watch)
    watching.start()
    num_killed = 0
    try:
        while time.monotonic() - start_s < seconds - 2 * CRASH_S:
            num_killed += _disturb(station, stop=num_killed % 2 == 1)
        output, _ = steady.communicate(timeout=seconds + 120)
    finally:
        ended.set()
        watching.join()
        steady.kill()
    warm = [sample for sample in samples if sample["second"] >= WARM_UP * seconds]
    metrics = _metrics(station)
    load = json.loads(output)
    return {
        "seconds": seconds,
        "killed_clients": num_killed,
        "steady": {name: load[name] for name in ("num_reports", "num_refused", "refusals", "p50_ms", "p99_ms")},
        "growth_per_hour": {name: _slope(warm, name) for name in ("rss_mb", "descriptors", "threads")},
        "after_warm_up": {name: [warm[0][name], warm[-1][name]] for name in ("rss_mb", "descriptors", "threads")},
        "unaccounted_reports": metrics["received"] - metrics["accounted"],
        "errors_logged": sum('"level": "error"' in line for line in station.log.read_text().splitlines()),
        "samples": samples,
    }


def _disturb(station: BaseStationProcess, *, stop: bool) -> int:
    """Start a client in closed loop, let it send for a while, stop it where told, and kill it."""
    client = subprocess.Popen(  # noqa: S603  (our own command)
        _load(station, "closed", 60), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(CRASH_S)
    if stop:
        os.killpg(client.pid, signal.SIGSTOP)  # its processes, which read the acknowledgements
        time.sleep(CRASH_S / 2)
    os.killpg(client.pid, signal.SIGKILL)
    client.wait()
    return 1


def _load(station: BaseStationProcess, arrivals: str, seconds: float) -> list[str]:
    return load_command(
        station, "--arrivals", arrivals, "--duration-s", f"{seconds:g}", "--reports-per-frame", "8", "--truth"
    )


def _resources(station: BaseStationProcess) -> dict[str, float]:
    process = Path(f"/proc/{station.process.pid}")
    return {
        "rss_mb": rss_mb(station),
        "descriptors": len(list((process / "fd").iterdir())),
        "threads": len(list((process / "task").iterdir())),
    }


def _metrics(station: BaseStationProcess) -> dict[str, float]:
    """Return how many reports arrived, and of how many Prometheus says what became of them, when nothing is queued."""
    deadline_s = time.monotonic() + 30
    while station.get("/v1/health/live")["queued_reports"] and time.monotonic() < deadline_s:
        time.sleep(0.2)
    totals: dict[str, float] = {}
    for line in station.text("/metrics").splitlines():
        if line.startswith("csi_") and "_total" in line:
            name, value = line.rsplit(" ", 1)
            totals[name.split("{")[0]] = totals.get(name.split("{")[0], 0.0) + float(value)
    accounted = ("csi_reports_total", "csi_duplicates_total", "csi_refused_reports_total")
    return {
        "received": totals["csi_received_reports_total"],
        "accounted": sum(totals.get(name, 0.0) for name in accounted),
    }


def _slope(samples: list[dict[str, float]], name: str) -> float:
    """Return the growth of a figure an hour, by least squares."""
    hours = np.array([sample["second"] for sample in samples]) / 3600
    return round(float(np.polyfit(hours, [sample[name] for sample in samples], 1)[0]), 3)


def _plot(samples: list[dict[str, float]], path: Path) -> None:
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots(3, sharex=True)
    seconds = [sample["second"] for sample in samples]
    for ax, name, label in zip(
        axes, ("rss_mb", "descriptors", "threads"), ("MB", "descriptors", "threads"), strict=True
    ):
        ax.plot(seconds, [sample[name] for sample in samples])
        ax.set(ylabel=label, ylim=(0, None))
        ax.grid(visible=True, alpha=0.3)
    axes[-1].set(xlabel="seconds")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    typer.run(main)
