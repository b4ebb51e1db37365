"""Refinement over real sockets: `csi-ue --refine` against `csi-bs serve --refiner`, and against one process."""

import csv
import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.experiments.demo import BaseStationProcess, start_base_station
from shared.experiments.simulate import simulate
from shared.model_files import load_model
from shared.refinement import RefinerFile, save_refiner

LINK, SNR_DB, NUM_REPORTS, SEED = "digital:soft:qpsk:erasure-0.2", (0.0, 8.0), 40, 7
REFINEMENT = "snr:from-5:steps-3:by-mine"
ALL = "always:steps-2:by-mine"


@pytest.fixture(scope="module")
def refiner(untrained_refiner: Callable[..., RefinerFile], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refiner")
    save_refiner(untrained_refiner(load_model("klt").card, "mine"), folder)
    return folder / "mine.safetensors"


@pytest.fixture(scope="module")
def refining(refiner: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseStationProcess]:
    options = ["--refiner", str(refiner), "--max-batch", "24"]
    process = start_base_station(tmp_path_factory.mktemp("refining"), options)
    yield process
    process.stop()


def csi_ue(station: BaseStationProcess, *options: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "ue_client", *options, "--bs", f"127.0.0.1:{station.grpc_port}"]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=check)


def fixed(refinement: str) -> list[str]:
    snr_db = ",".join(map(str, SNR_DB))
    options = f"--link {LINK} --seed {SEED} --snr-db {snr_db} --num-reports {NUM_REPORTS} --refine {refinement}"
    return options.split()


def test_two_processes_refine_what_one_refines_and_every_answer_says_so(
    refining: BaseStationProcess, refiner: Path
) -> None:
    rows = json.loads(csi_ue(refining, "run", "--json", *fixed("snr:by-mine:steps-3:from-5.0")).stdout)
    session = rows[0]["session_id"]
    points = simulate(
        "indoor-open-office",
        "klt",
        LINK,
        SNR_DB,
        num_reports=NUM_REPORTS,
        seed=SEED,
        refinement=REFINEMENT,
        refiner=str(refiner),
    )
    steps = np.concatenate([point.reports.num_steps for point in points])
    assert set(steps[NUM_REPORTS:].tolist()) == {0, 3}  # 0: lost
    assert [(row["refinement"], row["refined"]) for row in rows] == [
        (REFINEMENT, 0),
        (REFINEMENT, np.count_nonzero(steps)),
    ]
    reports = refining.get(f"/v1/reports?session={session}&limit=1000")["reports"]
    reports.sort(key=lambda report: report["sequence"])
    assert [report["num_steps"] for report in reports] == steps.tolist()
    assert [report["refined"] for report in reports] == (steps > 0).tolist()
    assert {report["refinement"] for report in reports} == {REFINEMENT}
    nmse = np.concatenate([point.reports.scores.nmse for point in points])
    np.testing.assert_allclose([report["nmse"] for report in reports], nmse, rtol=1e-4)
    assert refining.get(f"/v1/sessions/{session}")["refinement"] == REFINEMENT
    assert refining.get(f"/v1/reports/{reports[-1]['report_id']}")["num_steps"] == steps[-1]


def test_the_summary_groups_and_filters_by_refinement(refining: BaseStationProcess) -> None:
    plain, refined = (
        json.loads(csi_ue(refining, "run", "--json", *fixed(label)).stdout)[0]["session_id"] for label in ("never", ALL)
    )
    groups: list[dict[str, Any]] = refining.get("/v1/metrics/summary?group_by=refinement")["groups"]
    assert [group["refinement"] for group in groups] == sorted(group["refinement"] for group in groups)
    by_label = {group["refinement"]: group for group in groups}
    assert by_label["never"]["refined_rate"]["value"] == by_label["never"]["mean_num_steps"] == 0
    (group,) = refining.get(f"/v1/metrics/summary?session={refined}&group_by=refinement&refinement={ALL}")["groups"]
    arrived = 1 - group["erasure_rate"]["value"]
    assert group["refined_rate"]["value"] == pytest.approx(arrived)
    assert group["mean_num_steps"] == pytest.approx(2 * arrived)
    assert refining.get(f"/v1/metrics/summary?session={plain}&refinement={ALL}")["groups"] == []
    (whole, *_) = refining.get(f"/v1/metrics/summary?session={plain}")["groups"]
    assert whole["refinement"] == "never"  # one of the keys unless told otherwise
    rest = f"http://127.0.0.1:{refining.rest_port}"
    with urllib.request.urlopen(f"{rest}/v1/metrics/summary.csv?session={refined}") as answer:
        (first, *_) = csv.DictReader(io.StringIO(answer.read().decode()))
    assert (first["refinement"], float(first["mean_num_steps"])) == (ALL, 2 * float(first["refined_rate_value"]))
    with urllib.request.urlopen(f"{rest}/v1/reports.csv?session={refined}") as answer:
        lines = list(csv.DictReader(io.StringIO(answer.read().decode())))
    assert {(line["refined"], line["num_steps"]) for line in lines} == {("true", "2"), ("false", "0")}
    with urllib.request.urlopen(f"{rest}/metrics") as answer:
        assert 'csi_refined_total{codec="klt"}' in answer.read().decode()


def test_the_refiners_have_their_cards(refining: BaseStationProcess) -> None:
    held = refining.get("/v1/refiners")
    (card,) = [card for card in held if card["name"] == "mine"]
    assert (card["codec"], card["codec_sha256"]) == ("klt", load_model("klt").card.sha256)
    assert refining.get("/v1/refiners/mine") == card
    with pytest.raises(urllib.error.HTTPError) as answer:
        refining.get("/v1/refiners/yours")
    assert "mine; got 'yours'." in json.load(answer.value)["detail"]


def test_a_fleet_and_a_load_are_refined_and_say_how_many(refining: BaseStationProcess) -> None:
    fleet = "fleet --json --num-ues 8 --num-reports 3 --snr-db 5 --link ideal --reports-per-frame 8"
    (row,) = json.loads(csi_ue(refining, *fleet.split(), "--refine", ALL).stdout)["rows"]
    assert (row["refinement"], row["refined"]) == (ALL, 24)
    load = "load --json --num-sessions 1 --duration-s 2 --reports-per-frame 8 --in-flight 1"
    result = json.loads(csi_ue(refining, *load.split(), "--refine", ALL).stdout)
    assert result["num_refined"] == result["num_reports"] > 0


def test_a_table_says_what_was_refined(refining: BaseStationProcess) -> None:
    printed = csi_ue(refining, "run", *fixed(ALL)).stdout
    assert "refined" in printed
    assert f"refinement: {ALL}" in printed
    assert "refine" not in csi_ue(refining, "run", *fixed("never")).stdout


def test_what_the_base_station_does_not_hold_is_one_sentence(refining: BaseStationProcess, refiner: Path) -> None:
    options = ("run", "--codec", "angular-topk", "--refine", ALL, "--num-reports", "1")
    end = csi_ue(refining, *options, check=False)
    assert end.returncode == 1
    assert f"for model angular-topk, none; got '{ALL}'" in end.stderr.replace("\n", " ")
    assert "csi-bs serve --refiner FILE" in end.stderr
    line = [sys.executable, "-m", "bs_server", "serve", "--refiner", str(refiner.with_name("none.safetensors"))]
    end = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert end.returncode == 1
    assert "csi-bs: `refiner` must be a shipped refiner" in end.stderr
