"""The row of a point against what the base station's store and REST make of the same reports."""

import asyncio
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bs_server.api.feed import summarise
from bs_server.store import DownlinkRow, ReportFilter, ReportRow, SessionRow, make_store
from shared.evaluation import Scores
from shared.experiments.summary_row import OF_A_SERVICE, PointKey, Reports, summary_row
from shared.metrics import Downlink
from shared.scoring import Scoring
from shared.summary import DEFAULT_GROUP_BY, group_table
from shared.types import CsiShape

SCORING = Scoring((0.0, 12.5), downlink_num_ue=2, downlink_mcs=9, num_subbands=4)
KEY = PointKey("klt", 64, 5.0, "digital:bsc:crc", "ls", 10.0, "always", False, SCORING)
SHAPE = CsiShape("angular-delay", 1, 32, 32)


def reports_of(seed: int, num_reports: int, with_crc: bool, erasure: float) -> Reports:
    rng = np.random.default_rng(seed)
    errors = rng.integers(0, 3, num_reports)
    num_bits = rng.integers(8, 100, num_reports)
    erased = rng.random(num_reports) < erasure
    checked = ~erased & (num_bits >= 12) & with_crc
    crc_ok = ((rng.random(num_reports) < 0.6) | ~checked) & ~erased
    downlink = Downlink(*torch.from_numpy(rng.random((6, num_reports, 2))))
    nmse_full = np.where(rng.random(num_reports) < 0.5, rng.random(num_reports), np.nan)
    held = ~crc_ok & (rng.random(num_reports) < 0.5)
    nmse, sgcs, rho = rng.random((3, num_reports))
    scores = Scores(nmse, sgcs, rho, errors, nmse_full, downlink, rng.random((num_reports, 2, 4)))
    num_steps = rng.integers(0, 3, num_reports)
    return Reports(scores, num_bits, 2 * num_bits, num_bits // 2, erased, checked, crc_ok, ~crc_ok, held, num_steps)


async def through_the_store(reports: Reports, url: str) -> dict[str, object]:
    store = make_store(url, 0)
    await store.open()
    try:
        session = SessionRow("s", KEY.codec, "0" * 64, SHAPE, KEY.link, "", 0.0)
        session = replace(session, estimator=KEY.estimator, cnr_db=KEY.cnr_db, refinement=KEY.refinement)
        session = replace(session, scoring=KEY.scoring)
        await store.add_session(session)
        await store.append([report_row(reports, i) for i in range(len(reports.erased))], [])
        columns, (row,) = group_table(
            (await summarise(store, ReportFilter(), list(DEFAULT_GROUP_BY))).groups, DEFAULT_GROUP_BY
        )
    finally:
        await store.close()
    return dict(zip(columns, row, strict=True))


def report_row(reports: Reports, i: int) -> ReportRow:
    erased, scores, downlink = bool(reports.erased[i]), reports.scores, reports.scores.downlink
    assert downlink is not None
    assert scores.sgcs_subbands is not None
    columns = [getattr(downlink, field.name) for field in fields(Downlink)]
    return ReportRow(
        session_id="s",
        ue_id=0,
        sequence=i,
        received_at=0.0,
        rate=KEY.rate,
        num_bits=int(reports.num_bits[i]),
        snr_db=KEY.snr_db,
        nmse=None if np.isnan(scores.nmse[i]) else float(scores.nmse[i]),
        sgcs=float(scores.sgcs[i]),
        bit_errors=None if erased else int(scores.bit_errors[i]),
        fallback=bool(reports.fallback[i]),
        held=bool(reports.held[i]),
        queue_ms=1.0,
        decode_ms=1.0,
        batch_size=1,
        coded_bits=int(reports.num_values[i]),
        channel_uses=int(reports.channel_uses[i]),
        rho=None if scores.rho is None else float(scores.rho[i]),
        erased=erased,
        crc_ok=bool(reports.crc_ok[i]) if reports.checked[i] else None,
        downlink=tuple(
            DownlinkRow(snr_db, *(float(column[i, j]) for column in columns))
            for j, snr_db in enumerate(SCORING.downlink_snr_db)
        ),
        nmse_full=None if np.isnan(scores.nmse_full[i]) else float(scores.nmse_full[i]),
        sgcs_subbands=tuple(map(tuple, scores.sgcs_subbands[i].tolist())),
        num_steps=int(reports.num_steps[i]),
    )


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 2**32),
    st.sampled_from([1, 2, 3, 40]),
    st.booleans(),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.booleans(),
)
def test_columns_and_numbers_are_those_of_the_base_station(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    num_reports: int,
    with_crc: bool,
    erasure: float,
    of_precoders: bool,
) -> None:
    folder: Path = tmp_path_factory.mktemp("store")
    reports = reports_of(seed, num_reports, with_crc, erasure)
    if of_precoders:
        none = np.full(num_reports, np.nan)
        reports = replace(reports, scores=replace(reports.scores, nmse=none, nmse_full=none, rho=None))
    wanted = asyncio.run(through_the_store(reports, f"sqlite:///{folder}/csilink.db"))
    row = summary_row(KEY, reports)
    assert (row["nmse_mean"] is None) == of_precoders
    assert row["sgcs"] is not None
    assert list(row) == [name for name in wanted if name not in OF_A_SERVICE]
    for name, value in row.items():
        exact = value is None or isinstance(value, str)
        assert wanted[name] == (value if exact else pytest.approx(value, rel=1e-9, abs=1e-12)), name
