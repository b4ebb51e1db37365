"""`csi-lab`: data sets, codecs, training and the demo, without a running service."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from shared.errors import CsiError

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False, rich_markup_mode=None
)
data_app = typer.Typer(no_args_is_help=True, help="Data sets of channels.")
codecs_app = typer.Typer(no_args_is_help=True, help="Codecs and their model files.")
app.add_typer(data_app, name="data")
app.add_typer(codecs_app, name="codecs")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
console = Console()


@codecs_app.command("list")
def codecs_list(as_json: AsJson = False) -> None:
    """List the models that ship with csilink."""
    from shared.model_files import load_model, zoo_names  # noqa: PLC0415  (keeps `csi-lab --help` quick)

    cards = [load_model(name).card for name in zoo_names()]
    if as_json:
        typer.echo(json.dumps([card.model_dump() for card in cards], indent=2))
        return
    table = Table(title="Codecs")
    for column in ("codec", "rate, bits", "link", "parameters", "what"):
        table.add_column(column, overflow="fold", no_wrap=column == "codec")  # the name is what a user types
    for card in cards:
        rate = f"{card.min_rate} ... {card.max_rate}" if card.min_rate < card.max_rate else str(card.min_rate)
        table.add_row(card.name, rate, ", ".join(card.links), f"{card.num_parameters:,}", card.title)
    console.print(table)


@codecs_app.command("show")
def codecs_show(
    codec: Annotated[str, typer.Argument(help="Name in the zoo, or a .safetensors file.")], as_json: AsJson = False
) -> None:
    """Show the card of a model."""
    from shared.model_files import load_model  # noqa: PLC0415

    card = load_model(codec).card
    if as_json:
        typer.echo(card.model_dump_json(indent=2))
        return
    _print_card(card.name, card.model_dump(exclude={"measured"}))
    table = Table(title=f"NMSE of {card.name} on its test split, ideal link")
    table.add_column("bits", justify="right")
    table.add_column("NMSE, dB", justify="right")
    for point in card.measured:
        table.add_row(str(point.rate), "exact" if point.nmse_db is None else f"{point.nmse_db:.2f}")
    if card.measured:
        console.print(table)


@data_app.command("info")
def data_info(
    data: Annotated[str, typer.Argument(help="Name of a shipped data set, or a file.")] = "indoor-open-office",
    as_json: AsJson = False,
) -> None:
    """Show what a data set holds: card, power over delay, energy of the strongest taps."""
    from shared.experiments.data_info import describe  # noqa: PLC0415

    info, profile_db = describe(data)
    if as_json:
        typer.echo(json.dumps(info | {"power_profile_db": profile_db}, indent=2))
        return
    _print_card(str(info["name"]), info)
    table = Table(title="Power over the last axis (delay tap or subcarrier), dB of the total")
    table.add_column("index", justify="right")
    table.add_column("dB", justify="right")
    table.add_column("")
    for index, power in enumerate(profile_db):
        table.add_row(str(index), f"{power:.1f}", "█" * max(0, round(40 + power)))
    console.print(table)


@data_app.command("generate")
def data_generate(
    out: Annotated[Path, typer.Option(help="The .npz file to write; its card goes beside it.")],
    num_channels: Annotated[int, typer.Option(min=1, help="Channels to make.")] = 2400,
    seed: Annotated[int, typer.Option(min=0, help="Seed; two splits need two seeds.")] = 1,
) -> None:
    """Generate TR 38.901 indoor open-office channels with Sionna (extra `data`)."""
    from shared.experiments.generate import generate_indoor_open_office  # noqa: PLC0415

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("channels", total=num_channels)
        card = generate_indoor_open_office(out, num_channels, seed, lambda n: bar.advance(task, n))
    _print_card(card.name, card.model_dump())


@app.command()
def train(
    codec: Annotated[str, typer.Argument(help="klt, angular-topk or float.")],
    data: Annotated[str, typer.Option(help="Training split: a file.")],
    test: Annotated[str, typer.Option(help="Test split: a shipped data set or a file.")] = "indoor-open-office",
    out: Annotated[Path, typer.Option(help="Folder for the model file and its card.")] = Path("out/models"),
    name: Annotated[str | None, typer.Option(help="Name of the model; the codec's unless given.")] = None,
) -> None:
    """Fit a codec on a training split and measure it on a test split."""
    from shared.channels import load_channels  # noqa: PLC0415
    from shared.training.fit import fit_codec  # noqa: PLC0415

    command = f"csi-lab train {codec} --data {Path(data).name} --test {Path(test).name}"
    model = fit_codec(codec, load_channels(data), load_channels(test), out, command, name)
    _print_card(model.card.name, model.card.model_dump())


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for database, logs, plot and summary.")] = Path("out/demo"),
    num_reports: Annotated[int, typer.Option(min=1, help="Reports for each codec and SNR.")] = 1000,
    rate: Annotated[int, typer.Option(min=32, max=1024, help="Information bits of a report.")] = 128,
    snr_db: Annotated[str, typer.Option(help="Es/N0 of the feedback link, as `csi-ue run` takes it.")] = "-5:15:2",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the base station running.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a base station and a UE as two processes, ask the summary over REST, print and plot it."""
    from shared.experiments.demo import run_demo  # noqa: PLC0415

    groups, still_running = run_demo(out.resolve(), num_reports, rate, snr_db, keep)
    if as_json:
        typer.echo(json.dumps(groups, indent=2))
    else:
        _print_groups(groups)
    typer.echo(
        f"plot {out / 'nmse_bler.png'}, summary {out / 'summary.json'}, logs {out / 'bs.log'}, {out / 'ue.json'}"
    )
    if still_running:
        typer.echo(still_running)


def _print_groups(groups: list[dict[str, Any]]) -> None:
    table = Table(title="GET /v1/metrics/summary", box=SIMPLE, padding=0)
    for name in ("codec", "bits", "SNR dB", "reports", "NMSE dB (95 %)", "SGCS", "BER", "BLER"):
        table.add_column(name, justify="left" if name == "codec" else "right", no_wrap=True)
    for group in groups:
        nmse = group["nmse"]
        table.add_row(
            group["codec"],
            str(group["rate"]),
            f"{group['snr_db']:g}",
            str(group["num_reports"]),
            f"{nmse['mean_db']:.2f}{_plus_minus(nmse['ci95_low_db'], nmse['ci95_high_db'])}",
            f"{group['sgcs']:.3f}",
            f"{group['ber']:.2g}",
            f"{group['bler']['value']:.3g}",
        )
    console.print(table)


def _plus_minus(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ± {(high - low) / 2:.2f}"


def _print_card(title: str, fields: dict[str, object]) -> None:
    table = Table(title=title, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for key, value in fields.items():
        table.add_row(key, json.dumps(value) if isinstance(value, dict | list) else str(value))
    console.print(table)


def main() -> None:
    """Run the command; an error of ours is one sentence on standard error and exit code 1."""
    try:
        app()
    except (CsiError, ImportError, OSError) as error:
        typer.echo(f"csi-lab: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
