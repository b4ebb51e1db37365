"""The pictures of a sweep, PNG and SVG: over SNR, over rate, the downlink, and the matrix of training and test data."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from shared.experiments.sweep_lines import Abscissa, Panel, Row, number, plot_lines, save
from shared.experiments.sweep_words import has_other_length, is_analog, rate_in_words

SNR = Abscissa("snr_db", "feedback SNR, Es/N0 (dB)")
RATE = Abscissa("info_bits_per_report", "information bits of a report")
CHANNEL_USES = Abscissa("channel_uses_per_report", "channel uses of a report")  # where there are symbols beside bits
NMSE = Panel("NMSE (dB)", "nmse_mean_db", "nmse_ci95_low_db", "nmse_ci95_high_db")
SGCS = Panel("SGCS", "sgcs", "sgcs_ci95_low", "sgcs_ci95_high")
BLER = Panel("feedback BLER", "bler_value", "bler_ci95_low", "bler_ci95_high", "log")


def _of_downlink(label: str, name: str, scale: Literal["linear", "log"]) -> Panel:
    return Panel(label, f"{name}_value", f"{name}_ci95_low", f"{name}_ci95_high", scale, f"{name}_perfect")


DOWNLINK = (
    _of_downlink("downlink BLER", "bler", "log"),
    _of_downlink("spectral efficiency (bit/s/Hz)", "spectral_efficiency", "linear"),
)
_NAME = re.compile(r"(?P<begin>downlink_(?P<snr_db>[^_]+)db(_(?P<num_ue>\d+)ue)?(_mcs(?P<mcs>\d+))?_)num_reports")
CODED = _of_downlink("coded downlink BLER", "bler_coded", "log")


def plot_sweep(rows: Sequence[Row], folder: Path, *, one_panel: bool = False) -> list[Path]:
    """Draw what there is to draw, one picture a data set and kind.

    Args:
        rows: Rows of a sweep.
        folder: Where ``snr-DATA``, ``rate-DATA`` and ``downlink-DATA`` go, .png and .svg each.
        one_panel: Whether links and rates share a panel however many they are: a sweep at equal channel uses.

    Returns:
        The .png files.
    """
    written = []
    for data in dict.fromkeys(str(row["data"]) for row in rows):
        of_data = _described([row for row in rows if row["data"] == data])
        split = not one_panel
        quality = _quality(of_data)
        x = CHANNEL_USES if any(map(is_analog, of_data)) else RATE
        over_snr = len({row["snr_db"] for row in of_data}) > 1
        over_rate = len({row[x.column] for row in of_data}) > 1
        if over_snr or not over_rate:
            written += plot_lines(of_data, SNR, (*quality, BLER), data, folder / f"snr-{data}.png", split=split)
        if over_rate:
            best = max(number(row["snr_db"]) for row in of_data)
            at_best = [row for row in of_data if row["snr_db"] == best]
            title, path = f"{data}, SNR {best:g} dB", folder / f"rate-{data}.png"
            written += plot_lines(at_best, x, quality, title, path, split=split)
        downlink = [one for row in of_data for one in _by_downlink(row)]
        if downlink:
            coded = any(row.get("bler_coded_value") is not None for row in downlink)
            panels = (*DOWNLINK, CODED) if coded else DOWNLINK
            over = SNR if over_snr or not over_rate else x
            path = folder / f"downlink-{data}.png"
            written += plot_lines(downlink, over, panels, data, path, ("downlink",), split=split)
    return written


def _quality(rows: Sequence[Row]) -> tuple[Panel, ...]:
    """Return what shows how good the CSI is: the NMSE; beside precoders, which have none, the SGCS of all."""
    without = sum(row["nmse_mean_db"] is None and row["sgcs"] is not None for row in rows)
    return (NMSE,) if not without else (SGCS,) if without == len(rows) else (NMSE, SGCS)


def plot_matrix(cells: Sequence[Row], title: str, path: Path) -> None:
    """Draw heat maps of the NMSE: rows by training data, columns by test data; one a codec and rate.

    Args:
        cells: Rows with ``family``, ``rate``, ``trained_on``, ``data`` and ``nmse_mean_db``.
        title: Title of the picture.
        path: .png to write; an .svg goes beside it.
    """
    families, rates, trained, tested = (
        list(dict.fromkeys(cell[name] for cell in cells)) for name in ("family", "rate", "trained_on", "data")
    )
    values = np.full((len(families), len(rates), len(trained), len(tested)), np.nan)
    for cell in cells:
        at = families.index(cell["family"]), rates.index(cell["rate"]), trained.index(cell["trained_on"])
        values[(*at, tested.index(cell["data"]))] = number(cell["nmse_mean_db"])
    known = values[~np.isnan(values)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
    name_width = 0.075 * max(len(str(name)) for name in trained)
    width = 2.2 + name_width + len(rates) * (0.3 + max(1.0 * len(tested), 1.6))
    height = 1.9 + len(families) * (0.6 + max(0.55 * len(trained), 1.0))
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(len(families), len(rates), squeeze=False, sharex=True, sharey=True)
    for (i, j), ax in np.ndenumerate(axes):
        image = ax.imshow(values[i, j], cmap="viridis", vmin=low, vmax=high, aspect="auto")
        ax.set_title(f"{families[i]}, {rates[j]} bits", fontsize=10)
        ax.set_xticks(range(len(tested)), tested, rotation=25, ha="right", rotation_mode="anchor", fontsize=9)
        ax.set_yticks(range(len(trained)), trained, fontsize=9)
        for (row, column), value in np.ndenumerate(values[i, j]):
            text, dark = ("-", False) if np.isnan(value) else (f"{value:.2f}", value < (low + high) / 2)
            ax.text(column, row, text, ha="center", va="center", fontsize=9, color="white" if dark else "black")
    figure.colorbar(image, ax=axes, label="NMSE (dB)")
    figure.supxlabel("tested on", fontsize=10)
    figure.supylabel("trained on", fontsize=10)
    figure.suptitle(title, fontsize=11)
    save(figure, path)


def _described(rows: Sequence[Row]) -> list[Row]:
    """Add the words of a legend; of the refinement only where something is refined."""
    refined = any(row["refinement"] != "never" for row in rows)
    shorter = any(has_other_length(row) for row in rows)
    described = []
    for row in rows:
        estimation = f"{row['estimator']} estimate"
        if row["cnr_db"] is not None:
            estimation += f", CNR {row['cnr_db']:g} dB"
        words: Row = {"model": row["codec"], "bits": rate_in_words(row, shorter), "estimation": estimation}
        if refined:
            words["refining"] = "not refined" if row["refinement"] == "never" else f"refined {row['refinement']}"
        described.append({**row, **words})
    return described


def _by_downlink(row: Row) -> list[Row]:
    """Return the row once for each downlink, with the columns of that one in the place of the feedback's."""
    found = [match for name in row if (match := _NAME.fullmatch(name))]
    return [
        {
            **{name: value for name, value in row.items() if not name.startswith("downlink_")},
            **{name.removeprefix(begin): value for name, value in row.items() if name.startswith(begin)},
            "downlink": ", ".join(
                [
                    f"downlink SNR {match['snr_db']} dB",
                    *([f"{match['num_ue']} UEs"] if match["num_ue"] else []),
                    *([f"MCS {match['mcs']}"] if match["mcs"] else []),
                ]
            ),
        }
        for match in found
        for begin in (match["begin"],)
    ]
