"""A picture of a channel beside its reconstruction."""

import io

import numpy as np
from matplotlib.figure import Figure

from bs_server.store import ReconstructionRow, ReportRow
from shared.metrics import to_db
from shared.types import Domain

RANGE_DB = 40  # of the colour scale, below the strongest entry


def draw(report: ReportRow, kept: ReconstructionRow, domain: Domain) -> bytes:
    """Return a PNG of |h| beside |h_hat| in dB, first receive antenna, on one colour scale.

    Args:
        report: For the title.
        kept: The channels.
        domain: For the axes.
    """
    panels = [("|ĥ| at the base station", kept.h_hat)]
    if kept.h is not None:
        panels.insert(0, ("|h|, the true channel", kept.h))
    powers = [10 * np.log10(np.maximum(np.abs(channel[0]) ** 2, 1e-12)) for _, channel in panels]
    top = float(powers[0].max())
    figure = Figure(figsize=(4.2 * len(panels) + 0.8, 4.2), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    x_label, y_label = ("delay tap", "angle") if domain == "angular-delay" else ("subcarrier", "BS antenna")
    for ax, (title, _), power in zip(axes, panels, powers, strict=True):
        image = ax.imshow(power, vmin=top - RANGE_DB, vmax=top, cmap="viridis", interpolation="nearest", aspect="auto")
        ax.set(title=title, xlabel=x_label, ylabel=y_label)
    figure.colorbar(image, ax=list(axes), label="dB, 0 = mean power of the channel")
    nmse_db = None if report.nmse is None else to_db(report.nmse)
    score = "" if nmse_db is None else f", NMSE {nmse_db:.1f} dB"
    wrong = "" if report.bit_errors is None else f", {report.bit_errors} wrong bits"
    size = f"{report.num_bits} bits" if report.num_bits else f"{report.rate} symbols"
    figure.suptitle(
        f"report {report.report_id}: {report.codec}, {size}, {report.snr_db:g} dB{score}{wrong}",
        fontsize=10,
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
