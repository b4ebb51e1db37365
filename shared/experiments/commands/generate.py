"""`csi-lab data generate`: channels from a statistical or a ray-traced model."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from shared.experiments.commands.printing import print_card


def data_generate(
    out: Annotated[Path, typer.Option(help="The .npz file to write; its card goes beside it.")],
    num_channels: Annotated[int, typer.Option(min=1, help="Channels to make.")] = 2400,
    seed: Annotated[int, typer.Option(min=0, help="Seed; two splits need two seeds.")] = 1,
) -> None:
    """Generate TR 38.901 indoor open-office channels with Sionna (extra `data`)."""
    from shared.experiments.generate import generate_indoor_open_office  # noqa: PLC0415

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("channels", total=num_channels)
        card = generate_indoor_open_office(out, num_channels, seed, lambda n: bar.advance(task, n))
    print_card(card.name, card.model_dump())
