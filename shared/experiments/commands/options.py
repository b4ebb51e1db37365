"""What stands on a command line, and what may not stand beside it."""

from collections.abc import Sequence

import typer

from shared.errors import InvalidArgumentError


def is_given(context: typer.Context, name: str) -> bool:
    """Return whether an option stands on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def refuse_given(context: typer.Context, names: Sequence[str], wanted: str) -> None:
    """Raise if an option was given that would not be heeded.

    Args:
        context: Of the command.
        names: Of its options.
        wanted: What they must be, "left out with --ideal" say.

    Raises:
        InvalidArgumentError: Naming those that were given.
    """
    given = ", ".join(f"`{name}`" for name in names if is_given(context, name))
    if given:
        raise InvalidArgumentError(f"{given} must be {wanted}.")
