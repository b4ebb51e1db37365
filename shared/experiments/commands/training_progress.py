"""What a training shows: a bar of its steps, a line an epoch, and what is kept when it is interrupted."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shared.training.loop import Epoch


@contextmanager
def training_progress(
    epochs: int, checkpoint: Path, *, of_sgcs: bool = False
) -> Iterator[Callable[[int, int, Epoch | None], None]]:
    """Show a training on standard error.

    Args:
        epochs: Of the whole training.
        checkpoint: Where its state is after each epoch.
        of_sgcs: Whether 1 - SGCS is measured after each epoch, and not the NMSE.

    Yields:
        What `shared.training.loop.train_network` calls.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with _telling_what_is_kept(checkpoint), ExitStack() as stack:
        bar = Progress(*columns, console=Console(stderr=True))
        task = bar.add_task("steps", total=None)

        def report(done: int, total: int, epoch: Epoch | None) -> None:
            if not bar.live.is_started:  # not earlier: what is wrong before the first step is one sentence alone
                stack.enter_context(bar)
            bar.update(task, completed=done, total=total)
            if epoch:
                measured = f"SGCS {1 - 10 ** (epoch.nmse_db / 10):.4f}" if of_sgcs else f"NMSE {epoch.nmse_db:.2f} dB"
                bar.console.print(
                    f"epoch {epoch.epoch}/{epochs}  loss {epoch.loss:.5f}  "
                    f"{measured} on the test split  {epoch.seconds:.0f} s"
                )

        yield report


@contextmanager
def _telling_what_is_kept(checkpoint: Path) -> Iterator[None]:
    """Say, where a training is interrupted, what becomes of it."""
    try:
        yield
    except KeyboardInterrupt:
        kept = f"the same command goes on after the last whole epoch, from {checkpoint}"
        nothing = "nothing is kept before the first epoch's end"
        typer.echo(f"csi-lab: stopped; {kept if checkpoint.is_file() else nothing}.", err=True)
        raise
