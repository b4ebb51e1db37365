"""Pictures of a load test."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from ue_client.load.capacity import Capacity
from ue_client.load.run import LoadResult

PERCENTILES = {"p50_ms": "p50", "p99_ms": "p99", "p99_9_ms": "p99.9"}


def draw_over_time(result: LoadResult, path: Path) -> None:
    """Draw what was offered, stored and refused, and the latency, each second; and the latency's distribution.

    Args:
        result: The load test.
        path: PNG to write.
    """
    figure = Figure(figsize=(15, 4), layout="constrained")
    rate, latency, distribution = figure.subplots(1, 3)
    of_seconds = [row for row in result.seconds if row["second"] + 1 <= round(result.duration_s, 1)] or result.seconds
    seconds = [row["second"] + 0.5 for row in of_seconds]  # whole ones: of the last, a part would look like a fall
    time = {"xlabel": "time (s)", "xlim": (0, seconds[-1] + 0.5)}
    refused = "refused, or held back" if result.hold_back else "refused"
    labels = {"offered": "offered", "stored": "stored", "refused": refused, "held_back": "held back"}
    for key, label in labels.items():
        if key == "stored" or any(row[key] for row in of_seconds):
            rate.plot(seconds, [row[key] for row in of_seconds], ".-", label=label)
    rate.set(ylabel="reports/s", ylim=(0, None), **time)
    for key in ("p50_ms", "p99_ms"):
        latency.plot(seconds, [row[key] for row in of_seconds], ".-", label=PERCENTILES[key])
    latency.set(ylabel="latency from due time (ms)", ylim=(0, None), **time)
    tail = [(1 / (1 - percentile / 100), ms) for percentile, ms in result.latency_ms if percentile < 100]
    distribution.plot([x for x, _ in tail], [ms for _, ms in tail])
    distribution.set(xlabel="percentile", ylabel="latency from due time (ms)", xscale="log", yscale="log")
    _label_plainly(distribution.yaxis)
    ticks = {1: "0", 2: "50", 10: "90", 100: "99", 1000: "99.9", 10_000: "99.99"}
    distribution.set_xticks(list(ticks), list(ticks.values()), minor=False)
    distribution.set_xlim(1, max(10.0, *(x for x, _ in tail)))
    obeying = ", retry delay obeyed" if result.hold_back else ""
    _finish(figure, (rate, latency), path, f"{result.arrivals}, {', '.join(result.codecs)}{obeying}")


def draw_over_rate(capacity: Capacity, path: Path) -> None:
    """Draw latency and goodput over the offered load.

    Args:
        capacity: What was found.
        path: PNG to write.
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    latency, goodput = figure.subplots(1, 2)
    trials = sorted(capacity.trials, key=lambda trial: trial.offered_reports_per_s)
    offered = [trial.offered_reports_per_s for trial in trials]
    for key, label in PERCENTILES.items():
        latency.plot(offered, [getattr(trial, key) for trial in trials], "o-", label=label)
    latency.axhline(capacity.p99_ms, color="grey", linestyle=":", label="bound on p99")
    latency.set(xlabel="offered (reports/s)", ylabel="latency from due time (ms)", xscale="log", yscale="log")
    goodput.plot(offered, [trial.reports_per_s for trial in trials], "o-", label="stored")
    goodput.plot(offered, offered, ":", color="grey", label="offered")
    goodput.set(xlabel="offered (reports/s)", ylabel="goodput (reports/s)", xscale="log", yscale="log")
    for axis in (latency.xaxis, latency.yaxis, goodput.xaxis, goodput.yaxis):
        _label_plainly(axis)
    found = "none" if capacity.reports_per_s is None else f"{capacity.reports_per_s:,.0f} reports/s"
    title = f"{', '.join(trials[0].codecs)}: capacity {found}, p99 <= {capacity.p99_ms:g} ms"
    _finish(figure, (latency, goodput), path, title)


def _label_plainly(axis: Axis) -> None:
    """Have a logarithmic axis say 60, and not 6 times a power of ten, where that is short."""
    axis.set_major_formatter(LogFormatter())
    axis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))


def _finish(figure: Figure, axes: Sequence[Axes], path: Path, title: str) -> None:
    for ax in figure.axes:
        ax.grid(visible=True, which="both", alpha=0.3)
    for ax in axes:
        ax.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
