"""A sweep through the two commands: the same grid, measured by `csi-bs` and `csi-ue` as processes.

csi-bs serve (once) <==gRPC== csi-ue run (once a series), then GET /v1/metrics/summary.csv?session=...
"""

import csv
import io
import json
import math
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.errors import UnavailableError
from shared.experiments.demo import BaseStationProcess, start_base_station
from shared.experiments.summary_row import OF_A_SERVICE
from shared.experiments.sweep import Measure
from shared.experiments.sweep_file import SweepFile
from shared.experiments.sweep_plan import Plan, Point, Row, Series
from shared.model_files import zoo_names
from shared.summary import Cell

TEXTS = ("codec", "link", "estimator", "refinement")  # columns that are not numbers
FRAME_REPORTS = 16  # at least
MAX_WAITING = 1_000_000  # reports, more than a UE has in flight


@contextmanager
def through_service(plan: Plan, folder: Path) -> Iterator[Measure]:
    """Start a base station that holds models and data of a plan, and stop it in the end.

    Args:
        plan: What is measured.
        folder: Where its database and log go.

    Raises:
        UnavailableError: If it does not start.
    """
    models = {point.series.codec for point in plan.points} - set(zoo_names())
    data = {point.series.data for point in plan.points}
    options = [*(("--model", model) for model in sorted(models)), *(("--data", one) for one in sorted(data))]
    options += [("--refiner", file) for file in plan.file.refiners]
    options.append(("--refine-queue-reports", str(MAX_WAITING)))  # a number must not depend on how busy the machine is
    for old in ("csilink.db", "csilink.db-wal", "csilink.db-shm"):
        (folder / old).unlink(missing_ok=True)
    station = start_base_station(folder, ["--keep-every", "0", *(word for option in options for word in option)])
    try:
        yield _Service(station, plan.file).measure
    finally:
        station.stop()


@dataclass(frozen=True, slots=True)
class _Service:
    station: BaseStationProcess
    file: SweepFile

    def measure(self, series: Series, points: Sequence[Point]) -> Iterator[tuple[Point, Row]]:
        """Run a UE over all SNRs of the grid: the sequence numbers go on from one to the next."""
        by_snr = {row["snr_db"]: row for row in self._summary(self._run(series))}
        for point in points:
            yield point, by_snr[point.snr_db]

    def _run(self, series: Series) -> str:
        """Return the session of a run."""
        scoring = self.file.scoring
        options: dict[str, object] = {
            "--bs": f"127.0.0.1:{self.station.grpc_port}",
            "--codec": series.codec,
            "--rate": series.rate,
            "--snr-db": _words(self.file.grid.snr_db),
            "--num-reports": self.file.num_reports,
            "--link": series.link,
            "--data": series.data,
            "--estimator": series.estimator.name,
            "--downlink-snr-db": _words(scoring.downlink_snr_db),
            "--downlink-num-ue": scoring.downlink_num_ue,
            "--num-subbands": scoring.num_subbands,
            "--reports-per-frame": math.ceil(FRAME_REPORTS / scoring.downlink_num_ue) * scoring.downlink_num_ue,
            "--seed": self.file.seed,
        }
        if scoring.downlink_mcs is not None:
            options["--downlink-mcs"] = scoring.downlink_mcs
        if series.refiner is not None:
            options["--refine"] = series.refinement
        if series.cnr_db is not None:
            options["--cnr-db"] = series.cnr_db
        words = [f"{name}={value}" for name, value in options.items()]  # "=": an SNR may begin with a minus
        command = [sys.executable, "-m", "ue_client", "run", "--json", *words]
        ue = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (our own command)
        if ue.returncode:
            raise UnavailableError(f"csi-ue ended with exit code {ue.returncode}: {ue.stderr.strip()}")
        return str(json.loads(ue.stdout)[0]["session_id"])

    def _summary(self, session: str) -> list[Row]:
        address = f"http://127.0.0.1:{self.station.rest_port}/v1/metrics/summary.csv?session={session}"
        with urllib.request.urlopen(address, timeout=60) as answer:
            lines = csv.DictReader(io.StringIO(answer.read().decode()))
            return [{k: _cell(k, v) for k, v in line.items() if k not in OF_A_SERVICE} for line in lines]


def _words(values: Sequence[float]) -> str:
    return ",".join(repr(value) for value in values)


def _cell(name: str, text: str) -> Cell:
    """Read a cell as the number that was written."""
    if name in TEXTS or not text:
        return text or None
    try:
        return int(text)
    except ValueError:
        return float(text)
