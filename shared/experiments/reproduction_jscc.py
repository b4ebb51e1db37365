"""The section of `docs/reproduction.md` on RD-JSCC: read from two sweeps, the refiners' cards and their cost.

benchmarks/results/rd_jscc: hard.csv, easy.csv (`csi-lab sweep`), refiners/*.card.json, cost.json,
training/*.manifest.json
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.experiments.reproduction_tables import markdown_table

Row = dict[str, str]

NAMES = {  # of codecs and refinements in the tables
    "never": "",
    "always": " + RD",
    "always:by-rd-umi-nlos": " + RD, abar_N = 0.4",
    "always:by-rd-cosine-umi-nlos": " + RD, cosine",
    "always:by-gd-umi-nlos": " + GD, cosine",
}


def jscc_section(folder: Path, text: str) -> str:
    """Return the section.

    Args:
        folder: With what is named above.
        text: What stands under the heading.
    """
    cost = json.loads((folder / "cost.json").read_text())
    cards = [json.loads(path.read_text()) for path in sorted((folder / "refiners").glob("*.card.json"))]
    parts = ["## RD-JSCC: analog joint source-channel coding, refined by residual diffusion", "", text, ""]
    parts += [_training(folder / "training")]
    for title, file in (("Hard channel, UMi NLOS", "hard"), ("Easy channel, indoor open office", "easy")):
        with (folder / f"{file}.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        command = f"csi-lab sweep rd_jscc_{file}.toml"
        reports = rows[0]["num_reports"]
        for data in dict.fromkeys(row["data"] for row in rows):
            of_data = [row for row in rows if row["data"] == data]
            head = f"**{title}**" + ("" if file == "easy" or data == "umi-nlos" else f", tested on {data}")
            parts += [f"{head}: NMSE in dB over the uplink SNR, {reports} reports a point (`{command}`):", ""]
            parts += [_over_snr(of_data, "nmse_mean_db")]
            parts += ["Downlink BLER at 10 dB (uncoded QPSK, MRT) of the same reports:", ""]
            parts += [_over_snr(of_data, "downlink_10db_bler_value")]
    parts += ["Steps of the sampler: NMSE in dB before and after, on the card of each refiner:", "", _steps(cards)]
    parts += [_cost(cost)]
    return "\n".join(parts)


def _training(folder: Path) -> str:
    """Return the table of what was trained, with samples and epochs."""
    rows = []
    for path in sorted(folder.glob("*.manifest.json")):
        manifest = json.loads(path.read_text())
        schedule = manifest["options"]["schedule"]
        num_channels = int(manifest["training_data"].split(",")[1].split()[0])
        epochs = len(manifest["epochs"])
        seen = epochs * (num_channels // schedule["batch_size"]) * schedule["batch_size"]
        final = f"{manifest['epochs'][-1]['nmse_db']:.2f}"
        seconds = sum(epoch["seconds"] for epoch in manifest["epochs"])
        rows.append((path.name.removesuffix(".manifest.json"), f"{seen:,}", str(epochs), final, f"{seconds / 60:.0f}"))
    head = ("trained", "samples seen", "epochs", "NMSE at 5 dB, dB", "minutes")
    return markdown_table(head, rows)


def _over_snr(rows: Sequence[Row], column: str) -> str:
    """Return one line a codec, rate and refinement, one column an SNR."""
    snrs = sorted({float(row["snr_db"]) for row in rows})
    lines: dict[tuple[str, str, str], dict[float, str]] = {}
    for row in rows:
        refinement = row.get("refinement", "never")
        name = row["codec"] + NAMES.get(refinement, f" {refinement}")
        values = lines.setdefault((name, row["rate"], row["link"]), {})
        values[float(row["snr_db"])] = _figure(row[column], column)
    cells = [
        (name, f"{rate} {'symbols' if link.startswith('analog') else 'bits'}", f"`{link}`", *(of[snr] for snr in snrs))
        for (name, rate, link), of in lines.items()
    ]
    return markdown_table(("codec", "report", "link", *(f"{snr:g} dB" for snr in snrs)), cells)


def _figure(text: str, column: str) -> str:
    if not text:
        return "-"
    return f"{float(text):.2f}" if column.endswith("_db") else f"{float(text):.2g}"


def _steps(cards: Sequence[dict[str, Any]]) -> str:
    rows = []
    for card in cards:
        measured = card["measured"]
        snrs = sorted({point["snr_db"] for point in measured})
        coarse = {point["snr_db"]: point["nmse_coarse_db"] for point in measured}
        name, behind = card["name"], f"{card['codec']}, {card['link']}"
        rows.append((name, behind, "none", *(f"{coarse[snr_db]:.2f}" for snr_db in snrs)))
        for num_steps in sorted({point["num_steps"] for point in measured}):
            of = {point["snr_db"]: point["nmse_db"] for point in measured if point["num_steps"] == num_steps}
            rows.append((name, "", str(num_steps), *(f"{of[snr_db]:.2f}" for snr_db in snrs)))
    snrs = sorted({point["snr_db"] for card in cards for point in card["measured"]})
    return markdown_table(("refiner", "behind", "steps", *(f"{snr_db:g} dB" for snr_db in snrs)), rows)


def _cost(cost: dict[str, Any]) -> str:
    rows = [
        (
            row["part"],
            f"{row['num_parameters']:,}",
            row["published"],
            f"{row['macs'] / 1e6:.1f}M",
            f"{row['reports_per_s']:g}",
            f"{row['of_encoder']:g}",
        )
        for row in cost["rows"]
    ]
    head = ("part", "parameters", "published", "multiply-accumulates", "reports/s", "of the encoder's")
    return "\n".join(
        [
            f"Cost of the parts, batches of {cost['batch']}, {cost['threads']} thread of a CPU (`{cost['command']}`):",
            "",
            markdown_table(head, rows),
        ]
    )
