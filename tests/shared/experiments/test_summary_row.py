"""The row of a point against what the base station's store and REST make of the same reports."""

import asyncio
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bs_server.api.feed import summarise
from bs_server.api.routes.exports import _group_cells
from bs_server.store import DownlinkRow, GroupColumn, ReportFilter, ReportRow, SessionRow, make_store
from shared.evaluation import DownlinkScores
from shared.experiments.summary_row import PointKey, Reports, summary_row
from shared.experiments.sweep_service import OF_A_SERVICE
from shared.types import CsiShape

KEY = PointKey("klt", 64, 5.0, "digital:bsc:crc", "ls", 10.0, False, 75, 38, (0.0, 12.5))
GROUP_BY: list[GroupColumn] = [name for name in get_args(GroupColumn) if name != "session"]
SHAPE = CsiShape("angular-delay", 1, 32, 32)


def reports_of(seed: int, num_reports: int, with_crc: bool, erasure: float) -> Reports:
    rng = np.random.default_rng(seed)
    errors = rng.integers(0, 3, num_reports)
    erased = rng.random(num_reports) < erasure
    crc_ok = (rng.random(num_reports) < 0.6) & ~erased if with_crc else None
    downlink = DownlinkScores(*rng.random((4, num_reports, 2)))
    fallback = erased if crc_ok is None else ~crc_ok
    nmse, sgcs, rho = rng.random((3, num_reports))
    return Reports(
        nmse, sgcs, rho, errors, erased, crc_ok, fallback, fallback & (rng.random(num_reports) < 0.5), downlink
    )


async def through_the_store(reports: Reports, url: str) -> dict[str, object]:
    store = make_store(url, 0)
    await store.open()
    try:
        options = {"estimator": KEY.estimator, "cnr_db": KEY.cnr_db, "downlink_snr_db": KEY.downlink_snr_db}
        await store.add_session(SessionRow("s", KEY.codec, "0" * 64, SHAPE, KEY.link, "", 0.0, **options))  # type: ignore[arg-type]
        await store.append([report_row(reports, i) for i in range(len(reports.nmse))], [])
        (group,) = (await summarise(store, ReportFilter(), GROUP_BY)).groups
    finally:
        await store.close()
    return dict(_group_cells(group, GROUP_BY, KEY.downlink_snr_db))


def report_row(reports: Reports, i: int) -> ReportRow:
    erased, scores = bool(reports.erased[i]), reports.downlink
    assert scores is not None
    assert reports.rho is not None
    columns = (scores.bler, scores.spectral_efficiency, scores.bler_perfect, scores.spectral_efficiency_perfect)
    return ReportRow(
        session_id="s",
        ue_id=0,
        sequence=i,
        received_at=0.0,
        rate=KEY.rate,
        snr_db=KEY.snr_db,
        nmse=float(reports.nmse[i]),
        sgcs=float(reports.sgcs[i]),
        bit_errors=None if erased else int(reports.bit_errors[i]),
        fallback=bool(reports.fallback[i]),
        held=bool(reports.held[i]),
        queue_ms=1.0,
        decode_ms=1.0,
        batch_size=1,
        coded_bits=KEY.coded_bits,
        channel_uses=KEY.channel_uses,
        rho=float(reports.rho[i]),
        erased=erased,
        crc_ok=None if reports.crc_ok is None or erased else bool(reports.crc_ok[i]),
        downlink=tuple(
            DownlinkRow(snr_db, *(float(column[i, j]) for column in columns))
            for j, snr_db in enumerate(KEY.downlink_snr_db)
        ),
    )


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 40]), st.booleans(), st.sampled_from([0.0, 0.3, 1.0]))
def test_columns_and_numbers_are_those_of_the_base_station(
    tmp_path_factory: pytest.TempPathFactory, seed: int, num_reports: int, with_crc: bool, erasure: float
) -> None:
    folder: Path = tmp_path_factory.mktemp("store")
    reports = reports_of(seed, num_reports, with_crc, erasure)
    wanted = asyncio.run(through_the_store(reports, f"sqlite:///{folder}/csilink.db"))
    row = summary_row(KEY, reports)
    assert list(row) == [name for name in wanted if name not in OF_A_SERVICE]
    for name, value in row.items():
        exact = value is None or isinstance(value, str)
        assert wanted[name] == (value if exact else pytest.approx(value, rel=1e-9, abs=1e-12)), name
