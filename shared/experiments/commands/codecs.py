"""`csi-lab codecs`: the model files."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from shared.errors import InvalidArgumentError
from shared.experiments.commands.printing import AsJson, command_line, console, print_card, print_model
from shared.experiments.replacing import Overwrite, require_replaceable

app = typer.Typer(no_args_is_help=True, help="Codecs and their model files.")


@app.command("list")
def codecs_list(as_json: AsJson = False) -> None:
    """List the models that ship with csilink."""
    from shared.model_files import load_model, zoo_names  # noqa: PLC0415  (keeps `csi-lab --help` quick)

    cards = [load_model(name).card for name in zoo_names()]
    if as_json:
        typer.echo(json.dumps([card.model_dump() for card in cards], indent=2))
        return
    width = max(len(card.name) for card in cards)
    for card in cards:  # two lines each, which no terminal is too narrow for
        rate = f"{card.min_rate} ... {card.max_rate}" if card.min_rate < card.max_rate else str(card.min_rate)
        most = " at most" if card.length == "variable" else ""
        typer.echo(f"{card.name:{width}}  {rate} {card.payload}{most}, {card.num_parameters:,} parameters")
        typer.echo(f"{'':{width}}  {card.title}")


@app.command("show")
def codecs_show(
    codec: Annotated[str, typer.Argument(help="Name in the zoo, a .safetensors file, or package.module:ENTRY.")],
    as_json: AsJson = False,
) -> None:
    """Show the card of a model."""
    from shared.codecs import load_codec  # noqa: PLC0415

    card = load_codec(codec).card
    if as_json:
        typer.echo(card.model_dump_json(indent=2))
        return
    print_card(card.name, card.model_dump(exclude={"measured", "measured_sgcs"}))
    if card.measured_sgcs:
        of_precoders = Table("bits", "SGCS", title="SGCS, ideal link")
        for measured in card.measured_sgcs:
            of_precoders.add_row(str(measured.rate), f"{measured.sgcs:.4f}")
        console.print(of_precoders)
    table = Table(title="NMSE, ideal link" if card.payload == "bits" else "NMSE, AWGN at 80 dB")
    table.add_column(card.payload, justify="right")
    table.add_column("NMSE, dB", justify="right")
    for point in card.measured:
        table.add_row(str(point.rate), "exact" if point.nmse_db is None else f"{point.nmse_db:.2f}")
    if card.measured:
        console.print(table)


@app.command("check")
def codecs_check(
    codec: Annotated[str, typer.Argument(help="package.module:ENTRY, a .safetensors file, or a name in the zoo.")],
    data: Annotated[
        str, typer.Option(help="Channels of its shape: a shipped data set or a file.")
    ] = "indoor-open-office",
    as_json: AsJson = False,
) -> None:
    """Check that a codec does what every codec must: exact bits, repeatable, whatever the batch, any payload."""
    from shared.channels import load_channels  # noqa: PLC0415
    from shared.codecs import load_codec  # noqa: PLC0415
    from shared.codecs.contract import run_checks  # noqa: PLC0415
    from shared.codecs.trial import make_trial  # noqa: PLC0415

    card, channels = load_codec(codec).card, load_channels(data)
    if channels.shape != card.shape:
        found = f"{channels.name} holds {channels.shape}"
        raise InvalidArgumentError(f"`data` for codec {card.name} must hold {card.shape}; {found}.")
    verdicts = run_checks(make_trial(lambda: load_codec(codec), channels.h))
    if as_json:
        typer.echo(json.dumps({"codec": card.name, "checks": verdicts}, indent=2))
    else:
        table = Table(title=f"The contract of a codec: {card.name}")
        table.add_column("check", no_wrap=True)
        table.add_column("verdict", overflow="fold")
        for check, wrong in verdicts.items():
            table.add_row(check, wrong or "holds")
        console.print(table)
    if any(verdicts.values()):
        raise typer.Exit(1)


@app.command("import")
def codecs_import(
    weights: Annotated[Path, typer.Argument(help="CsiNet's Keras .h5 (original or channels last), or CRNet's .pth.")],
    data: Annotated[str, typer.Option(help="Channels on which the quantiser of the latents is designed.")],
    test: Annotated[str, typer.Option(help="Test split.")],
    name: Annotated[str, typer.Option(help="Name of the model.")],
    out: Annotated[Path, typer.Option(help="Folder for the model file and its card.")] = Path("out/models"),
    quantizer: Annotated[Literal["uniform", "mu-law"], typer.Option(help="Quantiser of the latents.")] = "uniform",
    overwrite: Overwrite = False,
) -> None:
    """Make a codec of weights that CsiNet's or CRNet's authors published."""
    from shared.channels import load_channels  # noqa: PLC0415
    from shared.training.published import import_codec  # noqa: PLC0415

    command = command_line()
    require_replaceable(out / f"{name}.safetensors", command, overwrite)
    model = import_codec(
        weights, load_channels(data), load_channels(test, option="test"), quantizer, out, command, name
    )
    print_model(model.card, out)


@app.command("verify")
def codecs_verify(
    codecs: Annotated[list[str] | None, typer.Argument(help="Models; all that ship unless given.")] = None,
    data: Annotated[str | None, typer.Option(help="Test split, where the card's does not ship.")] = None,
    as_json: AsJson = False,
) -> None:
    """Load models, and hold digest, parameter count and the NMSE of each rate against their cards."""
    from shared.experiments.codecs_verify import verify_codec  # noqa: PLC0415
    from shared.model_files import zoo_names  # noqa: PLC0415

    results = [verify_codec(codec, data) for codec in codecs or zoo_names()]
    if as_json:
        typer.echo(json.dumps([result.as_dict() for result in results], indent=2))
    else:
        table = Table(title="Models against their cards")
        for column in ("codec", "digest", "parameters", "off by", "verdict"):
            table.add_column(column)
        for result in results:
            off = "not measured" if result.nmse_off_db is None else f"{result.nmse_off_db:.3f} dB"
            if result.sgcs_off is not None:
                off = f"SGCS {result.sgcs_off:.4f}"
            count = "-" if result.num_parameters is None else f"{result.num_parameters:,}"
            verdict = result.verdict if result.verdict == "ok" else "not ok"
            table.add_row(Path(result.codec).name, (result.sha256 or "-")[:12], count, off, verdict)
        console.print(table)
        for result in results:
            if result.verdict != "ok":
                typer.echo(f"{result.codec}: {result.verdict}")
    if any(result.verdict != "ok" for result in results):
        raise typer.Exit(1)
