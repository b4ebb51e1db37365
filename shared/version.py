"""`--version`, which each command has."""

from importlib.metadata import version
from typing import Annotated

import typer


def _show(wanted: bool) -> None:
    if wanted:
        typer.echo(f"csilink {version('csilink')}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", is_eager=True, callback=_show, help="Show the version, and end.")]
