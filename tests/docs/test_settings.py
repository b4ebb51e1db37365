"""The table of settings in docs/settings.md is the one of the commands."""

from pathlib import Path

import click
import pytest
import typer

import bs_server.__main__
import ue_client.__main__

TABLE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
COMMANDS = [
    ("csi-bs serve", bs_server.__main__.app, "serve"),
    ("csi-ue run", ue_client.__main__.app, "run"),
    ("csi-ue fleet", ue_client.__main__.app, "fleet"),
    ("csi-ue load", ue_client.__main__.app, "load"),
]


def rows_of(app: typer.Typer, name: str) -> list[str]:
    """Return the table rows that a command's options make."""
    group = typer.main.get_command(app)
    command = group.commands[name]  # type: ignore[attr-defined]  # typer's own group type
    return [row(option) for option in command.params]


def row(option: click.Option) -> str:
    default = option.default() if callable(option.default) else option.default
    shown = "-" if default in (None, [], ()) else getattr(default, "value", default)
    shown = " ".join(shown) if isinstance(shown, list) else shown
    env = f"`{option.envvar}`" if option.envvar else "-"
    return f"| `{option.opts[0]}` | {env} | {shown} | {option.help} |"


@pytest.mark.parametrize(("title", "app", "name"), COMMANDS, ids=[title for title, _, _ in COMMANDS])
def test_every_option_of_a_command_stands_in_its_table(title: str, app: typer.Typer, name: str) -> None:
    section = TABLE.split(f"## `{title}`")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == rows_of(app, name)
