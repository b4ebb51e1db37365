"""The section of `docs/reproduction.md` on train-on-A, test-on-B: read from what `csi-lab sweep --matrix` left.

matrix.csv (one row a model and point, one column a data set) --> one table a link, at one rate and the highest SNR
"""

import csv
import json
from pathlib import Path

from shared.experiments.reproduction_tables import markdown_table

RATE = "128"
POINT = ("family", "rate", "link", "estimator", "cnr_db", "snr_db", "trained_on")


def matrix_section(folder: Path) -> str:
    """Return the section.

    Args:
        folder: With ``matrix.csv`` and ``manifest.json``.
    """
    with (folder / "matrix.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    manifest = json.loads((folder / "manifest.json").read_text())
    sweep, train = manifest["sweep"], manifest["sweep"]["train"]
    tested = [name for name in rows[0] if name not in POINT]
    best = max(float(row["snr_db"]) for row in rows)
    parts = [
        "## Five data sets: trained on A, tested on B",
        "",
        f"NMSE in dB at {RATE} bits, SNR {best:g} dB; {sweep['num_reports']} reports a cell. `HT_val`: COST 2100",
        "indoor, other environments; `cost2100-semiurban`, `deepmimo-ny` (ray tracing, New York): trained on by none.",
        f"Networks: {train['max_channels']:,} channels, {train['epochs']} epochs, **not converged**. What KLT and",
        "networks learnt does not carry over to other data; `angular-topk` learns only its quantiser. All points:",
        "[matrix.csv](../benchmarks/results/five/matrix.csv), [picture](../benchmarks/results/five/matrix.png).",
        "",
        f"Command: `{manifest['command']}`.",
        "",
    ]
    for link in dict.fromkeys(row["link"] for row in rows):
        chosen = [r for r in rows if r["link"] == link and r["rate"] == RATE and float(r["snr_db"]) == best]
        cells = [(row["family"], row["trained_on"], *(_cell(row[name]) for name in tested)) for row in chosen]
        parts += [f"`{link}`:", "", markdown_table(("codec", "trained on", *tested), cells)]
    return "\n".join(parts)


def _cell(text: str) -> str:
    return f"{float(text):.2f}" if text else "-"
