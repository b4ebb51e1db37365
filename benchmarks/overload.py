"""A base station offered three times what it carries: goodput, and latency of what it takes.

python -m benchmarks.overload --out benchmarks/results

One process on one core, the generator on another where there is one. In turns: closed loop, whose goodput is the peak;
90 % of the peak; three times the peak, from UEs that obey the retry delay and from UEs that go on sending; 90 % again,
second by second. Then ten sessions at 60 % of the peak in all, and the same with a session more at ten times the share
of each, obeying and not.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.station import load_command, rss_mb
from shared.experiments.commands.printing import command_line
from shared.experiments.demo import BaseStationProcess, start_base_station

SESSIONS = 10
OBEYING = {"obeying": ("--hold-back",), "not_obeying": ()}  # the retry delay of a refusal


def main(
    out: Annotated[Path, typer.Option(help="Folder for overload.json.")] = Path("benchmarks/results"),
    seconds: Annotated[float, typer.Option(min=1, help="Of each phase.")] = 15,
    turns: Annotated[int, typer.Option(min=1)] = 3,
    codec: Annotated[str, typer.Option()] = "csinet",
    rate: Annotated[int, typer.Option()] = 128,
    reports_per_frame: Annotated[int, typer.Option(min=1, max=128)] = 16,
    queue_reports: Annotated[int, typer.Option(help="Of csi-bs: what may wait, which bounds the wait.")] = 128,
) -> None:
    """Measure, print a line a phase, write JSON."""
    cores = sorted(os.sched_getaffinity(0))
    load = ["--codec", codec, "--rate", str(rate), "--reports-per-frame", str(reports_per_frame)]
    rows: list[dict[str, Any]] = []
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            os.sched_setaffinity(0, cores[:1])
            options = ["--queue-reports", str(queue_reports), "--max-reports-per-frame", str(reports_per_frame)]
            station = start_base_station(Path(folder), options)
            os.sched_setaffinity(0, cores[-1:])
            try:
                rows.append(_turn(station, load, seconds))
            finally:
                os.sched_setaffinity(0, cores)
                station.stop()
        typer.echo(json.dumps(rows[-1]))
    out.mkdir(parents=True, exist_ok=True)
    result = {"command": command_line("python -m benchmarks.overload"), "cpu_count": os.cpu_count(), "turns": rows}
    (out / "overload.json").write_text(json.dumps(result, indent=2) + "\n")


def _turn(station: BaseStationProcess, load: list[str], seconds: float) -> dict[str, Any]:
    def run(*options: str) -> dict[str, Any]:
        command = load_command(station, *load, "--no-truth", "--duration-s", str(seconds), *options)
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603  (our own command)
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    run("--num-sessions", "4", "--in-flight", "2")  # what is made once: connections, statements, memory
    peak = run("--num-sessions", "4", "--in-flight", "2")["reports_per_s"]
    rss = [rss_mb(station)]
    calm = run("--arrivals", f"poisson:{0.9 * peak:.0f}", "--num-sessions", str(SESSIONS))
    threefold = ("--arrivals", f"poisson:{3 * peak:.0f}", "--num-sessions", str(SESSIONS))
    over = {obey: run(*threefold, *options) for obey, options in OBEYING.items()}
    after = run("--arrivals", f"poisson:{0.9 * peak:.0f}", "--num-sessions", str(SESSIONS))
    rss.append(rss_mb(station))
    share = 0.6 * peak / SESSIONS
    even = run("--arrivals", f"poisson:{SESSIONS * share:.0f}", "--num-sessions", str(SESSIONS))
    weights = ",".join(["10"] + ["1"] * SESSIONS)
    flood = ("--arrivals", f"poisson:{(SESSIONS + 10) * share:.0f}", "--num-sessions", str(SESSIONS + 1))
    flooded = {obey: run(*flood, "--weights", weights, *options) for obey, options in OBEYING.items()}
    p99 = {obey: [session["p99_ms"] for session in result["sessions"]] for obey, result in flooded.items()}
    usual = sorted(session["p99_ms"] for session in even["sessions"])[SESSIONS // 2]
    return {
        "peak_reports_per_s": round(peak),
        "calm": _phase(calm),
        "overload": {obey: _phase(result) for obey, result in over.items()},
        "after": _phase(after) | {"seconds": after["seconds"][:5]},
        "goodput_over_peak": {obey: round(result["reports_per_s"] / peak, 3) for obey, result in over.items()},
        "p99_over_calm": {obey: round(result["p99_ms"] / calm["p99_ms"], 2) for obey, result in over.items()},
        "rss_mb": rss,
        "flood_p99_ms": p99,
        "usual_p99_ms": usual,
        "others_p99_over_usual": {
            obey: round(sorted(of_sessions[1:])[SESSIONS // 2] / usual, 2) for obey, of_sessions in p99.items()
        },
    }


def _phase(result: dict[str, Any]) -> dict[str, Any]:
    names = ("offered_reports_per_s", "reports_per_s", "num_reports", "num_refused", "refusals", "p50_ms", "p99_ms")
    return {name: result[name] for name in (*names, "lateness_p99_ms")}


if __name__ == "__main__":
    typer.run(main)
