"""What `csi-ue load` does with its options: runs, shows, writes."""

import dataclasses
import importlib.util
import itertools
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from shared.errors import CsiError, InvalidArgumentError
from ue_client.config import Settings
from ue_client.load.arrivals import Arrivals, parse_arrivals
from ue_client.load.capacity import LEAST_FRAMES, LEAST_GOODPUT, TRIAL_OVER_BOUND, Criterion, find_capacity, first_rate
from ue_client.load.run import LoadOptions, LoadResult, LoadTest
from ue_client.load.tally import Tally
from ue_client.load.worker import SessionSpec
from ue_client.printing import print_fields, print_whole, progress_bar, say_smaller_frames

MAX_WEIGHT = 1000
LISTS = ("sessions", "seconds", "latency_ms", "batch_sizes")  # of a result; in JSON and pictures, not in the table


def sessions_of(
    codecs: tuple[str, ...], rates: list[int] | None, snrs_db: tuple[float, ...], weights: tuple[int, ...]
) -> tuple[SessionSpec, ...]:
    """Return the sessions: they take codecs, then rates, then SNRs in turn.

    Example:
        >>> [(s.codec, s.rate, s.snr_db) for s in sessions_of(("klt", "csinet"), [128], (0.0,), (1, 1, 1))]
        [('klt', 128, 0.0), ('csinet', 128, 0.0), ('klt', 128, 0.0)]

    Raises:
        InvalidArgumentError: If there are fewer sessions than kinds of them.
    """
    kinds = [(codec, rate, snr) for snr, rate, codec in itertools.product(snrs_db, rates or (None,), codecs)]
    if len(weights) < len(kinds):
        found = f"{len(codecs)} x {len(rates or (None,))} x {len(snrs_db)}, and {len(weights)} sessions"
        raise InvalidArgumentError(f"`num_sessions` must be at least codecs x rates x SNRs; got {found}.")
    return tuple(SessionSpec(*kinds[number % len(kinds)], weight) for number, weight in enumerate(weights))


def parse_weights(text: str, num_sessions: int) -> tuple[int, ...]:
    """Return a weight a session; the last of ``10,1`` stands for all others.

    Raises:
        InvalidArgumentError: If they are no weights, or too many.

    Example:
        >>> parse_weights("10,1", 4)
        (10, 1, 1, 1)
    """
    parts = text.split(",") if text else ["1"]
    if not all(part.isdecimal() and 1 <= int(part) <= MAX_WEIGHT for part in parts) or len(parts) > num_sessions:
        wanted = f"whole numbers from 1 to {MAX_WEIGHT}, at most `num_sessions`, {num_sessions}, of them"
        raise InvalidArgumentError(f"`weights` must be {wanted}; got {text!r}.")
    return tuple(int(part) for part in parts + parts[-1:] * (num_sessions - len(parts)))


def run_load(
    settings: Settings, options: LoadOptions, arrivals: str, p99_ms: float | None, out: Path | None, as_json: bool
) -> None:
    """Run a load test, or search a capacity; print and write what came of it.

    Args:
        settings: What all sessions share.
        options: Sessions, processes, times.
        arrivals: Label.
        p99_ms: Bound of the search; None for one load test.
        out: Folder; None to write nothing.
        as_json: Print JSON instead of a table.

    Raises:
        CsiError: If the options do not go together, the base station goes away, or it refused reports that were to be
            sent again.
    """
    asked = parse_arrivals(arrivals)
    if p99_ms is not None:
        _require_search(asked, p99_ms, options)
    if len({spec.weight for spec in options.sessions}) > 1 and not asked.is_open and p99_ms is None:
        raise InvalidArgumentError("`weights` must be left out with closed arrivals: each session sends as it can.")
    if options.hold_back and not asked.is_open and p99_ms is None:
        raise InvalidArgumentError("`hold_back` must be left out with closed arrivals: nothing is due by itself.")
    if out is not None:
        _require_matplotlib()
        _make_folder(out)
    with LoadTest(settings, options) as test:
        if test.reports_per_frame < settings.reports_per_frame:
            say_smaller_frames(settings.reports_per_frame, test.reports_per_frame)
        if p99_ms is not None:
            _capacity(test, asked, p99_ms, out, as_json)
            return
        with progress_bar() as bar:
            task = bar.add_task("reports", total=None)

            def progress(count: int, tally: Tally) -> None:
                told = f"{tally.stored / max(tally.last_s, 1e-9):,.0f} reports/s, p99 {tally.latency.ms(99.0)} ms"
                bar.update(task, advance=count, description=told)

            result = test.run(asked, progress)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(result), indent=2))
    else:
        _print(result)
    if out is not None:
        from ue_client.load.picture import draw_over_time  # noqa: PLC0415  (Matplotlib is an extra)

        _write(out, dataclasses.asdict(result), partial(draw_over_time, result), "over_time.png", as_json)
    if options.retries and result.num_refused:
        raise CsiError(f"{result.num_refused} reports were refused for good.")


def _require_search(asked: Arrivals, p99_ms: float, options: LoadOptions) -> None:
    """Refuse arrivals without one rate, and trials too short to see a load that is too much."""
    if asked.is_open and (
        asked.kind not in ("constant", "poisson") or asked.rate is None or len(asked.rate.values) > 1
    ):
        raise InvalidArgumentError(f"`arrivals` must be constant or poisson of one rate here; got {asked.label!r}.")
    least_s = TRIAL_OVER_BOUND * p99_ms / 1000
    if options.duration_s < least_s:
        wanted = f"at least {TRIAL_OVER_BOUND} times `p99_ms`, {least_s:g} s"
        raise InvalidArgumentError(f"`duration_s` of --find-capacity must be {wanted}; got {options.duration_s:g}.")


def _require_matplotlib() -> None:
    if importlib.util.find_spec("matplotlib") is None:
        raise InvalidArgumentError("`out` must be left out without Matplotlib: pip install 'csilink[lab]'.")


def _capacity(test: LoadTest, asked: Arrivals, p99_ms: float, out: Path | None, as_json: bool) -> None:
    """Search, with a line a trial."""
    said = {"stored": f"less than {LEAST_GOODPUT:.0%} stored", "p99": f"p99 over {p99_ms:g} ms"}

    def told(result: LoadResult, missed: tuple[Criterion, ...]) -> None:
        verdict = f"not carried ({', '.join(said[name] for name in missed)})" if missed else "carried"
        rates = f"{result.offered_reports_per_s:,.0f} reports/s offered, {result.reports_per_s:,.0f} stored"
        of = f"{_refusals(result)}, p99 {result.p99_ms} ms, late by {result.lateness_p99_ms} ms"
        typer.echo(f"{result.arrivals}: {rates}, {of}: {verdict}", err=True)

    first = asked if asked.is_open else parse_arrivals(f"poisson:{first_rate(test):g}")
    capacity = find_capacity(test, first, p99_ms, told)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(capacity), indent=2))
    else:
        found = "none" if capacity.reports_per_s is None else f"{capacity.reports_per_s:,.0f} reports/s"
        print_fields("Capacity", {"reports/s": found, "p99 at most, ms": f"{p99_ms:g}", "trials": len(capacity.trials)})
    if capacity.reports_per_s is None:
        least = f"{test.rate_of(LEAST_FRAMES):,.0f} reports/s"
        why = f"a trial of less than {least} has fewer than {LEAST_FRAMES} frames"
        typer.echo(f"none found: {why}; take a longer --duration-s or smaller --reports-per-frame", err=True)
    if capacity.limited_by_sender:
        why = "limited by this machine, which was late with sending"
        typer.echo(f"{why}: take more --processes, or another machine", err=True)
    if out is not None:
        from ue_client.load.picture import draw_over_rate  # noqa: PLC0415

        _write(out, dataclasses.asdict(capacity), partial(draw_over_rate, capacity), "over_rate.png", as_json)


def _make_folder(out: Path) -> None:
    """Make the folder before the test, whose figures would be lost.

    Raises:
        InvalidArgumentError: If it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidArgumentError(f"`out` must be a folder, or one that can be made; got {out}: {error}.") from None


def _write(out: Path, result: dict[str, Any], draw: Callable[[Path], None], picture: str, as_json: bool) -> None:
    (out / "load.json").write_text(json.dumps(result, indent=2) + "\n")
    draw(out / picture)
    if not as_json:
        typer.echo(f"file {out / 'load.json'}\nplot {out / picture}")


def _refusals(result: LoadResult) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in result.refusals.items()) or "none refused"


def _print(result: LoadResult) -> None:
    """Print the figures, and a line a kind of session where they differ."""
    fields = {name: value for name, value in dataclasses.asdict(result).items() if name not in LISTS}
    fields["codecs"] = ", ".join(result.codecs)
    fields["refusals"] = _refusals(result)
    print_fields("Load", {name: value for name, value in fields.items() if value is not None})
    if len({(one["codec"], one["rate"], one["snr_db"], one["weight"]) for one in result.sessions}) == 1:
        return
    table = Table(title="Sessions", box=SIMPLE, padding=0)
    held_back = ("held_back",) if result.hold_back else ()
    names = ("codec", "rate", "snr_db", "weight", "offered", "stored", *held_back, "p50_ms", "p99_ms")
    for name in names:
        table.add_column(name, justify="left" if name == "codec" else "right", no_wrap=True)
    for one in result.sessions:
        table.add_row(*("-" if one[name] is None else Text(str(one[name])) for name in names))
    print_whole(table)
