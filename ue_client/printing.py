"""What `csi-ue` prints: the progress bar, the tables of its commands."""

from typing import TYPE_CHECKING

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ue_client.config import Settings

if TYPE_CHECKING:
    from ue_client.results import SessionResult

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


def print_summary(session_id: str) -> None:
    """Say where the base station tells more of a session: intervals, downlink, subbands."""
    typer.echo(f"intervals, downlink, subbands: the base station's REST, /v1/metrics/summary?session={session_id}")


def print_tallies(title: str, rows: list[Row], settings: Settings) -> None:
    """Print one row a codec and SNR, with columns that tell something.

    UEs only of a fleet, bits only where they are not the rate, and other counts only where there is something to count.
    """
    table = Table(title=title, box=SIMPLE, padding=0)
    rare = {"ues", "fallbacks", "erased", "crc_failed", "refined", "refused", "retries"}
    if rows[0]["refinement"] != "never":
        rare.remove("refined")  # none refined is what the reader wants to know
    shown = [name for name in _COLUMNS if name not in rare or any(row.get(name) for row in rows)]
    if all(row["info_bits_per_report"] in (None, row["rate"]) for row in rows):
        shown.remove("info_bits_per_report")
    for name in shown:
        of_name = name == "codec"  # which is folded where the terminal is narrow
        table.add_column(_COLUMNS[name], justify="left" if of_name else "right", no_wrap=not of_name, overflow="fold")
    for row in rows:
        exact = {"nmse_db": "exact"} if row["nmse"] == 0 else {}
        table.add_row(*(exact.get(name) or _cell(name, row[name]) for name in shown))
    Console().print(table)
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
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    Console().print(table)


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
