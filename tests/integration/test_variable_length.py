"""A codec whose reports have as many bits as its entropy code gives: over real sockets, two processes and a store."""

import csv
import io
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from shared.experiments.demo import BaseStationProcess, start_base_station
from shared.experiments.simulate import Simulated, simulate
from shared.experiments.summary_row import OF_A_SERVICE

RATE, NUM_REPORTS, SNR_DB, SEED, UE_ID = 64, 60, 4.0, 11, 7


@pytest.fixture(scope="module")
def serving(golomb_taps: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseStationProcess]:
    """A base station that serves the codec."""
    station = start_base_station(tmp_path_factory.mktemp("station"), ["--model", golomb_taps])
    yield station
    station.stop()


def run_ue(station: BaseStationProcess, codec: str, link: str) -> dict[str, Any]:
    options = {
        "--bs": f"127.0.0.1:{station.grpc_port}",
        "--codec": codec,
        "--link": link,
        "--rate": str(RATE),
        "--num-reports": str(NUM_REPORTS),
        "--snr-db": str(SNR_DB),
        "--seed": str(SEED),
        "--ue-id": str(UE_ID),
        "--downlink-snr-db": "",
    }
    arguments = [part for option in options.items() for part in option]
    command = [sys.executable, "-m", "ue_client", "run", *arguments, "--json"]
    end = subprocess.run(command, capture_output=True, timeout=170, check=True)
    (row,) = json.loads(end.stdout)
    return dict(row)


def rows_of(station: BaseStationProcess, path: str) -> list[dict[str, str]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{station.rest_port}{path}", timeout=30) as answer:
        return list(csv.DictReader(io.StringIO(answer.read().decode())))


def in_process(codec: str, link: str) -> Simulated:
    (point,) = simulate(
        "indoor-open-office", codec, link, SNR_DB, rate=RATE, num_reports=NUM_REPORTS, seed=SEED, ue_id=UE_ID
    )
    return point


@pytest.mark.parametrize("link", ["digital:soft:erasure-0.2", "digital:hard:crc", "digital:soft:qpsk:polar-1/2"])
def test_two_processes_count_the_bits_that_the_encoder_made(
    serving: BaseStationProcess, golomb_taps: str, link: str
) -> None:
    if "polar" in link:
        pytest.importorskip("sionna")
    printed, point = run_ue(serving, golomb_taps, link), in_process(golomb_taps, link)
    num_bits = point.reports.num_bits
    assert len(set(num_bits.tolist())) > 5
    reports = sorted(rows_of(serving, f"/v1/reports.csv?link={link}"), key=lambda report: int(report["sequence"]))
    assert [int(report["num_bits"]) for report in reports] == num_bits.tolist()
    assert [int(report["coded_bits"]) for report in reports] == point.reports.num_values.tolist()
    assert {report["rate"] for report in reports} == {str(RATE)}
    (group,) = serving.get(f"/v1/metrics/summary?link={link}")["groups"]
    assert group["info_bits_per_report"] == num_bits.mean() < RATE
    arrived = ~point.reports.erased
    assert (
        group["ber"] == printed["ber"] == point.reports.scores.bit_errors[arrived].sum() / num_bits[arrived].sum() > 0
    )
    (row,) = rows_of(serving, f"/v1/metrics/summary.csv?link={link}")
    simulated = point.row()
    assert list(simulated) == [name for name in row if name not in OF_A_SERVICE]
    for name, value in simulated.items():
        if isinstance(value, float):
            assert float(row[name]) == pytest.approx(value, rel=1e-6, abs=1e-9), name
        else:
            assert row[name] == ("" if value is None else str(value)), name
    assert np.isclose(float(row["info_bits_per_report"]), num_bits.mean(), rtol=1e-12)
