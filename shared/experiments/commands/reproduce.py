"""`csi-lab reproduce`: published figures beside ours."""

import json
from pathlib import Path
from typing import Annotated

import typer

from shared.errors import DataFileError
from shared.experiments.commands.printing import command_line, console

app = typer.Typer(no_args_is_help=True, help="Published figures beside ours.")


@app.command()
def networks(
    models: Annotated[list[str], typer.Argument(help="Model files of networks.")],
    test: Annotated[str, typer.Option(help="Test split.")],
    out: Annotated[Path, typer.Option(help="JSON file to write; its name is the section's on the page.")],
    train: Annotated[str | None, typer.Option(help="Training split, for the KLT; none without.")] = None,
    published: Annotated[
        bool, typer.Option("--published", help="The data stand for COST 2100 indoor: put the papers' figures beside.")
    ] = False,
) -> None:
    """Measure networks beside a KLT of as many reals, without quantisation."""
    from shared.channels import load_channels  # noqa: PLC0415  (keeps `csi-lab --help` quick)
    from shared.experiments.reproduce import measure_networks  # noqa: PLC0415
    from shared.experiments.reproduction_page import networks_table  # noqa: PLC0415

    result = measure_networks(load_channels(train) if train else None, load_channels(test), models, published)
    result = {"command": command_line(), **result}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    console.print(networks_table(out.stem, result))
    typer.echo(f"file {out}")


@app.command()
def page(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if the page is not up to date.")] = False,
) -> None:
    """Write docs/reproduction.md and its pictures from benchmarks/results."""
    from shared.experiments.reproduction_csi_inr import draw_csi_inr  # noqa: PLC0415
    from shared.experiments.reproduction_invcsinet import draw_ideal  # noqa: PLC0415
    from shared.experiments.reproduction_jscc import draw_jscc  # noqa: PLC0415
    from shared.experiments.reproduction_page import PAGE, RESULTS, render  # noqa: PLC0415
    from shared.experiments.reproduction_standard import draw_standard  # noqa: PLC0415

    if not RESULTS.is_dir():
        raise DataFileError(f"`{RESULTS}` is not a folder: the page is made in csilink's source tree.")
    text = render()
    if check and PAGE.read_text() != text:
        raise DataFileError(f"`{PAGE}` is not what `csi-lab reproduce page` writes.")
    if not check:
        PAGE.write_text(text)
        draw_jscc(RESULTS / "rd_jscc", PAGE.parent / "images" / "rd_jscc.png")
        draw_ideal(RESULTS / "invcsinet", PAGE.parent / "images" / "invcsinet.png")
        draw_standard(RESULTS / "standard", PAGE.parent / "images" / "standard.png")
        draw_csi_inr(RESULTS / "csi_inr", PAGE.parent / "images" / "csi_inr.png")
    typer.echo(f"{PAGE}: {text.count(chr(10))} lines")
