"""`csi-lab data`: the data sets."""

import json
from typing import Annotated

import typer
from rich.table import Table

from shared.experiments.commands import generate
from shared.experiments.commands.printing import AsJson, console, print_card

app = typer.Typer(no_args_is_help=True, help="Data sets of channels.")
app.add_typer(generate.app, name="generate")


@app.command("info")
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
    print_card(str(info["name"]), info)
    table = Table(title="Power over the last axis (delay tap or subcarrier), dB of the total")
    table.add_column("index", justify="right")
    table.add_column("dB", justify="right")
    table.add_column("")
    for index, power in enumerate(profile_db):
        table.add_row(str(index), f"{power:.1f}", "█" * max(0, round(40 + power)))
    console.print(table)
