"""What the sections of `docs/reproduction.md` that are read from sweeps and cards share."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.experiments.reproduction_tables import markdown_table

Row = dict[str, str]


def read_rows(folder: Path, file: str) -> list[Row]:
    """Read the rows of the sweep ``file``.csv."""
    with (folder / f"{file}.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def training_table(cards: Sequence[dict[str, Any]]) -> str:
    """Return the table of what was trained: samples, epochs, recipe."""
    rows = [
        (
            card["name"],
            f"{card['training']['samples_seen']:,}",
            f"{card['training']['epochs']:g}",
            card["training_data"].rsplit(", sha256 ", 1)[0],
            f"`{card['recipe']}`",
        )
        for card in cards
    ]
    return markdown_table(("trained, **not converged**", "samples seen", "epochs", "on", "command"), rows)
