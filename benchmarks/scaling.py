"""What a report costs in CPU time, part by part: front end, replicas, Ray, PostgreSQL. docs/scaling.md adds it up.

python -m benchmarks.scaling --out benchmarks/results                          # SQLite; --pool ray with the extra `ray`
python -m benchmarks.scaling --database-url postgresql://... --name postgres

Closed loop, frames of 64 without truth. A part is a process, or several: what they used, own and kernel's, over the
reports that were stored. What the machine does meanwhile changes how many, and hardly what each costs.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.station import load_command
from shared.experiments.commands.printing import command_line
from shared.experiments.demo import BaseStationProcess, start_base_station

CASES = {"klt": (128, "digital:bsc"), "csinet": (128, "digital:bsc"), "rd-jscc-indoor": (16, "analog:uplink")}


def main(
    out: Annotated[Path, typer.Option(help="Folder for scaling.json; what it holds of other runs stays.")] = Path(
        "benchmarks/results"
    ),
    name: Annotated[str, typer.Option(help="Of this run in the file.")] = "",
    pool: Annotated[str, typer.Option()] = "local",
    replicas: Annotated[int, typer.Option(min=1)] = 1,
    database_url: Annotated[str, typer.Option(help="Empty: SQLite.")] = "",
    codec: Annotated[list[str], typer.Option(help="Of the cases; repeatable.")] = list(CASES),  # noqa: B006
    seconds: Annotated[float, typer.Option(min=1)] = 10,
) -> None:
    """Measure, print a line a codec, write JSON."""
    options = ["--pool", pool, *(["--replicas", str(replicas)] if pool == "ray" else [])]
    options += ["--database-url", database_url] if database_url else []
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        station = start_base_station(Path(folder), options)
        try:
            for one in codec:
                _load(station, one, 2.0)
                rows.append(_measured(station, one, seconds))
                typer.echo(json.dumps(rows[-1]))
        finally:
            station.stop()
    path = out / "scaling.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    known[name or pool] = {"command": command_line("python -m benchmarks.scaling"), "rows": rows}
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2) + "\n")


def _measured(station: BaseStationProcess, codec: str, seconds: float) -> dict[str, Any]:
    before = _cpu_s(station.process.pid)
    num_reports, reports_per_s = _load(station, codec, seconds)
    after = _cpu_s(station.process.pid)
    parts = {part: round(1e6 * (after[part] - before.get(part, 0.0)) / num_reports, 1) for part in after}
    return {"codec": codec, "us_of_a_report": parts, "num_reports": num_reports, "reports_per_s": reports_per_s}


def _load(station: BaseStationProcess, codec: str, seconds: float) -> tuple[int, int]:
    rate, link = CASES[codec]
    options = ["--codec", codec, "--rate", str(rate), "--link", link, "--reports-per-frame", "64", "--no-truth"]
    options += ["--num-sessions", "2", "--in-flight", "8", "--duration-s", str(seconds)]
    done = subprocess.run(load_command(station, *options), stdout=subprocess.PIPE, check=True)  # noqa: S603
    result = json.loads(done.stdout)
    return int(result["num_reports"]), round(result["reports_per_s"])


def _cpu_s(station_pid: int) -> dict[str, float]:
    """Return the CPU time of each part, s."""
    parents, used, names = {}, {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, fields = int(stat.parent.name), stat.read_text().rsplit(")", 1)[1].split()
            names[pid] = (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        parents[pid] = int(fields[1])
        used[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    parts: dict[str, float] = {"front end": used[station_pid]}
    for pid, name in names.items():
        ancestor = pid
        while ancestor in parents and ancestor not in (station_pid, 1):
            ancestor = parents[ancestor]
        if "postgres:" in name:
            part = "PostgreSQL"
        elif ancestor != station_pid or pid == station_pid:
            continue
        else:
            part = "replicas" if "ServeReplica" in name else "Ray"
        parts[part] = parts.get(part, 0.0) + used[pid]
    return parts


if __name__ == "__main__":
    typer.run(main)
