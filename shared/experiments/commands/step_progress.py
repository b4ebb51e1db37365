"""A bar a stage, for work of several stages whose steps are counted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def step_progress() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Show bars on standard error.

    Yields:
        Stage -> what its work calls after every step, with the steps done and those in all.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:

        def report_of(stage: str) -> Callable[[int, int], None]:
            task = bar.add_task(stage, total=None)

            def report(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            return report

        yield report_of
