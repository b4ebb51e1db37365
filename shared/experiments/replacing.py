"""What a command may write over: what the same command made, and nothing else unless told."""

import json
from pathlib import Path
from typing import Annotated

import typer

from shared.errors import InvalidArgumentError

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what another command made.")]


def require_replaceable(path: Path, recipe: str, overwrite: bool) -> None:
    """Raise if a file is there that another command made; its card says which.

    Args:
        path: The file to write, its card beside it.
        recipe: The command that writes it.
        overwrite: Whether to replace it all the same.

    Raises:
        InvalidArgumentError: Naming the file and the command that made it.

    Example:
        >>> require_replaceable(Path("nothing-there.npz"), "csi-lab train klt", overwrite=False)
    """
    if overwrite or not path.exists():
        return
    try:
        found = json.loads(path.with_suffix(".card.json").read_bytes())["recipe"]
    except (OSError, ValueError, KeyError, TypeError):  # no card, or one of something else
        found = None
    if found != recipe:
        maker = "no card beside it says how it was made" if found is None else f"`{found}` made it"
        raise InvalidArgumentError(
            f"`out` must not be there, unless the same command made it: `{path}` is, and {maker}. Choose another name, "
            "or give --overwrite."
        )
