"""`csi-lab refiners`: what ships, a card, and a measurement on this machine."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from shared.experiments.commands.printing import AsJson, console, print_card

app = typer.Typer(no_args_is_help=True, help="Refiners that the base station runs behind a codec.")


@app.command("list")
def list_refiners(as_json: AsJson = False) -> None:
    """List the refiners that ship."""
    from shared.refinement import load_refiner, refiner_names  # noqa: PLC0415  (keeps `csi-lab --help` quick)

    cards = [load_refiner(name).card for name in refiner_names()]
    if as_json:
        typer.echo(json.dumps([card.model_dump(mode="json") for card in cards], indent=2))
        return
    table = Table()
    for column in ("refiner", "kind", "behind", "rate", "over", "trained on", "NMSE dB at 0 dB, 1 step", "at 10 dB"):
        table.add_column(column)
    for card in cards:
        points = {p.snr_db: f"{p.nmse_coarse_db:.2f} -> {p.nmse_db:.2f}" for p in card.measured if p.num_steps == 1}
        low, high = card.snr_db
        table.add_row(
            card.name,
            card.kind,
            card.codec,
            str(card.rate),
            f"{card.link}, {low:g} ... {high:g} dB",
            card.training_data.partition(",")[0],
            *(points.get(snr_db, "-") for snr_db in (0, 10)),
        )
    console.print(table)


@app.command()
def measure(
    refiner: Annotated[str, typer.Argument(help="A shipped refiner, or a .safetensors file.")],
    codec: Annotated[str, typer.Option(help="The model that it refines.")],
    test: Annotated[str, typer.Option(help="Test split: a shipped data set or a file.")],
    measured: Annotated[int, typer.Option(min=1, help="Channels of it, from the end, at most.")] = 300,
    out: Annotated[
        Path | None, typer.Option(help="Folder for file and card; left out, the card of the file is written anew.")
    ] = None,
) -> None:
    """Measure a refiner again: what it gains, and its milliseconds on this machine, by which `gain` decides."""
    from shared.channels import load_channels  # noqa: PLC0415
    from shared.codecs import load_codec  # noqa: PLC0415
    from shared.errors import DataFileError  # noqa: PLC0415
    from shared.refinement import RefinerFile, load_refiner, save_refiner  # noqa: PLC0415
    from shared.training.refiner_file import measure_again  # noqa: PLC0415

    file, path = load_refiner(refiner), Path(refiner)
    if out is None and not path.is_file():
        raise DataFileError(f"`out` must say where the card of a shipped refiner goes; got none for {refiner!r}.")
    channels = load_channels(test, option="test")
    points = measure_again(file, load_codec(codec), channels.h[-measured:])
    card = file.card.model_copy(update={"measured": points, "test_data": channels.identity})
    print_card(
        card.name, save_refiner(RefinerFile(card, file.tensors), out or path.parent).card.model_dump(mode="json")
    )


@app.command()
def show(
    refiner: Annotated[str, typer.Argument(help="A shipped refiner, or a .safetensors file.")], as_json: AsJson = False
) -> None:
    """Print a refiner's card."""
    from shared.refinement import load_refiner  # noqa: PLC0415

    card = load_refiner(refiner).card
    if as_json:
        typer.echo(card.model_dump_json(indent=2))
    else:
        print_card(card.name, card.model_dump(mode="json"))
