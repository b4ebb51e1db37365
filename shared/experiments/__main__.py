"""`csi-lab`: data sets, codecs, training and the demo, without a running service."""

import json
import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

# Before torch is imported: spinning OpenMP threads starve whoever shares the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import typer
from rich.box import SIMPLE
from rich.table import Table

from shared.errors import CsiError
from shared.experiments.commands import (
    codecs,
    data,
    inr,
    refiners,
    reproduce,
    sweep,
    train,
    train_csi_inr,
    train_inric,
    train_inric_start,
    train_invertible,
    train_refiner,
)
from shared.experiments.commands.printing import AsJson, console
from shared.version import Version

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False, rich_markup_mode=None
)
app.add_typer(data.app, name="data")
app.add_typer(codecs.app, name="codecs")
app.add_typer(refiners.app, name="refiners")
app.add_typer(reproduce.app, name="reproduce")
app.command("train")(train.train)
app.command("train-csi-inr")(train_csi_inr.train_csi_inr)
app.command("train-invertible")(train_invertible.train_invertible)
app.command("train-refiner")(train_refiner.train_refiner)
app.command("train-inric")(train_inric.train_inric)
app.command("train-inric-start")(train_inric_start.train_inric_start)
app.command("inr")(inr.inr)
app.command("sweep")(sweep.sweep)


@app.callback()
def root(version: Version = False) -> None:
    """Data sets, codecs, training and the demo, without a running service."""


class Baselines(StrEnum):
    """What the demo holds its codecs against, besides."""

    NONE = "none"
    STANDARD = "standard"


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for database, logs, plot and summary.")] = Path("out/demo"),
    num_reports: Annotated[int, typer.Option(min=1, help="Reports for each codec and SNR.")] = 1000,
    rate: Annotated[int, typer.Option(min=32, max=1024, help="Information bits of a report.")] = 128,
    snr_db: Annotated[str, typer.Option(help="Es/N0 of the feedback link, as `csi-ue run` takes it.")] = "-5:15:2",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the base station running.")] = False,
    baselines: Annotated[
        Baselines, typer.Option(help="standard: the codebooks of 5G (Type I, enhanced Type II) over bits, besides.")
    ] = Baselines.NONE,
    as_json: AsJson = False,
) -> None:
    """Run a base station and a UE as two processes, ask the summary over REST, print and plot it."""
    from shared.experiments.demo import run_demo  # noqa: PLC0415

    result = run_demo(out.resolve(), num_reports, rate, snr_db, keep, baselines is Baselines.STANDARD)
    if as_json:
        typer.echo(json.dumps(result.groups, indent=2))
    else:
        _print_groups(result.groups)
        _print_joint_coding(result.joint)
        if result.standard:
            _print_standard(result.standard)
    further = f", {out / 'standard.png'}" if result.standard else ""
    typer.echo(
        f"plots {out / 'nmse_bler.png'}, {out / 'joint_coding.png'}{further}, summary {out / 'summary.json'}, "
        f"logs {out / 'bs.log'}, {out / 'ue.json'}"
    )
    if result.still_running:
        typer.echo(result.still_running)


def _print_joint_coding(groups_of: dict[str, list[dict[str, Any]]]) -> None:
    from shared.experiments.demo_joint_coding import NUM_SYMBOLS, rows_of  # noqa: PLC0415

    columns, rows = rows_of(groups_of)
    title = f"NMSE in dB over feedback SNR, {NUM_SYMBOLS} uplink symbols a report"
    table = Table(title=title, box=SIMPLE, padding=0)
    for name in ("way", *columns):
        table.add_column(name, justify="left" if name == "way" else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _print_standard(groups: list[dict[str, Any]]) -> None:
    from shared.experiments.demo_standard import rows_of  # noqa: PLC0415

    table = Table(title="The standard's codebooks beside others, ideal link", box=SIMPLE, padding=0)
    for name in ("codec", "bits", "SGCS", "bit/s/Hz", "NMSE dB"):
        table.add_column(name, justify="left" if name == "codec" else "right", no_wrap=True)
    for row in rows_of(groups):
        table.add_row(*row)
    console.print(table)


def _print_groups(groups: list[dict[str, Any]]) -> None:
    downlink_snr_db = groups[0]["downlink"][0]["snr_db"]
    perfect = groups[0]["downlink"][0]["spectral_efficiency_perfect"]
    table = Table(title="GET /v1/metrics/summary", box=SIMPLE, padding=0)
    for name in ("codec", "bits", "SNR dB", "NMSE dB (95 %)", "SGCS", "BER", "BLER", "DL BLER", "bit/s/Hz"):
        table.add_column(name, justify="left" if name == "codec" else "right", no_wrap=True)
    for group in groups:
        nmse, downlink = group["nmse"], group["downlink"][0]
        table.add_row(
            group["codec"],
            str(group["rate"]),
            f"{group['snr_db']:g}",
            f"{nmse['mean_db']:.2f}{_plus_minus(nmse['ci95_low_db'], nmse['ci95_high_db'])}",
            f"{group['sgcs']:.3f}",
            f"{group['ber']:.2g}",
            f"{group['bler']['value']:.3g}",
            f"{downlink['bler']['value']:.2g}",
            f"{downlink['spectral_efficiency']['value']:.2f}",
        )
    console.print(table)
    typer.echo(f"{groups[0]['num_reports']:,} reports a row; SNR, BER, BLER of the feedback.")
    typer.echo(
        f"DL BLER, bit/s/Hz: downlink at {downlink_snr_db:g} dB, uncoded QPSK, precoded from the reconstruction;"
    )
    typer.echo(f"from the true channel {perfect:.2f} bit/s/Hz (docs/metrics.md).")


def _plus_minus(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ± {(high - low) / 2:.2f}"


def main() -> None:
    """Run the command; an error of ours is one sentence on standard error and exit code 1.

    SIGTERM ends it as Ctrl-C does, with exit code 130: what a command has begun, it clears away.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except (CsiError, ImportError, OSError) as error:
        typer.echo(f"csi-lab: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
