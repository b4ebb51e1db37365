"""`csi-lab codecs`: the model files."""

import json
from typing import Annotated

import typer
from rich.table import Table

from shared.experiments.commands.printing import AsJson, console, print_card

app = typer.Typer(no_args_is_help=True, help="Codecs and their model files.")


@app.command("list")
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


@app.command("show")
def codecs_show(
    codec: Annotated[str, typer.Argument(help="Name in the zoo, or a .safetensors file.")], as_json: AsJson = False
) -> None:
    """Show the card of a model."""
    from shared.model_files import load_model  # noqa: PLC0415

    card = load_model(codec).card
    if as_json:
        typer.echo(card.model_dump_json(indent=2))
        return
    print_card(card.name, card.model_dump(exclude={"measured"}))
    table = Table(title=f"NMSE of {card.name} on its test split, ideal link")
    table.add_column("bits", justify="right")
    table.add_column("NMSE, dB", justify="right")
    for point in card.measured:
        table.add_row(str(point.rate), "exact" if point.nmse_db is None else f"{point.nmse_db:.2f}")
    if card.measured:
        console.print(table)
