"""The section of `docs/reproduction.md` on the standard's codebooks beside what learns: SGCS and spectral efficiency.

benchmarks/results/standard: <data>.csv of the sweeps benchmarks/standard_<data>.toml
                             <model>.card.json of models that do not ship
"""

import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from shared.experiments.reproduction_sweeps import Row, read_rows, training_table
from shared.experiments.reproduction_tables import markdown_table

REFERENCE, CODEBOOKS = "etype2", ("etype2", "type1")
SHOWN_RATES = (38, 63, 128, 171, 256, 333)  # in the tables, of what has every rate
NUM_SUBBANDS = 16
DOWNLINK_DB = (0, 10)
PANELS_A_ROW = 2
COLOURS = matplotlib.colormaps["tab20"]
TITLES = {
    "street": "28 GHz street (`street-28g`)",
    "narrow": "3.5 GHz street, 6.25 MHz (`street-3g5-narrow`)",
    "uma": "TR 38.901 UMa (`uma-test.npz`)",
    "uma_dual": "TR 38.901 UMa, dual-polarised (`uma-dual-test.npz`)",
}


def standard_section(folder: Path, text: str) -> str:
    """Return the section.

    Args:
        folder: With what is named above.
        text: What stands under the heading.
    """
    cards = [json.loads(path.read_text()) for path in sorted(folder.glob("*.card.json"))]
    parts = ["## What the standard does, beside what learns", "", text, ""]
    parts += [training_table(cards)] if cards else []
    for name, title in _found(folder):
        parts += [f"{title}; `csi-lab sweep benchmarks/standard_{name}.toml`:", "", _table(read_rows(folder, name))]
    return "\n".join([*parts, "![SGCS over the bits of a report](images/standard.png)", ""])


def draw_standard(folder: Path, path: Path) -> None:
    """Draw SGCS over bits, a panel a data set.

    Args:
        folder: As of `standard_section`.
        path: PNG to write.
    """
    found = _found(folder)
    num_rows = -(-len(found) // PANELS_A_ROW)
    figure = Figure(figsize=(7.6 * min(len(found), PANELS_A_ROW), 4.4 * num_rows), layout="constrained")
    panels = list(figure.subplots(num_rows, min(len(found), PANELS_A_ROW), squeeze=False).flat)
    for ax in panels[len(found) :]:
        ax.remove()
    for ax, (name, title) in zip(panels, found, strict=False):
        rows = read_rows(folder, name)
        for number, codec in enumerate(dict.fromkeys(row["codec"] for row in rows)):
            curve = sorted((bits(row), sgcs(row)) for row in rows if row["codec"] == codec)
            style = "k-o" if codec == REFERENCE else "k:s" if codec == "type1" else ".-"
            ax.plot(
                *zip(*curve, strict=True),
                style,
                label=codec,
                **({} if codec in CODEBOOKS else {"color": COLOURS(number)}),
            )
        ax.set(
            title=title.replace("`", ""),
            xlabel="information bits of a report, mean",
            ylabel="SGCS, layer 1",
            xscale="log",
        )
        ax.grid(visible=True, which="both", alpha=0.3)
        ax.legend(fontsize="x-small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def bits(row: Row) -> float:
    """Return the mean information bits of a report."""
    return float(row["info_bits_per_report"])


def sgcs(row: Row) -> float:
    """Return the SGCS of layer 1, mean over subbands and reports."""
    names = (f"sgcs_layer1_subband{i}of{NUM_SUBBANDS}_value" for i in range(NUM_SUBBANDS))
    return float(np.mean([float(row[name]) for name in names]))


def gain(row: Row, reference: Sequence[tuple[float, float]]) -> float | None:
    """Return what a row has over the reference at its bits, as a share; None below the reference's fewest.

    Args:
        row: Of a sweep.
        reference: (bits, SGCS) of its configurations; between two it is a straight line over the logarithm of the
            bits, and the best of those with fewer; beyond the last it is the last.
    """
    at, values = np.array(sorted(reference)).T
    if bits(row) < at[0]:
        return None
    best = np.maximum.accumulate(values)
    return float(sgcs(row) / np.interp(np.log(bits(row)), np.log(at), best)) - 1


def _found(folder: Path) -> list[tuple[str, str]]:
    return [(name, title) for name, title in TITLES.items() if (folder / f"{name}.csv").exists()]


def _table(rows: Sequence[Row]) -> str:
    reference = [(bits(row), sgcs(row)) for row in rows if row["codec"] == REFERENCE]
    seen, cells = set(), []
    for row in rows:
        key = (row["codec"], row["info_bits_per_report"])
        shown = row["codec"] in CODEBOOKS or int(row["rate"]) in SHOWN_RATES
        if key in seen or not shown:  # two rates between which no configuration lies
            continue
        seen.add(key)
        over = None if row["codec"] == REFERENCE else gain(row, reference)
        nmse_db = row["nmse_mean_db"]
        cells.append(
            (
                row["codec"],
                f"{bits(row):.0f}",
                f"{sgcs(row):.3f}",
                "-" if over is None else f"{100 * over:+.1f} %",
                *(f"{float(row[f'downlink_{at}db_spectral_efficiency_value']):.2f}" for at in DOWNLINK_DB),
                f"{float(nmse_db):.2f}" if nmse_db else "-",
            )
        )
    head = ("codec", "bits", "SGCS", "over eType II", *(f"bit/s/Hz at {at} dB" for at in DOWNLINK_DB), "NMSE, dB")
    table = markdown_table(head, cells)
    perfect = ", ".join(f"{float(rows[0][f'downlink_{at}db_spectral_efficiency_perfect']):.2f}" for at in DOWNLINK_DB)
    return f"{table}\nPerfect CSI: {perfect} bit/s/Hz.\n"
