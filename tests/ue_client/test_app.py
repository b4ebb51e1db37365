import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bs_server.app import running
from bs_server.config import Settings as StationSettings
from shared.errors import InvalidArgumentError
from ue_client.app import send
from ue_client.columns import OneUe
from ue_client.config import Settings

Row = dict[str, str | int | float | None]


async def rows_of(station: StationSettings, settings: Settings, num_reports: int = 12) -> list[Row]:
    """Run a UE against a base station of this process."""
    async with running(station) as addresses, asyncio.timeout(60):
        to_it = replace(settings, bs=f"127.0.0.1:{addresses.grpc_port}")
        results = await send(to_it, OneUe(0, 0, (0.0, 5.0), num_reports), lambda name, count: None)
        return [tally.row() for result in results for tally in result.tallies]


def figures(rows: list[Row]) -> list[tuple[str | int | float | None, ...]]:
    return [
        tuple(row[name] for name in ("codec", "snr_db", "reports", "nmse_db", "sgcs", "ber", "bler")) for row in rows
    ]


async def test_truth_as_channels_gives_the_scores_of_truth_by_index(local: StationSettings, tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, h=np.ones((2, 32, 32), dtype=np.complex64))
    settings = Settings(codecs=("klt", "angular-topk"))
    by_index = await rows_of(local, settings)
    by_channel = await rows_of(
        replace(local, data=(str(other),), database_url=f"sqlite:///{tmp_path}/other.db"), settings
    )
    assert figures(by_channel) == figures(by_index)
    assert all(row["nmse_db"] is not None for row in by_index)
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        assert database.execute("SELECT count(*), count(nmse) FROM reports").fetchone() == (48, 48)


async def test_without_truth_reports_are_stored_and_not_scored(local: StationSettings) -> None:
    rows = await rows_of(local, Settings(truth=False))
    assert figures(rows) == [("klt", snr_db, 12, None, None, None, None) for snr_db in (0.0, 5.0)]


async def test_frames_are_no_larger_than_the_base_station_takes(local: StationSettings) -> None:
    rows = await rows_of(replace(local, max_reports_per_frame=5), Settings(reports_per_frame=65536))
    assert [(row["reports"], row["refused"]) for row in rows] == [(12, 0), (12, 0)]


async def test_more_reports_than_channels_start_over_with_other_noise(local: StationSettings, tmp_path: Path) -> None:
    data = tmp_path / "three.npz"
    rng = np.random.default_rng(1)
    np.savez(
        data,
        x=((rng.normal(size=(3, 32, 32)) + 1j * rng.normal(size=(3, 32, 32))) * 0.8 ** np.arange(32)).astype(
            np.complex64
        ),
    )
    rows = await rows_of(replace(local, data=(str(data),)), Settings(data=str(data)))
    assert [row["reports"] for row in rows] == [12, 12]
    with closing(sqlite3.connect(local.database_url.removeprefix("sqlite:///"))) as database:
        nmse = [row for (row,) in database.execute("SELECT nmse FROM reports WHERE snr_db = 0 ORDER BY sequence")]
    assert len(set(nmse)) == 12


async def test_the_last_good_csi_of_data_that_declare_no_time_correlation_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`fallback` last must .*; indoor-open-office declares none"):
        await send(Settings(fallback="last"), OneUe(0, 0, (0.0,), 1), lambda name, count: None)


async def test_no_codec_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`codec` must be given at least once"):
        await send(Settings(codecs=()), OneUe(0, 0, (0.0,), 1), lambda name, count: None)
