"""The last good CSI of time-correlated channels: two processes against one, and what it is worth over the mean."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.channels import load_channels
from shared.experiments.demo import BaseStationProcess, start_base_station
from shared.experiments.simulate import Simulated, simulate
from shared.scoring import Scoring
from shared.types import Fallback

LINK, SEED, NUM_REPORTS, SNR_DB, FLEET = "digital:soft:qpsk:erasure-0.2", 11, 300, (8.0, 12.0), 4


@pytest.fixture(scope="module")
def station_with(moving: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseStationProcess]:
    """A base station that holds the data and mixes few reports in a batch."""
    process = start_base_station(tmp_path_factory.mktemp("last_good"), ["--data", str(moving), "--max-batch", "24"])
    yield process
    process.stop()


def csi_ue(station: BaseStationProcess, moving: Path, command: str, options: str) -> Any:
    fixed = f"--fallback last --data {moving} --link {LINK} --seed {SEED} --codec klt --downlink-snr-db 0"
    line = [sys.executable, "-m", "ue_client", command, "--json", "--bs", f"127.0.0.1:{station.grpc_port}"]
    end = subprocess.run([*line, *fixed.split(), *options.split()], capture_output=True, timeout=120, check=True)
    return json.loads(end.stdout)


def simulated(moving: Path, fallback: Fallback) -> list[Simulated]:
    return simulate(
        str(moving),
        "klt",
        LINK,
        SNR_DB,
        num_reports=NUM_REPORTS,
        scoring=Scoring((0.0,)),
        seed=SEED,
        ue_id=3,
        fallback=fallback,
    )


def assert_same(reports: list[dict[str, Any]], points: list[Simulated]) -> None:
    reports.sort(key=lambda report: report["sequence"])
    for name in ("fallback", "erased", "held"):
        wanted = np.concatenate([getattr(point.reports, name) for point in points])
        assert [report[name] for report in reports] == wanted.tolist(), name
    for name in ("nmse", "sgcs", "rho"):
        wanted = np.concatenate([getattr(point.reports.scores, name) for point in points])
        np.testing.assert_allclose([report[name] for report in reports], wanted, rtol=1e-5, err_msg=name)


def test_two_processes_hold_what_one_holds_and_it_is_better_than_the_mean(
    station_with: BaseStationProcess, moving: Path
) -> None:
    snr_db = ",".join(map(str, SNR_DB))
    printed = csi_ue(station_with, moving, "run", f"--ue-id 3 --num-reports {NUM_REPORTS} --snr-db {snr_db}")
    session = printed[0]["session_id"]
    assert station_with.get(f"/v1/sessions/{session}")["fallback"] == "last"
    points, means = simulated(moving, "last"), simulated(moving, "mean")
    assert_same(station_with.get(f"/v1/reports?session={session}&limit=1000")["reports"], points)
    groups = station_with.get(f"/v1/metrics/summary?session={session}&group_by=snr_db")["groups"]
    gains = []
    for group, point, mean in zip(groups, points, means, strict=True):
        assert (group["fallbacks"], group["held"]) == (point.row()["fallbacks"], point.row()["held"])
        assert group["nmse"]["mean"] == pytest.approx(point.reports.scores.nmse.mean(), rel=1e-6)
        assert group["downlink"][0]["bler"]["value"] == pytest.approx(point.row()["downlink_0db_bler_value"], rel=1e-5)
        assert mean.reports.held.sum() == 0
        np.testing.assert_array_equal(mean.reports.fallback, point.reports.fallback)
        lost = point.reports.held
        assert lost.sum() > 15
        gains.append(mean.reports.scores.nmse[lost] - point.reports.scores.nmse[lost])
        assert point.reports.scores.nmse.mean() < mean.reports.scores.nmse.mean()
    gain = np.concatenate(gains)
    assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(len(gain))


def test_each_ue_of_a_fleet_holds_its_own(station_with: BaseStationProcess, moving: Path) -> None:
    """UE ``k`` sends as one alone would: its first channel is that of its first report."""
    options = f"--ue-id 25 --num-ues {FLEET} --num-reports 30 --snr-db 8 --reports-per-frame 7"
    (row,) = csi_ue(station_with, moving, "fleet", options)["sessions"]
    reports = station_with.get(f"/v1/reports?session={row['session_id']}&limit=1000")["reports"]
    channels = load_channels(str(moving))
    for k in range(FLEET):
        points = simulate(
            channels, "klt", LINK, 8, num_reports=30, seed=SEED, ue_id=25 + k, first_channel=30 * k, fallback="last"
        )
        assert points[0].reports.held.any()
        assert_same([report for report in reports if report["ue_id"] == 25 + k], points)
