"""The section of `docs/reproduction.md` on RD-JSCC: read from two sweeps, the refiners' cards and their cost.

benchmarks/results/rd_jscc: hard.csv, easy.csv (`csi-lab sweep`), models/*.card.json,
refiners/*.card.json, jscc_cost.json, refinement_load.json
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.experiments.reproduction_tables import markdown_table

Row = dict[str, str]

NUM_SYMBOLS = 16  # what a report takes of the uplink, whatever it is made of


def jscc_section(folder: Path, text: str) -> str:
    """Return the section.

    Args:
        folder: With what is named above.
        text: What stands under the heading.
    """
    cost, load = (json.loads((folder / f"{name}.json").read_text()) for name in ("jscc_cost", "refinement_load"))
    models = [json.loads(path.read_text()) for path in sorted((folder / "models").glob("*.card.json"))]
    cards = [json.loads(path.read_text()) for path in sorted((folder / "refiners").glob("*.card.json"))]
    parts = ["## RD-JSCC: analog joint source-channel coding, refined by residual diffusion", "", text, ""]
    parts += [_training([*models, *cards])]
    for title, file in (("Hard channel, UMi NLOS", "hard"), ("Easy channel, indoor open office", "easy")):
        with (folder / f"{file}.csv").open(newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if float(row["channel_uses_per_report"]) == NUM_SYMBOLS]
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
    parts += [_load(load), _cost(cost)]
    return "\n".join(parts)


def _training(cards: Sequence[dict[str, Any]]) -> str:
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


def _over_snr(rows: Sequence[Row], column: str) -> str:
    """Return one line a codec, rate and refinement, one column an SNR."""
    snrs = sorted({float(row["snr_db"]) for row in rows})
    lines: dict[tuple[str, str, str], dict[float, str]] = {}
    for row in rows:
        refinement = row.get("refinement", "never")
        name = row["codec"] + ("" if refinement == "never" else f", `{refinement}`")
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
    """Return for each refiner the NMSE before it, and after each number of steps."""
    snrs = sorted({point["snr_db"] for card in cards for point in card["measured"]})
    rows = []
    for card in cards:
        measured = card["measured"]
        coarse = {point["snr_db"]: point["nmse_coarse_db"] for point in measured}
        rows.append((f"{card['name']}, abar_N = {card['final_abar']:g}", "none", "-", *_cells(coarse, snrs)))
        for num_steps in sorted({point["num_steps"] for point in measured}):
            points = [point for point in measured if point["num_steps"] == num_steps]
            after = {point["snr_db"]: point["nmse_db"] for point in points}
            rows.append(("", str(num_steps), f"{points[0]['ms_per_report']:g}", *_cells(after, snrs)))
    return markdown_table(("refiner", "steps", "ms a report", *(f"{snr_db:g} dB" for snr_db in snrs)), rows)


def _cells(values: dict[float, float], snrs: Sequence[float]) -> list[str]:
    return [f"{values[snr_db]:.2f}" if snr_db in values else "-" for snr_db in snrs]


def _load(load: dict[str, Any]) -> str:
    """Return the table of policies under load."""
    rows = [
        (
            f"`{row['refine']}`",
            str(row["refine_queue_reports"]),
            f"{row['load']['reports_per_s']:.0f}",
            f"{row['load']['p50_ms']:.0f} / {row['load']['p99_ms']:.0f}",
            f"{row['load']['num_refined'] / row['load']['num_reports']:.2f}",
        )
        for row in load["rows"]
    ]
    head = ("--refine", "--refine-queue-reports", "reports/s", "p50 / p99, ms", "share refined")
    return "\n".join([f"A base station under load (`{load['command']}`):", "", markdown_table(head, rows)])


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
