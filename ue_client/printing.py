"""What `csi-ue` prints: the progress bar, the tables of its commands."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ue_client.config import Settings

if TYPE_CHECKING:
    from ue_client.results import SessionResult

MOST_WIDTH = 1000  # of a table
Row = dict[str, str | int | float | None]


def progress_bar() -> Progress:
    """Return a progress bar on standard error; none where that is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


_COLUMNS = {
    "codec": "codec",
    "rate": "rate",
    "info_bits_per_report": "mean bits",
    "snr_db": "SNR dB",
    "ues": "UEs",
    "reports": "reports",
    "nmse_db": "NMSE dB",
    "sgcs": "SGCS",
    "ber": "BER",
    "bler": "BLER",
    "fallbacks": "fallback",
    "erased": "erased",
    "crc_failed": "bad CRC",
    "refined": "refined",
    "refused": "refused",
    "retries": "retries",
    "p95_ms": "p95 ms",
}


def print_repeats(num_reports: int, results: "list[SessionResult]") -> None:
    """Say that reports share channels, which no interval over them knows."""
    num_channels = results[0].num_channels
    if num_reports > num_channels:
        typer.echo(f"channels repeat: {num_reports:,} reports of {num_channels:,} channels")


def print_sessions(of_sessions: Sequence[tuple[str, str, str]]) -> None:
    """Say what the sessions are, and where the base station tells more of each: intervals, downlink, subbands.

    Args:
        of_sessions: Codec, id, and what else there is to say of each.
    """
    for codec, session_id, more in of_sessions:
        typer.echo(f"session of {codec}: {session_id}{more}")
    typer.echo("intervals, downlink, subbands: the base station's REST, /v1/metrics/summary?session=SESSION")


def say_smaller_frames(asked: int, found: int) -> None:
    """Say on standard error that the base station takes no frames as large as asked for."""
    typer.echo(
        f"frames of {found} reports, not {asked}: the base station takes no larger ones (--max-reports-per-frame)",
        err=True,
    )


def print_whole(table: Table) -> None:
    """Print a table, wider than the terminal if that would cut something off."""
    console = Console()
    whole = Measurement.get(console, console.options.update(max_width=MOST_WIDTH), table).maximum
    Console(width=max(console.width, whole)).print(table)


def print_tallies(title: str, rows: list[Row], settings: Settings) -> None:
    """Print one row a codec and SNR, with columns that tell something.

    UEs only of a fleet, bits only where they are not the rate, and other counts only where there is something to count.
    """
    table = Table(title=Text(title), box=SIMPLE, padding=0)
    rare = {"ues", "fallbacks", "erased", "crc_failed", "refined", "refused", "retries"}
    if rows[0]["refinement"] != "never":
        rare.remove("refined")  # none refined is what the reader wants to know
    shown = [name for name in _COLUMNS if name not in rare or any(row.get(name) for row in rows)]
    if all(row["info_bits_per_report"] in (None, row["rate"]) for row in rows):
        shown.remove("info_bits_per_report")
    for name in shown:
        table.add_column(_COLUMNS[name], justify="left" if name == "codec" else "right", no_wrap=True)
    for row in rows:
        exact = {"nmse_db": "exact"} if row["nmse"] == 0 else {}
        table.add_row(*(Text(exact.get(name) or _cell(name, row[name])) for name in shown))
    print_whole(table)
    if settings.cnr_db is not None:
        knows = f", covariance of {settings.covariance_source}" if settings.covariance_source else ""
        genie = ", the channels that are sent: a genie's" if settings.covariance_source == settings.data else ""
        typer.echo(f"estimator: {settings.estimator} at a CNR of {settings.cnr_db:g} dB{knows}{genie}")
    if (refinement := rows[0]["refinement"]) != "never":
        typer.echo(f"refinement: {refinement}")


def print_fields(title: str, fields: dict[str, object]) -> None:
    """Print one line a field."""
    table = Table(title=title, box=SIMPLE, show_header=False)
    for name, value in fields.items():
        count = isinstance(value, int) and not isinstance(value, bool) and name != "seed"
        table.add_row(name, Text(f"{value:,}" if count else str(value)))
    print_whole(table)


def _cell(name: str, value: str | float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return (
            f"{value:.1f}"
            if name in {"snr_db", "p95_ms", "info_bits_per_report"}
            else f"{value:.2f}"
            if name == "nmse_db"
            else f"{value:.3g}"
        )
    return str(value)
