"""`csi-lab data`: the data sets."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from shared.errors import InvalidArgumentError
from shared.experiments.commands import generate
from shared.experiments.commands.printing import AsJson, command_line, console, print_card, warn_of_crop
from shared.experiments.replacing import Overwrite

if TYPE_CHECKING:
    from shared.experiments.data_info import DataInfo

MOST_ROWS = 64  # of a table

app = typer.Typer(no_args_is_help=True, help="Data sets of channels.")
app.add_typer(generate.app, name="generate")


@app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the data sets that ship with csilink."""
    from shared.channels import shipped_datasets  # noqa: PLC0415  (keeps `csi-lab --help` quick)
    from shared.channels.card import read_dataset_card  # noqa: PLC0415

    cards = [read_dataset_card(path.with_suffix(".card.json")) for path in shipped_datasets().values()]
    if as_json:
        typer.echo(json.dumps([card.model_dump() for card in cards], indent=2))
        return
    width = max(len(card.name) for card in cards)
    for card in cards:  # two lines each, as `codecs list`
        typer.echo(f"{card.name:{width}}  {card.num_channels:,} channels, {card.shape}")
        typer.echo(f"{'':{width}}  {card.title}")


@app.command("import")
def data_import(
    sources: Annotated[list[Path], typer.Argument(help="Files (.npz, .npy, .mat, .h5), or a folder of DeepMIMO's.")],
    out: Annotated[Path, typer.Option(help="The .npz file to write; its card goes beside it.")],
    name: Annotated[str | None, typer.Option(help="Name of the data set; that of the file unless given.")] = None,
    domain: Annotated[
        Literal["angular-delay", "spatial-frequency"] | None, typer.Option(help="Domain of an array that does not say.")
    ] = None,
    num_taps: Annotated[
        int | None, typer.Option(min=1, help="Delay taps to keep, of arrays too; 32 of paths unless given.")
    ] = None,
    bandwidth_hz: Annotated[float, typer.Option(min=1.0, help="Paths: bandwidth.")] = 20e6,
    num_subcarriers: Annotated[int, typer.Option(min=1, max=65536, help="Paths: subcarriers before the crop.")] = 1024,
    num_tx_ant: Annotated[int, typer.Option(min=1, max=1024, help="Paths: antennas of the BS's ULA.")] = 32,
    array_axis: Annotated[Literal["x", "y"], typer.Option(help="DeepMIMO: axis along which the ULA lies.")] = "y",
    base_station: Annotated[
        list[int] | None,
        typer.Option(help="DeepMIMO folder: number of the base station, from 1; several may be given."),
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="name=share of the environments, a file of its own; the rest is train.")
    ] = None,
    trust_layout: Annotated[bool, typer.Option("--trust-layout", help="Take a layout that looks transposed.")] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Convert foreign channels into csilink's own file and card, chunk by chunk."""
    from shared.channels.multipath import Sampling  # noqa: PLC0415
    from shared.channels.stream import ReadOptions  # noqa: PLC0415
    from shared.experiments.data_import import ImportJob, import_channels, parse_splits  # noqa: PLC0415

    taps_of_paths = min(32, num_subcarriers) if num_taps is None else min(num_taps, num_subcarriers)
    sampling = Sampling(num_tx_ant, bandwidth_hz, num_subcarriers, taps_of_paths)
    options = ReadOptions(domain, sampling, array_axis, tuple(base_station or ()), trust_layout)
    splits = parse_splits(split or [])
    job = ImportJob(sources, out, name or out.stem, options, num_taps, splits, command_line(), overwrite)
    with _channel_progress() as progress:
        cards = import_channels(job, progress)
    if as_json:
        typer.echo(json.dumps([card.model_dump() for card in cards], indent=2))
        return
    for card in cards:
        print_card(card.name, card.model_dump())
        typer.echo(f"file {out.with_name(card.file)}")
        warn_of_crop(card)


@app.command("eigenvectors")
def data_eigenvectors(
    data: Annotated[str, typer.Argument(help="Name of a shipped data set, or a file.")],
    out: Annotated[Path, typer.Option(help="The .npz file to write; its card goes beside it.")],
    rank: Annotated[int, typer.Option(min=1, max=2, help="Layers, the strongest first: UE antennas of the file.")] = 1,
    num_subbands: Annotated[int, typer.Option(min=1, help="Subbands, an eigenvector of each layer in each.")] = 16,
    name: Annotated[str | None, typer.Option(help="Name of the data set; that of the file unless given.")] = None,
    domain: Annotated[
        Literal["angular-delay", "spatial-frequency"] | None, typer.Option(help="Domain of an array that does not say.")
    ] = None,
    trust_layout: Annotated[bool, typer.Option("--trust-layout", help="Take a layout that looks transposed.")] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make a data set of what a codebook reports: the eigenvectors of each subband's covariance, instead of channels.

    csi-lab data eigenvectors indoor-open-office --out indoor-eigenvectors.npz
    """
    from shared.channels.stream import ReadOptions  # noqa: PLC0415
    from shared.experiments.data_eigenvectors import EigenvectorJob, write_eigenvectors  # noqa: PLC0415

    options = ReadOptions(domain, trust_layout=trust_layout)
    job = EigenvectorJob(data, out, name or out.stem, rank, num_subbands, command_line(), options, overwrite)
    with _channel_progress() as progress:
        card = write_eigenvectors(job, progress)
    if as_json:
        typer.echo(json.dumps(card.model_dump(), indent=2))
        return
    print_card(card.name, card.model_dump())
    typer.echo(f"file {out}")


@contextmanager
def _channel_progress() -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error, and yield what takes the channels done and those in all."""
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with ExitStack() as stack:
        bar = Progress(*columns, console=Console(stderr=True))
        task = bar.add_task("channels", total=None)

        def progress(done: int, total: int) -> None:
            if not bar.live.is_started:  # not earlier: what is wrong with the arguments is one sentence alone
                stack.enter_context(bar)
            bar.update(task, completed=done, total=total)

        yield progress


@app.command("info")
def data_info(
    data: Annotated[str, typer.Argument(help="Name of a shipped data set, or a file.")] = "indoor-open-office",
    train: Annotated[str | None, typer.Option(help="Data set to fit the KLT on, instead of half of this one.")] = None,
    domain: Annotated[
        Literal["angular-delay", "spatial-frequency"] | None, typer.Option(help="Domain of an array that does not say.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture to draw, .png.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a data set holds: card, power over delay and angle, strongest entries, NMSE of a KLT."""
    from shared.experiments.data_info import describe  # noqa: PLC0415

    if plot and plot.suffix != ".png":
        raise InvalidArgumentError(f"`plot` must end in .png; got {plot.name!r}.")
    info = describe(data, train, domain)
    pictures = _plot(info, data, plot) if plot else []
    if as_json:
        fields = asdict(info)
        typer.echo(json.dumps(fields.pop("identity") | fields, indent=2))
        return
    crop = {"crop_loss_of_channels": str(info.crop)} if info.crop else {}
    print_card(str(info.identity["name"]), info.identity | crop | {"energy_of_strongest": info.energy_of_strongest})
    _print_bars("Power over delay, dB of the total", "tap", info.power_profile_db)
    _print_bars("Power over angle, dB of the total", "angle", info.angular_spectrum_db)
    table = Table(title="KLT without quantisation", caption=info.klt_fit)
    table.add_column("reals", justify="right")
    table.add_column("NMSE, dB", justify="right")
    for reals, nmse_db in info.klt_nmse_db.items():
        table.add_row(reals, f"{nmse_db:.2f}")
    console.print(table)
    for picture in pictures:
        typer.echo(f"plot {picture}")


def _plot(info: "DataInfo", data: str, plot: Path) -> list[Path]:
    """Draw the statistics, and a map of the UEs where their paths lie beside the data; return the pictures."""
    from shared.channels import find_channels  # noqa: PLC0415
    from shared.channels.file import read_card_of  # noqa: PLC0415
    from shared.experiments.coverage_map import paths_beside, plot_coverage  # noqa: PLC0415  (matplotlib, extra `lab`)
    from shared.experiments.data_plot import plot_data  # noqa: PLC0415

    plot_data(info, plot)
    path = find_channels(data)
    card, _ = read_card_of(path)
    paths = paths_beside(path, card)
    if card is None or paths is None:
        return [plot]
    plan = plot.with_stem(f"{plot.stem}-map")
    plot_coverage(paths, card, plan)
    return [plot, plan]


@app.command("verify")
def data_verify(
    files: Annotated[list[Path], typer.Argument(help="Files of CsiNet's data set, or csilink's own with their cards.")],
    as_json: AsJson = False,
) -> None:
    """Say by SHA-256 which original CsiNet file each is, or whether it is the file of its card; exit code 1 if not."""
    from shared.experiments.data_verify import verify  # noqa: PLC0415

    found = [verify(file) for file in files]
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in found], indent=2))
    else:
        for result in found:
            typer.echo(result.sentence, err=not result.known)
    if not all(result.known for result in found):
        raise typer.Exit(1)


def _print_bars(title: str, axis: str, values_db: list[float]) -> None:
    table = Table(title=title)
    table.add_column(axis, justify="right")
    table.add_column("dB", justify="right")
    table.add_column("")
    for index, power in enumerate(values_db[:MOST_ROWS]):
        table.add_row(str(index), f"{power:.1f}", "█" * max(0, round(40 + power)))
    if len(values_db) > MOST_ROWS:
        table.caption = f"{len(values_db) - MOST_ROWS} more: --json"
    console.print(table)
