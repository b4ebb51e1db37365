"""What a policy of refinement does to a base station under load: reports a second, latency, share refined.

python -m benchmarks.refinement_load --codec klt --link digital:soft --rate 128 --out benchmarks/results/rd_jscc

csi-bs serve  <==gRPC==  csi-ue load --refine LABEL, once for each policy and bound of the queue; without truth, no NMSE
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.station import load_command
from shared.experiments.commands.printing import command_line
from shared.experiments.demo import start_base_station

POLICIES = (
    ("never", 256),
    ("always", 4096),
    ("always", 256),
    ("always", 64),
    ("snr:from-8", 4096),
    ("gain", 4096),
    ("gain:above-1", 4096),
)  # label, and the most waiting reports with which anything is refined


def main() -> None:
    """Measure and write ``refinement_load.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codec", required=True)
    parser.add_argument("--link", default="analog:uplink")
    parser.add_argument("--rate", type=int, default=16)
    parser.add_argument("--snr-db", type=float, default=5)
    parser.add_argument("--duration-s", type=float, default=10)
    parser.add_argument("--turns", type=int, default=3, help="each policy once in each")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    loads: list[list[Any]] = [[] for _ in POLICIES]
    for _ in range(arguments.turns):
        for of_policy, (label, limit) in zip(loads, POLICIES, strict=True):
            with tempfile.TemporaryDirectory() as folder:
                of_policy.append(measure(arguments, label, limit, Path(folder)))
            print(label, limit, of_policy[-1])  # noqa: T201  (a command)
    rows = [
        {"refine": label, "refine_queue_reports": limit, "loads": of_policy}
        for of_policy, (label, limit) in zip(loads, POLICIES, strict=True)
    ]
    command = command_line("python -m benchmarks.refinement_load")
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "refinement_load.json"
    path.write_text(json.dumps({"command": command, "rows": rows}, indent=2) + "\n")


def measure(arguments: argparse.Namespace, label: str, limit: int, folder: Path) -> Any:
    """Return what `csi-ue load` measures of a policy."""
    station = start_base_station(folder, ["--refine-queue-reports", str(limit)])
    try:
        command = load_command(station, "--codec", arguments.codec, "--rate", str(arguments.rate))
        command += ["--link", arguments.link]
        command += ["--snr-db", str(arguments.snr_db), "--num-sessions", "4", "--reports-per-frame", "16"]
        command += ["--duration-s", str(arguments.duration_s)]
        load = subprocess.run([*command, "--refine", label], capture_output=True, text=True, check=True)  # noqa: S603
    finally:
        station.stop()
    return json.loads(load.stdout)


if __name__ == "__main__":
    main()
