"""What a command may write over: what the same command made, and nothing else unless told."""

import json
import zipfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from shared.errors import InvalidArgumentError

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what another command made.")]


def require_replaceable(path: Path, recipe: str, overwrite: bool) -> None:
    """Raise if a file is there that another command made; its card says which, or the file itself.

    Args:
        path: The file to write, its card beside it, if it has one.
        recipe: The command that writes it.
        overwrite: Whether to replace it all the same.

    Raises:
        InvalidArgumentError: Naming the file and the command that made it.

    Example:
        >>> require_replaceable(Path("nothing-there.npz"), "csi-lab train klt", overwrite=False)
    """
    if overwrite or not path.exists():
        return
    found = maker_of(path)
    if found != recipe:
        maker = "no card beside it says how it was made" if found is None else f"`{found}` made it"
        raise InvalidArgumentError(
            f"`out` must not be there, unless the same command made it: `{path}` is, and {maker}. Choose another name, "
            "or give --overwrite."
        )


def maker_of(path: Path) -> str | None:
    """Return the command that made a file: from its card, or without one from its own array `recipe`, UTF-8; else None.

    Example:
        >>> maker_of(Path("nothing-there.npz"))
    """
    card = path.with_suffix(".card.json")
    try:
        if card.exists():
            return str(json.loads(card.read_bytes())["recipe"])
        with np.load(path) as stored:
            return str(stored["recipe"].tobytes(), "utf-8")
    except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile):  # of something else
        return None
