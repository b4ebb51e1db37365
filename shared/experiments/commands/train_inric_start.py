"""`csi-lab train-inric-start`: meta-learn the weights that INRIC starts from."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shared.experiments.commands.printing import command_line, print_card
from shared.experiments.replacing import Overwrite, require_replaceable

if TYPE_CHECKING:
    from shared.inr.meta_siren import Validation


def train_inric_start(
    data: Annotated[str, typer.Option(help="Folder of pictures, or channels: a shipped data set or a file.")],
    name: Annotated[str, typer.Option(help="Name of the start.")] = "inric-start",
    out: Annotated[Path, typer.Option(help="Folder for the file and its card.")] = Path("out/models"),
    size: Annotated[str, typer.Option(help="Pictures are cropped and scaled to it, WIDTHxHEIGHT.")] = "128x128",
    width: Annotated[int, typer.Option(min=1, max=1024, help="Neurons of a layer.")] = 32,
    hidden: Annotated[int, typer.Option(min=0, max=32, help="Layers behind the first.")] = 3,
    frequencies: Annotated[int, typer.Option(min=0, max=64, help="Of the positional encoding.")] = 12,
    steps: Annotated[int, typer.Option(min=1, help="Of the outer loop.")] = 10_000,
    batch_size: Annotated[int, typer.Option(min=1, help="Signals of a step of the outer loop.")] = 1,
    inner_steps: Annotated[int, typer.Option(min=1, max=100, help="k.")] = 3,
    inner_rate: Annotated[float, typer.Option(min=0, help="alpha at first.")] = 1e-5,
    outer_rate: Annotated[float, typer.Option(min=0, help="Adam's.")] = 5e-5,
    rates: Annotated[
        Literal["static", "global", "per-parameter", "per-parameter-per-step"],
        typer.Option(help="alpha: fixed, or learned: one for all, for each weight, for each weight and step."),
    ] = "per-parameter-per-step",
    first_order: Annotated[bool, typer.Option("--first-order", help="Take inner gradients as constants.")] = False,
    validate_every: Annotated[int, typer.Option(min=1, help="Outer steps.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="First weights, order of the signals.")] = 1,
    overwrite: Overwrite = False,
) -> None:
    """Meta-learn a start (MetaSIREN) from pictures or channels; one signal in ten is held back to choose the best by.

    The rates are those of INRIC's scripts by default, which take 160,000 steps; a short training wants larger ones.
    """
    from shared.experiments.inr_signals import parse_size, signals_from  # noqa: PLC0415  (keeps `--help` quick)
    from shared.inr.meta_siren import MetaOptions, meta_learn  # noqa: PLC0415
    from shared.inr.siren import SirenShape  # noqa: PLC0415
    from shared.inr.start_file import card_of, write_start  # noqa: PLC0415

    command, path = command_line(), out / f"{name}.safetensors"
    require_replaceable(path, command, overwrite)
    signals = signals_from(data, parse_size(size))
    shape = SirenShape(width, hidden, signals.training.shape[2], frequencies)
    options = MetaOptions(
        steps, batch_size, inner_steps, inner_rate, outer_rate, rates, first_order, validate_every, seed=seed
    )
    with outer_progress() as report:
        features = shape.features(signals.grid)
        start, best = meta_learn(shape, features, signals.training, signals.validation, options, report)
    card = card_of(
        shape,
        name=name,
        inner_steps=inner_steps,
        num_rows=signals.num_rows,
        num_columns=signals.num_columns,
        trained_on=signals.told_as,
        validation_loss=best.loss,
        recipe=command,
    )
    print_card(name, write_start(path, card, start).card.model_dump())
    typer.echo(f"file {path}")


@contextmanager
def outer_progress() -> "Iterator[Callable[[int, int, Validation | None], None]]":
    """Show a bar of the outer steps on standard error, and a line a validation.

    Yields:
        What `shared.inr.meta_siren.meta_learn` calls.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("outer steps", total=None)

        def report(done: int, total: int, validation: "Validation | None") -> None:
            bar.update(task, completed=done, total=total)
            if validation:
                bar.console.print(f"step {validation.step}/{total}  validation loss {validation.loss:.6f}")

        yield report
