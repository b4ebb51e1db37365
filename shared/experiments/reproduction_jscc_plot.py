"""The picture of `docs/reproduction.md` on RD-JSCC: NMSE and downlink BLER over the uplink SNR, from the two sweeps.

hard.csv, easy.csv -> docs/images/rd_jscc.png; separate coding is one line a codec: at each SNR its best rate
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

Row = Mapping[str, str]

MEASURES = (("nmse_mean_db", "NMSE (dB), mean of ratios"), ("downlink_10db_bler_value", "downlink BLER at 10 dB"))
SEPARATE = "{}, bits: best rate and modulation"


def plot_jscc(rows_of: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draw one column a channel.

    Args:
        rows_of: Title of a channel -> rows of its sweep, all of as many channel uses.
        path: PNG to write.
    """
    figure = Figure(figsize=(13, 10), layout="constrained")
    axes = figure.subplots(2, len(rows_of), squeeze=False)
    for column, (title, rows) in enumerate(rows_of.items()):
        for line, (measure, label) in enumerate(MEASURES):
            ax, styles = axes[line][column], itertools.cycle(["o-", "s--", "^-.", "v:", "d-", "x--", "+-."])
            for (name, values), style in zip(lines_of(rows, measure).items(), styles, strict=False):
                ax.plot(*zip(*sorted(values.items()), strict=True), style, markerfacecolor="none", label=name)
            ax.set(title=title if line == 0 else "", xlabel="uplink SNR, Es/N0 per antenna (dB)", ylabel=label)
            ax.set_yscale("linear" if measure.endswith("_db") else "log")
            ax.grid(visible=True, which="both", alpha=0.3)
        axes[-1][column].legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def lines_of(rows: Sequence[Row], measure: str) -> dict[str, dict[float, float]]:
    """Return name -> SNR -> value; of separate coding the least over rates and modulations.

    Example:
        >>> row = {"codec": "csinet", "link": "digital:soft", "refinement": "never", "snr_db": "5"}
        >>> lines_of([row | {"x": "3"}, row | {"x": "2"}], "x")
        {'csinet, bits: best rate and modulation': {5.0: 2.0}}
    """
    lines: dict[str, dict[float, float]] = {}
    for row in rows:
        if not row[measure]:
            continue
        refinement = "" if row["refinement"] == "never" else f", {row['refinement']}"
        name = row["codec"] + refinement if row["link"].startswith("analog") else SEPARATE.format(row["codec"])
        line, snr_db, value = lines.setdefault(name, {}), float(row["snr_db"]), float(row[measure])
        line[snr_db] = min(value, line.get(snr_db, value))
    return lines
