"""A fleet in one process against single UEs in processes of their own, over one base-station process."""

import csv
import io
import json
import subprocess
import sys
import urllib.request
from typing import Any

import numpy as np
import pytest

from shared.experiments.demo import BaseStationProcess

SEED, FIRST_UE, NUM_UES, NUM_REPORTS = 11, 70_000, 60, 5
SNR_DB = (0.0, 4.0, 8.0)
CODECS = ("klt", "angular-topk")


def csi_ue(station: BaseStationProcess, command: str, *arguments: str) -> Any:
    options = ["--bs", f"127.0.0.1:{station.grpc_port}", "--seed", str(SEED), "--link", "digital:soft", "--json"]
    options += ["--num-reports", str(NUM_REPORTS), *(part for codec in CODECS for part in ("--codec", codec))]
    run = [sys.executable, "-m", "ue_client", command, *options, *arguments]
    return json.loads(subprocess.run(run, capture_output=True, timeout=120, check=True).stdout)


@pytest.fixture(scope="module")
def fleet(station: BaseStationProcess) -> dict[str, Any]:
    """What `csi-ue fleet --json` printed."""
    points = ",".join(map(str, SNR_DB))
    options = ("--num-ues", str(NUM_UES), "--ue-id", str(FIRST_UE), "--snr-db", points, "--reports-per-frame", "32")
    printed: dict[str, Any] = csi_ue(station, "fleet", *options)
    return printed


@pytest.fixture(scope="module")
def reports(station: BaseStationProcess, fleet: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Codec -> the fleet's reports, as CSV has them."""
    found = {}
    for session in fleet["sessions"]:
        url = f"http://127.0.0.1:{station.rest_port}/v1/reports.csv?session={session['session_id']}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            found[session["codec"]] = list(csv.DictReader(io.TextIOWrapper(answer)))
    return found


def test_every_ue_of_a_fleet_has_each_of_its_reports_stored_once_in_one_session_a_codec(
    fleet: dict[str, Any], reports: dict[str, list[dict[str, str]]]
) -> None:
    assert fleet["num_ues"] == NUM_UES
    assert [session["codec"] for session in fleet["sessions"]] == list(CODECS)
    for session in fleet["sessions"]:
        rows = reports[session["codec"]]
        wanted = [(FIRST_UE + k, i) for k in range(NUM_UES) for i in range(NUM_REPORTS)]
        assert sorted((int(row["ue_id"]), int(row["sequence"])) for row in rows) == wanted
        assert session["reports"] == len(rows)
        assert session["reports_per_s"] == pytest.approx(len(rows) / session["duration_s"], rel=0.01)
        for row in rows:
            assert float(row["snr_db"]) == SNR_DB[(int(row["ue_id"]) - FIRST_UE) % len(SNR_DB)]


def test_a_fleet_prints_what_the_summary_says(station: BaseStationProcess, fleet: dict[str, Any]) -> None:
    for session in fleet["sessions"]:
        groups = station.get(f"/v1/metrics/summary?session={session['session_id']}&group_by=snr_db")["groups"]
        printed = [row for row in fleet["rows"] if row["session_id"] == session["session_id"]]
        assert [row["snr_db"] for row in printed] == [group["snr_db"] for group in groups] == list(SNR_DB)
        for row, group in zip(printed, groups, strict=True):
            assert (row["ues"], row["reports"]) == (NUM_UES // len(SNR_DB), group["num_scored"])
            assert row["nmse_db"] == pytest.approx(group["nmse"]["mean_db"], abs=1e-9)
            assert (row["ber"], row["bler"]) == (group["ber"], group["bler"]["value"])


@pytest.mark.parametrize("k", [0, 44])
def test_a_ue_of_a_fleet_measures_what_it_measures_alone(
    station: BaseStationProcess, reports: dict[str, list[dict[str, str]]], k: int
) -> None:
    snr_db, first_channel = SNR_DB[k % len(SNR_DB)], k * NUM_REPORTS
    options = ("--ue-id", str(FIRST_UE + k), "--snr-db", str(snr_db), "--first-channel", str(first_channel))
    for single in csi_ue(station, "run", *options):
        alone = station.get(f"/v1/reports?session={single['session_id']}")["reports"]
        in_fleet = [row for row in reports[single["codec"]] if int(row["ue_id"]) == FIRST_UE + k]
        in_fleet.sort(key=lambda row: int(row["sequence"]))
        assert [int(row["sequence"]) for row in in_fleet] == [report["sequence"] for report in alone]
        assert [int(row["bit_errors"]) for row in in_fleet] == [report["bit_errors"] for report in alone]
        for name in ("nmse", "sgcs"):  # a product of matrices rounds differently in a batch of another size
            found = [float(row[name]) for row in in_fleet]
            np.testing.assert_allclose(found, [report[name] for report in alone], rtol=1e-5)


def test_a_ue_of_a_fleet_estimates_as_it_does_alone(station: BaseStationProcess) -> None:
    k, num_ues, estimation = 2, 4, ("--estimator", "ls", "--cnr-db", "3")
    options = ("--num-ues", str(num_ues), "--ue-id", str(FIRST_UE), "--snr-db", "4", "--reports-per-frame", "7")
    fleet = csi_ue(station, "fleet", *options, *estimation)
    single = ("--ue-id", str(FIRST_UE + k), "--snr-db", "4", "--first-channel", str(k * NUM_REPORTS))
    for of_fleet, alone in zip(fleet["rows"], csi_ue(station, "run", *single, *estimation), strict=True):
        assert of_fleet["reports"] == num_ues * NUM_REPORTS
        found, wanted = (
            sorted(station.get(f"/v1/reports?{where}")["reports"], key=lambda report: int(report["sequence"]))
            for where in (f"session={of_fleet['session_id']}&ue_id={FIRST_UE + k}", f"session={alone['session_id']}")
        )
        assert {(report["estimator"], report["cnr_db"]) for report in found + wanted} == {("ls", 3.0)}
        for name in ("sequence", "bit_errors"):
            assert [report[name] for report in found] == [report[name] for report in wanted]
        for name in ("nmse", "sgcs"):
            np.testing.assert_allclose(
                [report[name] for report in found], [report[name] for report in wanted], rtol=1e-5
            )


def test_ues_of_a_fleet_have_noise_of_their_own(reports: dict[str, list[dict[str, str]]]) -> None:
    lowest = [row for row in reports["klt"] if float(row["snr_db"]) == SNR_DB[0]]
    errors = {tuple(int(r["bit_errors"]) for r in lowest if r["ue_id"] == row["ue_id"]) for row in lowest}
    assert len(errors) > 0.9 * NUM_UES / len(SNR_DB)
