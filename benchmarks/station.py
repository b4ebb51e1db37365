"""What benchmarks ask of a base station's process, and how they load it."""

import os
import sys
from pathlib import Path

from shared.experiments.demo import BaseStationProcess


def load_command(station: BaseStationProcess, *options: str) -> list[str]:
    """Return the command of a load test, its figures as JSON."""
    return [sys.executable, "-m", "ue_client", "load", "--bs", f"127.0.0.1:{station.grpc_port}", "--json", *options]


def rss_mb(station: BaseStationProcess) -> float:
    """Return the resident memory of the process, MB."""
    pages = int(Path(f"/proc/{station.process.pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def cpu_s(station: BaseStationProcess) -> float:
    """Return the CPU time of the process, its own and the kernel's for it, s."""
    fields = Path(f"/proc/{station.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
