"""`csi-lab sweep`: a grid of points, measured, tabled and drawn."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from shared.experiments.commands.printing import AsJson, command_line, console
from shared.experiments.sweep_words import has_other_length, is_analog, rate_in_words

if TYPE_CHECKING:
    from shared.experiments.sweep_plan import Plan, Row
    from shared.summary import Cell

MOST_ROWS = 40  # of the printed table; above, the highest SNR of each series alone


def sweep(
    file: Annotated[Path, typer.Argument(help="TOML file with the grid: docs/sweeps.md.")],
    out: Annotated[Path, typer.Option(help="Folder for points, tables, plots and manifest.")] = Path("out/sweep"),
    through: Annotated[
        Literal["process", "service"],
        typer.Option(help="process: in this one. service: csi-bs and csi-ue, as processes of their own."),
    ] = "process",
    matrix: Annotated[
        bool, typer.Option("--matrix", help="Train the codecs on each split of [train], test on each data set.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure every point of a grid; the same command goes on where an earlier one ended."""
    from shared.experiments.sweep import rows_of, run_sweep, simulate_series  # noqa: PLC0415  (keeps --help quick)
    from shared.experiments.sweep_file import read_sweep  # noqa: PLC0415
    from shared.experiments.sweep_matrix import train_models  # noqa: PLC0415
    from shared.experiments.sweep_plan import plan_sweep  # noqa: PLC0415
    from shared.experiments.sweep_service import through_service  # noqa: PLC0415

    wanted = read_sweep(file)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    interrupted, plan = False, None
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("plan", total=None)

        def training(name: str, done: int, total: int) -> None:
            bar.update(task, description=f"train {name}", completed=done, total=total)

        try:
            trained = train_models(wanted, out / "models", command_line(), training) if matrix else None
            plan = plan_sweep(wanted, through, trained.files if trained else None, trained.left_out if trained else ())
            total = len(plan.points)

            def progress(done: int, label: str) -> None:
                bar.update(task, description=label or "points", completed=done, total=total)

            missing = len(rows_of(plan, out)) < total
            with through_service(plan, out) if through == "service" and missing else nullcontext() as service:
                run_sweep(plan, out, service or simulate_series(wanted), progress)
        except KeyboardInterrupt:
            interrupted = True
    if plan is not None:
        rows = rows_of(plan, out)
        written = _write(plan, rows, out, matrix)
        if as_json:
            typer.echo((out / "sweep.json").read_text())
        else:
            _print(plan, rows, out, matrix)
            typer.echo("\n".join(str(path) for path in written))
    if plan is not None and not plan.points:
        typer.echo("csi-lab: nothing was measured: every combination of the grid was left out.", err=True)
        raise typer.Exit(1)
    if interrupted:
        state = f"{len(rows)} of {len(plan.points)} points are kept" if plan else "models that are finished are kept"
        typer.echo(f"csi-lab: interrupted; {state} in {out}. The same command goes on.", err=True)
        raise typer.Exit(130)


def _write(plan: "Plan", rows: "list[Row]", out: Path, matrix: bool) -> list[Path]:
    """Write tables and plots, and return their files."""
    from shared.experiments.sweep_matrix import matrix_rows, pictures  # noqa: PLC0415
    from shared.experiments.sweep_plots import plot_matrix, plot_sweep  # noqa: PLC0415
    from shared.experiments.sweep_results import write_csv, write_tables  # noqa: PLC0415

    written = write_tables(plan, rows, out, command_line())
    if not rows:
        return written
    written += plot_sweep(rows, out, one_panel=plan.file.channel_uses is not None)
    if matrix:
        write_csv(out / "matrix.csv", matrix_rows(plan, rows))
        written.append(out / "matrix.csv")
        for number, (title, cells) in enumerate(pictures(plan, rows).items(), start=1):
            path = out / ("matrix.png" if number == 1 else f"matrix-{number}.png")
            plot_matrix(cells, title, path)
            written.append(path)
    return written


def _print(plan: "Plan", rows: "list[Row]", out: Path, matrix: bool) -> None:
    from shared.experiments.sweep_matrix import pictures  # noqa: PLC0415

    best = max((float(str(row["snr_db"])) for row in rows), default=0.0)
    shown = rows if len(rows) <= MOST_ROWS else [row for row in rows if row["snr_db"] == best]
    for data in dict.fromkeys(row["data"] for row in shown):
        console.print(_table([row for row in shown if row["data"] == data]))
    if len(shown) < len(rows):
        typer.echo(f"At the highest SNR; all {len(rows)} points are in {out / 'sweep.csv'}.")
    for title, cells in pictures(plan, rows).items() if matrix and rows else ():
        console.print(_matrix_table(title, cells))
    reasons = [entry.reason for entry in plan.left_out]
    for reason in dict.fromkeys(reasons):
        typer.echo(f"left out, {reasons.count(reason)} combinations: {reason}")
    for entry in json.loads((out / "sweep.json").read_text())["bd_rate"]:
        if entry["bd_rate"] is not None and entry["snr_db"] == best:
            where = f"{entry['data']}, {entry['link']}, {entry['estimator']}, SNR {entry['snr_db']:g} dB"
            where += "" if entry["refinement"] == "never" else f", {entry['refinement']}"
            typer.echo(f"BD-rate of {entry['codec']} against {entry['reference']}: {entry['bd_rate']:+.1%} ({where})")
    _print_times(rows)


def _print_times(rows: "list[Row]") -> None:
    """Say where the time went; a service does not tell."""
    names = ("estimation_encoding_s", "link_s", "base_station_s")
    timed = [row for row in rows if "link_s" in row]
    if timed:
        ue_s, link_s, bs_s = (sum(float(str(row[name])) for row in timed) for name in names)
        typer.echo(
            f"time: estimation and encoding {ue_s:.1f} s, link {link_s:.1f} s "
            f"({link_s / (ue_s + link_s):.0%} of the UE's), base station {bs_s:.1f} s"
        )


def _table(rows: "list[Row]") -> Table:
    """Return a table of some points, at least one; what all have in common is its title."""
    shorter = any(has_other_length(row) for row in rows)
    keys = [_key(row, shorter) for row in rows]
    varying = [name for name in keys[0] if len({key[name] for key in keys}) > 1]
    title = ", ".join(text for name, text in keys[0].items() if name not in varying and text != "never")
    table = Table(title=title, box=SIMPLE, padding=0)
    for name in (*varying, "NMSE dB (95 %)", "SGCS", "BLER"):
        table.add_column(name, justify="left" if name in ("data", "codec", "link") else "right", overflow="fold")
    for key, row in zip(keys, rows, strict=True):
        mean, low, high = (row[f"nmse_{name}_db"] for name in ("mean", "ci95_low", "ci95_high"))
        margin = "" if low is None or high is None else f"\u00a0±\u00a0{(float(high) - float(low)) / 2:.2f}"
        nmse = _without_db(row) if mean is None else f"{mean:.2f}{margin}"
        table.add_row(*(key[name] for name in varying), nmse, f"{row['sgcs']:.3f}", _bler(row["bler_value"]))
    return table


def _key(row: "Row", shorter: bool) -> dict[str, str]:
    cnr = "" if row["cnr_db"] is None else f", CNR {row['cnr_db']:g} dB"
    return {
        "data": str(row["data"]),
        "codec": str(row["codec"]),
        "rate": rate_in_words(row, shorter),
        **({"mean bits": "-" if is_analog(row) else f"{row['info_bits_per_report']:.1f}"} if shorter else {}),
        "link": str(row["link"]),
        "estimate": f"{row['estimator']}{cnr}",
        "refinement": str(row["refinement"]),
        "SNR": f"{row['snr_db']:g} dB",
    }


def _matrix_table(title: str, cells: "list[Row]") -> Table:
    tested = list(dict.fromkeys(str(cell["data"]) for cell in cells))
    table = Table(title=f"NMSE in dB, {title}", box=SIMPLE)
    for name in ("codec", "rate", "trained on", *tested):
        table.add_column(name, justify="left" if name in ("codec", "trained on") else "right")
    lines: dict[tuple[str, str, str], dict[str, str]] = {}
    for cell in cells:
        value = cell["nmse_mean_db"]
        key = str(cell["family"]), str(cell["rate"]), str(cell["trained_on"])
        lines.setdefault(key, {})[str(cell["data"])] = _without_db(cell) if value is None else f"{value:.2f}"
    for key, values in lines.items():
        table.add_row(*key, *(values.get(name, "-") for name in tested))
    return table


def _without_db(row: "Row") -> str:
    """Return what stands for an NMSE without dB: of an exact reconstruction, or of a precoder, which has none."""
    return "-" if row["nmse_mean"] is None else "exact"


def _bler(value: "Cell") -> str:
    """Return a BLER with three digits, or a dash: symbols have no bits."""
    return "-" if value is None else f"{value:.3g}"
