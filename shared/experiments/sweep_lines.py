"""Panels of lines with error bars, as the pictures of a sweep have them.

A line is named by what differs in the picture alone. Where there would be more than `MOST_LINES` in a panel,
estimators, then links, then rates get panels of their own, one below the other, `MOST_BLOCKS` to a picture.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from shared.summary import Cell

Row = dict[str, Cell]
DIMENSIONS = ("model", "bits", "link", "estimation", "refining", "downlink")  # columns that name a line or a panel
BY_LENGTH = ("info_bits_per_report", "channel_uses_per_report")  # abscissas that say how long a report is
FACETS = ("estimation", "link", "bits")  # the order in which they get panels of their own
MOST_LINES = 8  # of a panel: more are not told apart
MOST_BLOCKS = 4  # panels one below the other
MOST_TICKS = 12  # of an abscissa, at what was measured
MARKERS = "osD^vPX*"
DASHES = ("-", "--", "-.", ":")
LOWEST = 1e-5  # of a logarithmic axis: below, hardly a number of reports says anything


@dataclass(frozen=True, slots=True)
class Panel:
    """What a column of panels shows.

    Attributes:
        label: Of the ordinate.
        value: Column of the value.
        low: Column of the lower end of its 95 % interval.
        high: Column of the upper end.
        scale: Of the ordinate; a logarithmic one has no zero, so zeros are left out.
        perfect: Column of the value with perfect CSI, drawn as one line more; "" for none.
    """

    label: str
    value: str
    low: str
    high: str
    scale: Literal["linear", "log"] = "linear"
    perfect: str = ""


@dataclass(frozen=True, slots=True)
class Abscissa:
    """What the panels are over: a column of the rows, and its label."""

    column: str
    label: str


def plot_lines(
    rows: Sequence[Row],
    x: Abscissa,
    panels: Sequence[Panel],
    title: str,
    path: Path,
    facets: tuple[str, ...] = (),
    *,
    split: bool = True,
) -> list[Path]:
    """Draw one row of panels for each value of the facets, one line for each combination of the rest.

    Args:
        rows: At least one, with the `DIMENSIONS` that there are.
        x: Abscissa.
        panels: Side by side.
        title: Title; what all rows have in common is added.
        path: .png to write, an .svg beside it; further pictures get a number.
        facets: `DIMENSIONS` that get panels of their own in any case.
        split: Whether `FACETS` do where there would be too many lines.

    Returns:
        The .png files.
    """
    names = [name for name in DIMENSIONS if name in rows[0] and not (name == "bits" and x.column in BY_LENGTH)]
    varying = [name for name in names if len({row[name] for row in rows}) > 1]
    facets = tuple(name for name in facets if name in varying)
    for name in FACETS if split else ():
        in_panel = [key for key in varying if key not in facets]
        if name in in_panel and len({_words(row, in_panel) for row in rows}) > MOST_LINES:
            facets = (*facets, name)
    in_panel = [key for key in varying if key not in facets]
    lines = list(dict.fromkeys(_words(row, in_panel) for row in rows))
    blocks = list(dict.fromkeys(_words(row, facets) for row in rows))
    title = ", ".join([title, *(str(rows[0][name]) for name in names if name not in varying)])
    written = []
    for page in range(-(-len(blocks) // MOST_BLOCKS)):
        shown = blocks[page * MOST_BLOCKS : (page + 1) * MOST_BLOCKS]
        of_block = [[row for row in rows if _words(row, facets) == block] for block in shown]
        by_line = [
            {line: [row for row in of_one if _words(row, in_panel) == line] for line in lines} for of_one in of_block
        ]
        file = path if page == 0 else path.with_stem(f"{path.stem}-{page + 1}")
        save(_picture(shown, by_line, x, panels, title), file)
        written.append(file)
    return written


def save(figure: Figure, path: Path) -> None:
    """Write a picture as .png, and as .svg beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("png", "svg"):
        figure.savefig(path.with_name(f"{path.stem}.{suffix}"), dpi=140)


def _picture(
    blocks: Sequence[str], by_line: list[dict[str, list[Row]]], x: Abscissa, panels: Sequence[Panel], title: str
) -> Figure:
    labels = list(by_line[0])
    num_columns = max(1, min(4, 55 * len(panels) // (max(map(len, labels)) + 8)))
    legend_height = 0.22 * math.ceil((len(labels) + 1) / num_columns)
    height = 3.3 * len(blocks) + 0.8 + legend_height
    figure = Figure(figsize=(5.2 * len(panels) + 0.4, height), layout="constrained")
    axes = figure.subplots(len(blocks), len(panels), squeeze=False, sharex=True, sharey="col")
    for block, lines, row_of_axes in zip(blocks, by_line, axes, strict=True):
        for panel, ax in zip(panels, row_of_axes, strict=True):
            for index, (label, rows) in enumerate(lines.items()):
                _line(ax, x.column, panel, rows, index, label)
            every = [row for rows in lines.values() for row in rows]
            _finish(ax, x.column, panel, every)
        row_of_axes[0].set_title(block, loc="left", fontsize=10)
    for ax in axes[-1]:
        ax.set_xlabel(x.label)
    everything = [row for lines in by_line for rows in lines.values() for row in rows]
    for panel, ax in zip(panels, axes[0], strict=True):
        if panel.scale == "log":  # where the values are, not where the interval of a rare event ends
            values = [value for row in everything if (value := number(row[panel.value])) > 0]
            ax.set_ylim(max(min(values, default=0.1) / 3, LOWEST), 1.5)
    handles = {label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    shown = [label for label in (*labels, "perfect CSI") if label and label in handles]
    if shown:
        ordered = [handles[label] for label in shown]
        figure.legend(ordered, shown, loc="outside lower center", ncols=num_columns, fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure


def _line(ax: Any, x: str, panel: Panel, rows: Sequence[Row], index: int, label: str) -> None:
    """Draw a line with error bars; an end that is not known has none."""
    points = [
        (number(row[x]), value, *(value if row[end] is None else number(row[end]) for end in (panel.low, panel.high)))
        for row in rows
        if (value := number(row[panel.value])) > (0 if panel.scale == "log" else -math.inf)
    ]
    if not points:
        return
    at, value, low, high = np.array(sorted(points)).T
    ax.errorbar(
        at,
        value,
        yerr=np.maximum([value - low, high - value], 0),
        color=f"C{index % 10}",
        marker=MARKERS[index % len(MARKERS)],
        linestyle=DASHES[index % len(DASHES)],
        markersize=5,
        markerfacecolor="none",
        linewidth=1.3,
        elinewidth=0.9,
        capsize=2.5,
        label=label,
    )


def _finish(ax: Any, x: str, panel: Panel, rows: Sequence[Row]) -> None:
    """Add perfect CSI, which is the same for every line, axes and grid."""
    if panel.perfect:
        points = sorted({number(row[x]): number(row[panel.perfect]) for row in rows}.items())
        alone = "_" if len(points) == 1 else ""
        ax.plot(*zip(*points, strict=True), f"k{alone}", linewidth=1, linestyle=(0, (1, 1)), label="perfect CSI")
    if panel.scale == "log" and not any(number(row[panel.value]) > 0 for row in rows):
        said = "no bits" if all(row[panel.value] is None for row in rows) else "none seen"
        ax.text(0.5, 0.5, said, transform=ax.transAxes, ha="center", va="center", color="gray")
    ax.set(ylabel=panel.label, yscale=panel.scale)
    ax.grid(visible=True, which="major", alpha=0.35)
    if x in BY_LENGTH:
        ax.set_xscale("log", base=2)
        ax.xaxis.set_minor_locator(NullLocator())
    measured = sorted({number(row[x]) for row in rows})
    if len(measured) <= MOST_TICKS and all(map(float.is_integer, measured)):  # not so the mean of several lengths
        ax.xaxis.set_major_locator(FixedLocator(measured))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def number(cell: Cell) -> float:
    """Return a cell as a number; NaN where it is empty."""
    return math.nan if cell is None else float(cell)


def _words(row: Row, names: Sequence[str]) -> str:
    return ", ".join(str(row[name]) for name in names)
