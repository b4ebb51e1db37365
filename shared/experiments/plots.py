"""Plots of what a base station measured over the SNR of the feedback link."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from shared.links.digital import bpsk_bit_error_probability

Group = dict[str, Any]  # one group of `GET /v1/metrics/summary`


def plot_summary(groups: Sequence[Group], title: str, path: Path) -> None:
    """Draw NMSE, feedback BLER and downlink BLER over SNR, one line a codec and estimator, with 95 % intervals.

    Args:
        groups: Groups by codec, rate, SNR, estimator and CNR, as the REST API gives them.
        title: Title of the picture.
        path: PNG to write.
    """
    figure = Figure(figsize=(14, 4.4), layout="constrained")
    nmse_ax, bler_ax, downlink_ax = figure.subplots(1, 3)
    of_line: dict[tuple[str, str], list[Group]] = {}
    for group in sorted(groups, key=lambda group: (group["codec"], _estimation(group), group["snr_db"])):
        of_line.setdefault((group["codec"], _estimation(group)), []).append(group)
    several = len({estimation for _, estimation in of_line}) > 1
    styles = itertools.cycle(["o-", "s--", "^-.", "v:"])
    for ((codec, estimation), points), style in zip(of_line.items(), styles, strict=False):
        snr_db = np.array([point["snr_db"] for point in points])
        label = f"{codec}, {points[0]['rate']} bits" + (f", {estimation}" if several else "")
        nmse = [point["nmse"] for point in points]
        _line(nmse_ax, snr_db, [[n["mean_db"], n["ci95_low_db"], n["ci95_high_db"]] for n in nmse], label, style)
        seen = [point for point in points if point["bler"]["value"] > 0]  # a logarithmic axis has no zero
        bler = [[point["bler"][name] for name in ("value", "ci95_low", "ci95_high")] for point in seen]
        if seen:
            _line(
                bler_ax, np.array([point["snr_db"] for point in seen]), bler, label, style[0]
            )  # a chord would leave theory
        downlink = [point["downlink"][0] for point in points]
        scores = [[of["bler"][name] for name in ("value", "ci95_low", "ci95_high")] for of in downlink]
        _line(downlink_ax, snr_db, scores, label, style)
    grid = np.linspace(min(g["snr_db"] for g in groups), max(g["snr_db"] for g in groups), 200)
    for rate in sorted({group["rate"] for group in groups}):
        theory = 1 - (1 - bpsk_bit_error_probability(grid)) ** rate
        bler_ax.plot(grid, theory, "k-", linewidth=0.8, label=f"theory, uncoded BPSK: 1 - (1 - p)$^{{{rate}}}$")
    nmse_ax.set(xlabel="feedback SNR, Es/N0 (dB)", ylabel="NMSE (dB), mean of ratios")
    lowest = min((group["bler"]["value"] for group in groups if group["bler"]["value"] > 0), default=1e-3)
    bler_ax.set(xlabel="feedback SNR, Es/N0 (dB)", ylabel="feedback BLER", yscale="log", ylim=(lowest / 3, 1.5))
    of_downlink = groups[0]["downlink"][0]
    downlink_ax.set(
        xlabel="feedback SNR, Es/N0 (dB)",
        ylabel=f"downlink BLER at {of_downlink['snr_db']:g} dB, uncoded QPSK",
        yscale="log",
    )
    for ax in (nmse_ax, bler_ax, downlink_ax):
        ax.grid(visible=True, which="both", alpha=0.3)
        ax.legend(fontsize=8)
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def plot_joint_coding(groups_of: dict[str, list[Group]], title: str, path: Path) -> None:
    """Draw NMSE and downlink BLER over SNR, one line a way to send a report, with 95 % intervals.

    Args:
        groups_of: Name of a way -> its groups, one an SNR, as the REST API gives them.
        title: Title of the picture.
        path: PNG to write.
    """
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    nmse_ax, downlink_ax = figure.subplots(1, 2)
    styles = itertools.cycle(["o-", "s-", "^--", "v:", "d:"])
    for (name, groups), style in zip(groups_of.items(), styles, strict=False):
        points = sorted(groups, key=lambda group: float(group["snr_db"]))
        snr_db = np.array([point["snr_db"] for point in points])
        nmse = [[point["nmse"][end] for end in ("mean_db", "ci95_low_db", "ci95_high_db")] for point in points]
        bler = [[point["downlink"][0]["bler"][end] for end in ("value", "ci95_low", "ci95_high")] for point in points]
        _line(nmse_ax, snr_db, nmse, name, style)
        _line(downlink_ax, snr_db, bler, name, style)
    of_downlink = next(iter(groups_of.values()))[0]["downlink"][0]["snr_db"]
    label = "feedback SNR, Es/N0 per antenna (dB)"
    nmse_ax.set(xlabel=label, ylabel="NMSE (dB), mean of ratios")
    downlink_ax.set(xlabel=label, ylabel=f"downlink BLER at {of_downlink:g} dB, uncoded QPSK", yscale="log")
    for ax in (nmse_ax, downlink_ax):
        ax.grid(visible=True, which="both", alpha=0.3)
        ax.legend(fontsize=8)
    figure.suptitle(title)
    figure.savefig(path, dpi=130)


def plot_sgcs_over_bits(groups: Sequence[Group], title: str, path: Path) -> None:
    """Draw SGCS and spectral efficiency over the bits of a report, one line a codec, with 95 % intervals.

    Args:
        groups: Groups by codec and rate, as the REST API gives them.
        title: Title of the picture.
        path: PNG to write.
    """
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    sgcs_ax, efficiency_ax = figure.subplots(1, 2)
    of_codec: dict[str, list[Group]] = {}
    for group in sorted(groups, key=lambda group: float(group["info_bits_per_report"])):
        of_codec.setdefault(group["codec"], []).append(group)
    for (codec, points), style in zip(of_codec.items(), itertools.cycle(["o-", "s--", "^-.", "v:"]), strict=False):
        bits = np.array([point["info_bits_per_report"] for point in points])
        efficiency = [point["downlink"][0]["spectral_efficiency"] for point in points]
        sgcs = [[point[end] for end in ("sgcs", "sgcs_ci95_low", "sgcs_ci95_high")] for point in points]
        efficiency = [
            [point["downlink"][0]["spectral_efficiency"][end] for end in ("value", "ci95_low", "ci95_high")]
            for point in points
        ]
        _line(sgcs_ax, bits, sgcs, codec, style)
        _line(efficiency_ax, bits, efficiency, codec, style)
    perfect = groups[0]["downlink"][0]
    efficiency_ax.axhline(perfect["spectral_efficiency_perfect"], color="k", linewidth=0.8, label="perfect CSI")
    sgcs_ax.set(ylabel="SGCS, layer 1")
    efficiency_ax.set(ylabel=f"downlink at {perfect['snr_db']:g} dB, bit/s/Hz")
    for ax in (sgcs_ax, efficiency_ax):
        ax.set(xlabel="information bits of a report, mean")
        ax.grid(visible=True, which="both", alpha=0.3)
        ax.legend(fontsize=8)
    figure.suptitle(title)
    figure.savefig(path, dpi=130)


def _estimation(group: Group) -> str:
    """Say how the UE estimated its channel."""
    cnr_db = group["cnr_db"]
    return str(group["estimator"]) if cnr_db is None else f"{group['estimator']} at CNR {cnr_db:g} dB"


def _line(ax: Any, snr_db: np.ndarray, values: list[list[float]], label: str, style: str) -> None:
    value, low, high = np.array(values, dtype=np.float64).T
    error = [np.maximum(value - low, 0), np.maximum(high - value, 0)]
    ax.errorbar(snr_db, value, yerr=error, fmt=style, markersize=6, markerfacecolor="none", capsize=2, label=label)
