"""What several commands print with."""

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
console = Console()


def print_card(title: str, fields: dict[str, object]) -> None:
    """Print the fields of a card, one line each."""
    table = Table(title=title, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for key, value in fields.items():
        table.add_row(key, json.dumps(value) if isinstance(value, dict | list) else str(value))
    console.print(table)


def command_line() -> str:
    """Return the command as typed, with file names in the place of paths and no --overwrite, for cards and manifests.

    Cards are passed on; where somebody keeps their files is not. In ``--option=path`` only the path is shortened, and
    what a shell would split is quoted: beside its files, the command runs again.
    """
    return shlex.join(["csi-lab", *(_without_folders(word) for word in sys.argv[1:] if word != "--overwrite")])


def _without_folders(word: str) -> str:
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{option}{equals}{Path(value).name or '.' if '/' in value else value}"
