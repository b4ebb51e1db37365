"""Where sessions and reports are kept. A new store is one file here and one line in `STORES`."""

from collections.abc import Callable

from bs_server.store.base import (
    DownlinkRow,
    ReconstructionRow,
    ReportFilter,
    ReportRow,
    SessionRow,
    Store,
)
from bs_server.store.sql import SqlStore
from bs_server.store.writer import GroupWriter
from shared.errors import InvalidArgumentError

STORES: dict[str, Callable[[str, int], Store]] = {"sqlite": SqlStore, "postgresql": SqlStore}


def make_store(url: str, keep_reconstructions: int) -> Store:
    """Build the store of a database URL.

    Raises:
        InvalidArgumentError: If no store takes such a URL.
    """
    scheme = url.split(":", maxsplit=1)[0].split("+", maxsplit=1)[0]
    if scheme not in STORES:
        raise InvalidArgumentError(f"`database_url` must begin with one of {', '.join(STORES)}; got {scheme!r}.")
    return STORES[scheme](url, keep_reconstructions)


__all__ = [
    "STORES",
    "DownlinkRow",
    "GroupWriter",
    "ReconstructionRow",
    "ReportFilter",
    "ReportRow",
    "SessionRow",
    "Store",
    "make_store",
]
