"""What a sweep leaves: the points as they are finished, and the tables made of them.

points.jsonl   one finished point a line, written at once    sweep.csv, sweep.json   the rows in the order of the grid
manifest.json  what made them                                bd_rate.csv             rate against the first codec
"""

import csv
import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from shared.errors import InvalidArgumentError
from shared.experiments.sweep_plan import Plan, Row
from shared.experiments.sweep_words import is_analog
from shared.metrics import bd_rate
from shared.summary import Cell
from shared.training.manifest import git_revision

# The columns in which two codecs that are compared agree.
CURVE = ("data", "link", "estimator", "cnr_db", "refinement", "snr_db")


class PointsFile:
    """``points.jsonl``: key and row of each finished point.

    A run that is killed may leave a part of a line; it is no point, and the next one goes on a new line.

    Args:
        folder: The folder of the sweep; it is made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "points.jsonl"

    def rows(self) -> dict[str, Row]:
        """Return key -> row."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        parsed = [_parse(line) for line in lines]
        return {str(row.pop("key")): row for row in parsed if row is not None}

    def append(self, key: str, row: Row) -> None:
        """Add a point; it is on the disk when this returns."""
        with self._path.open("ab+") as stream:
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":
                    stream.write(b"\n")
            stream.write(json.dumps({"key": key, **row}).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())


def _parse(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and "key" in row else None


@dataclass(frozen=True, slots=True)
class BdRate:
    """How many more bits a codec needs than the first one for the same NMSE.

    Attributes:
        where: What the two curves have in common, by `CURVE`.
        reference: The first codec that has an NMSE, which precoders have not.
        codec: The other one.
        bd_rate: Share of the rate, -0.2 for 20 % fewer bits; None where the curves do not allow it.
        reason: Why not.
    """

    where: Row
    reference: str
    codec: str
    bd_rate: float | None
    reason: str

    def row(self) -> Row:
        """Return it flat."""
        others = {"reference": self.reference, "codec": self.codec, "bd_rate": self.bd_rate, "reason": self.reason}
        return {**self.where, **others}


def bd_rates(rows: Sequence[Row]) -> list[BdRate]:
    """Compare each codec's NMSE over rate with that of the first that has one, at each SNR, link, estimator and data.

    Of bits, the rate is the mean of those that the reports really have.
    """
    curves: dict[tuple[Cell, ...], dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        of_codec = curves.setdefault(tuple(row[name] for name in CURVE), {}).setdefault(str(row["codec"]), [])
        rate = row["rate"] if is_analog(row) else row["info_bits_per_report"]
        if isinstance(row["nmse_mean_db"], float) and isinstance(rate, int | float):  # an exact one has no dB
            of_codec.append((float(rate), row["nmse_mean_db"]))
    found = []
    reference = next((str(row["codec"]) for row in rows if isinstance(row["nmse_mean_db"], float)), "")
    for where, by_codec in curves.items():
        for codec, points in by_codec.items():
            if codec != reference and reference in by_codec and points:
                value, reason = _bd_rate(by_codec[reference], points)
                found.append(BdRate(dict(zip(CURVE, where, strict=True)), reference, codec, value, reason))
    return found


def _bd_rate(reference: list[tuple[float, float]], other: list[tuple[float, float]]) -> tuple[float | None, str]:
    try:
        return bd_rate(reference, other), ""
    except InvalidArgumentError as error:
        return None, str(error)


def write_tables(plan: Plan, rows: Sequence[Row], folder: Path, command: str) -> list[Path]:
    """Write ``sweep.csv``, ``sweep.json``, ``bd_rate.csv`` where there is one, and ``manifest.json``.

    Args:
        plan: What was to be measured.
        rows: What was.
        folder: The folder of the sweep.
        command: The command line, for the manifest.

    Returns:
        The files.
    """
    files = [folder / name for name in ("sweep.csv", "sweep.json", "manifest.json")]
    compared = [entry.row() for entry in bd_rates(rows)]
    write_csv(folder / "sweep.csv", rows)
    if any(row["bd_rate"] is not None for row in compared):
        files.append(folder / "bd_rate.csv")
        write_csv(files[-1], compared)
    left_out = [asdict(entry) for entry in plan.left_out]
    _write_json(folder / "sweep.json", {"rows": rows, "bd_rate": compared, "left_out": left_out})
    _write_json(folder / "manifest.json", _manifest(plan, len(rows), command))
    return files


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write rows of the same columns; None is an empty cell."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _manifest(plan: Plan, num_finished: int, command: str) -> dict[str, Any]:
    data = [{"name": one.name, "num_channels": len(one.h), "sha256": one.sha256} for one in plan.data]
    models: Iterable[Any] = (model.card for model in plan.models)
    refiners = [refiner.card for refiner in plan.refiners]
    return {
        "command": command,
        "git": git_revision(),
        "through": plan.through,
        "sweep": plan.file.model_dump(),
        "num_points": len(plan.points),
        "num_finished": num_finished,
        "num_left_out": len(plan.left_out),
        "data": data,
        "models": [
            {"name": card.name, "codec": card.codec, "sha256": card.sha256, "training_data": card.training_data}
            for card in models
        ],
        "refiners": [
            {"name": card.name, "kind": card.kind, "sha256": card.sha256, "codec": card.codec} for card in refiners
        ],
        "versions": {name: version(name) for name in ("csilink", "torch", "numpy", "scipy")},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
    }


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
