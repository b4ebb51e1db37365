"""The section of `docs/reproduction.md` on RD-JSCC: read from sweeps, the refiners' cards and their cost.

benchmarks/results/rd_jscc: hard.csv, easy.csv, prefixes.csv (`csi-lab sweep`), models/*.card.json,
refiners/*.card.json, jscc_cost.json, refinement_load.json
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.experiments.reproduction_jscc_plot import plot_jscc
from shared.experiments.reproduction_sweeps import Row, read_rows, training_table
from shared.experiments.reproduction_tables import markdown_table
from shared.experiments.sweep_words import rate_in_words

CHANNELS = {"Hard channel, UMi NLOS": "hard", "Easy channel, indoor open office": "easy"}  # title -> sweep


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
    parts += [training_table([*models, *cards])]
    parts += ["![NMSE and downlink BLER over the uplink SNR](images/rd_jscc.png)", ""]
    for title, file in CHANNELS.items():
        rows = read_rows(folder, file)
        command = f"csi-lab sweep rd_jscc_{file}.toml"
        reports = rows[0]["num_reports"]
        for data in dict.fromkeys(row["data"] for row in rows):
            of_data = [row for row in rows if row["data"] == data]
            head = f"**{title}**" + ("" if file == "easy" or data == "umi-nlos" else f", tested on {data}")
            parts += [f"{head}: NMSE in dB over the uplink SNR, {reports} reports a point (`{command}`):", ""]
            parts += [_over_snr(of_data, "nmse_mean_db")]
            parts += ["Downlink BLER at 10 dB (uncoded QPSK, MRT) of the same reports:", ""]
            parts += [_over_snr(of_data, "downlink_10db_bler_value")]
    rows = read_rows(folder, "prefixes")
    parts += ["One model for several rates (Matryoshka), indoor open office: NMSE in dB over the uplink SNR, "]
    parts += [f"{rows[0]['num_reports']} reports a point (`csi-lab sweep rd_jscc_prefixes.toml`):", ""]
    parts += [_over_snr(rows, "nmse_mean_db")]
    parts += ["Steps of the sampler: NMSE in dB before and after, on the card of each refiner:", "", _steps(cards)]
    parts += [_load(load), _cost(cost)]
    return "\n".join(parts)


def draw_jscc(folder: Path, path: Path) -> None:
    """Draw the two sweeps of the section; of the hard one what was tested on UMi NLOS.

    Args:
        folder: As of `jscc_section`.
        path: PNG to write.
    """
    rows_of = {title: read_rows(folder, file) for title, file in CHANNELS.items()}
    plot_jscc({title: [row for row in rows if row["data"] == rows[0]["data"]] for title, rows in rows_of.items()}, path)


def _over_snr(rows: Sequence[Row], column: str) -> str:
    """Return one line a codec, rate and refinement, one column an SNR."""
    snrs = sorted({float(row["snr_db"]) for row in rows})
    lines: dict[tuple[str, str, str], dict[float, str]] = {}
    for row in rows:
        refinement = row.get("refinement", "never")
        name = row["codec"] + ("" if refinement == "never" else f", `{refinement}`")
        values = lines.setdefault((name, rate_in_words(row), row["link"]), {})
        values[float(row["snr_db"])] = _figure(row[column], column)
    cells = [(name, rate, f"`{link}`", *(of.get(snr, "-") for snr in snrs)) for (name, rate, link), of in lines.items()]
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
        scaled = {p["snr_db"]: p["nmse_scaled_db"] for p in measured if p.get("nmse_scaled_db") is not None}
        rows.append((f"{card['name']}, abar_N = {card['final_abar']:g}", "none", "-", *_cells(coarse, snrs)))
        rows.append(("", "none, times one number", "-", *_cells(scaled, snrs)))
        for num_steps in sorted({point["num_steps"] for point in measured}):
            points = [point for point in measured if point["num_steps"] == num_steps]
            after = {point["snr_db"]: point["nmse_db"] for point in points}
            rows.append(("", str(num_steps), f"{points[0]['ms_per_report']:g}", *_cells(after, snrs)))
    return markdown_table(("refiner", "steps", "ms a report", *(f"{snr_db:g} dB" for snr_db in snrs)), rows)


def _cells(values: dict[float, float], snrs: Sequence[float]) -> list[str]:
    return [f"{values[snr_db]:.2f}" if snr_db in values else "-" for snr_db in snrs]


def _load(load: dict[str, Any]) -> str:
    """Return the table of policies under load."""
    rows = []
    for row in load["rows"]:
        by_rate = sorted(row["loads"], key=lambda turn: float(turn["reports_per_s"]))
        median, rates = by_rate[len(by_rate) // 2], [f"{turn['reports_per_s']:.0f}" for turn in by_rate]
        rows.append(
            (
                f"`{row['refine']}`",
                str(row["refine_queue_reports"]),
                f"{median['reports_per_s']:.0f} ({rates[0]} ... {rates[-1]})",
                f"{median['p50_ms']:.0f} / {median['p99_ms']:.0f}",
                f"{median['num_refined'] / median['num_reports']:.2f}",
            )
        )
    head = ("--refine", "--refine-queue-reports", "reports/s, median (all)", "p50 / p99, ms", "share refined")
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
