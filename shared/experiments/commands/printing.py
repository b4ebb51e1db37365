"""What several commands print with."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from shared.channels import DatasetCard
    from shared.model_files import CodecCard
    from shared.refinement import RefinerCard

MOST_CROP_LOSS = 0.1  # above this the crop, not the codec, would decide the error against the whole channel

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
console = Console()


def print_card(title: str, fields: dict[str, object]) -> None:
    """Print the fields of a card, one line each, or one an entry; nothing is cut, a digest is folded."""
    table = Table(title=Text(title), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in fields.items():
        table.add_row(key, Text(_lines(value)))
    console.print(table)


def print_model(card: "CodecCard | RefinerCard", folder: Path) -> None:
    """Print the card of a model or refiner just made, but for lists that are empty, and its file."""
    print_card(card.name, {name: value for name, value in card.model_dump().items() if value != []})
    typer.echo(f"file {folder / card.name}.safetensors")


def warn_of_crop(card: "DatasetCard") -> None:
    """Print a sentence to stderr where the delay taps kept lack much of the energy."""
    if card.crop_loss is not None and card.crop_loss > MOST_CROP_LOSS:
        typer.echo(f"The crop leaves out {card.crop_loss:.1%} of the energy: keep more taps?", err=True)


def _lines(value: object) -> str:
    """Return a field of a card: a line an entry of a dict, and a line a record of a list of them."""
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_text(entry)}" for key, entry in value.items())
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "\n".join(", ".join(f"{key} {_text(entry)}" for key, entry in record.items()) for record in value)
    return _text(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def command_line(program: str = "csi-lab") -> str:
    """Return the command as typed, with file names in the place of paths and no --overwrite, for cards and manifests.

    Cards are passed on; where somebody keeps their files is not. In ``--option=path`` only the path is shortened, and
    what a shell would split is quoted: beside its files, the command runs again.
    """
    words = [_without_folders(word) for word in sys.argv[1:] if word != "--overwrite"]
    return f"{program} {shlex.join(words)}".rstrip()


def _without_folders(word: str) -> str:
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{option}{equals}{Path(value).name or '.' if '/' in value else value}"
