"""The section of `docs/reproduction.md` on InvCSINet: read from two sweeps, the models' cards and run manifests.

benchmarks/results/invcsinet: 32.csv, 128.csv (`csi-lab sweep`), models/*.card.json, models/*.manifest.json
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from shared.experiments.reproduction_jscc import Row, over_snr, read_rows, training_table
from shared.experiments.reproduction_tables import markdown_table

ABLATIONS = {  # model -> what it leaves out, published loss in dB
    "invcsinet-32-without-daq": ("DAQ", "0.1 ... 1.5"),
    "invcsinet-32-without-d-bcd": ("D-BCD", "0.5 ... 11.8"),
    "invcsinet-32-without-ic": ("IC", "0.004 ... 0.4"),
}
WHOLE = "invcsinet-32"
IDEAL = {  # model -> line of the picture
    "invcsinet-32-ideal-mmd": "invertible, MMD alone",
    "invcsinet-32-ideal": "invertible, both losses",
    "csinet-32": "CsiNet",
}
AWGN = "digital:bsc"


def invcsinet_section(folder: Path, text: str) -> str:
    """Return the section.

    Args:
        folder: With what is named above.
        text: What stands under the heading.
    """
    cards = [json.loads(path.read_text()) for path in sorted((folder / "models").glob("*.card.json"))]
    parts = ["## InvCSINet and the digital networks it is measured against", "", text, "", training_table(cards)]
    for size in (32, 128):
        rows = read_rows(folder, str(size))
        named = [row for row in rows if row["codec"] not in ABLATIONS]
        reports = rows[0]["num_reports"]
        head = f"Codewords of {size} reals, NMSE in dB over the SNR of the link, {reports} reports a point"
        parts += [f"{head} (`csi-lab sweep invcsinet_{size}.toml`):", "", over_snr(named, "nmse_mean_db")]
    parts += ["Ablation, 32 reals at 4 bits, BPSK over AWGN: NMSE in dB and what leaving out a part costs:", ""]
    parts += [_ablation(read_rows(folder, "32"))]
    parts += ["Ideal transmission: nothing is quantised, nothing is lost (the paper's Fig. 8).", ""]
    parts += ["![NMSE and MMD over epochs](images/invcsinet.png)", ""]
    return "\n".join(parts)


def draw_ideal(folder: Path, path: Path) -> None:
    """Draw NMSE and MMD of the reconstructions over epochs.

    Args:
        folder: As of `invcsinet_section`.
        path: PNG to write.
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    axes = figure.subplots(1, 2)
    for name, label in IDEAL.items():
        epochs = json.loads((folder / "models" / f"{name}.manifest.json").read_text())["epochs"]
        for ax, key in zip(axes, ("nmse_db", "mmd"), strict=True):
            ax.plot([epoch["epoch"] for epoch in epochs], [epoch[key] for epoch in epochs], "o-", label=label)
    axes[0].set(xlabel="epoch", ylabel="NMSE (dB), mean of ratios")
    axes[1].set(xlabel="epoch", ylabel="MMD² between channels and reconstructions", yscale="log")
    for ax in axes:
        ax.grid(visible=True, which="both", alpha=0.3)
    axes[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _ablation(rows: Sequence[Row]) -> str:
    def at(codec: str, snr_db: float) -> float:
        return next(float(row["nmse_mean_db"]) for row in rows if _is_point(row, codec, snr_db))

    snrs = (0.0, 10.0)
    cells = [("nothing", *(f"{at(WHOLE, snr_db):.2f}" for snr_db in snrs), "-")]
    for codec, (part, published) in ABLATIONS.items():
        found = [f"{at(codec, snr_db):.2f} ({at(codec, snr_db) - at(WHOLE, snr_db):+.2f})" for snr_db in snrs]
        cells.append((part, *found, published))
    return markdown_table(("left out", "0 dB", "10 dB", "published cost, dB"), cells)


def _is_point(row: Mapping[str, Any], codec: str, snr_db: float) -> bool:
    return (row["codec"], row["link"], row["rate"], float(row["snr_db"])) == (codec, AWGN, "128", snr_db)
