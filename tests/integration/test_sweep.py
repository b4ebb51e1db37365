"""A sweep in this process and through the two commands: the same columns, the same numbers."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.experiments.demo import BaseStationProcess
from shared.experiments.simulate import simulate
from shared.experiments.summary_row import OF_A_SERVICE
from shared.experiments.sweep import rows_of, run_sweep, simulate_series
from shared.experiments.sweep_file import parse_sweep
from shared.experiments.sweep_plan import plan_sweep
from shared.experiments.sweep_service import through_service
from shared.model_files import load_model
from shared.refinement import RefinerFile, save_refiner
from shared.refinement.card import MeasuredGain

pytestmark = pytest.mark.timeout(600)
GRID: dict[str, Any] = {
    "data": ["umi-nlos"],
    "codec": ["klt"],
    "rate": [48],
    "link": ["digital:bsc", "digital:soft:qpsk:rayleigh:erasure-0.2"],
    "snr_db": [0.0, 7.5],
    "estimator": ["perfect", "ls"],
    "cnr_db": [3],
}
SECONDS = ("estimation_encoding_s", "link_s", "base_station_s")


@pytest.mark.parametrize("with_mcs", [False, True])
def test_the_two_commands_measure_what_one_process_simulates(tmp_path: Path, with_mcs: bool) -> None:
    scoring: dict[str, object] = {"downlink_snr_db": [0, 12.5], "downlink_num_ue": 5, "num_subbands": 4}
    if with_mcs:
        pytest.importorskip("sionna.sys")
        scoring |= {"downlink_mcs": 9, "downlink_num_ue": 1}
    file = parse_sweep({"num_reports": 70, "seed": 5, **scoring, "grid": GRID})
    alone, apart = plan_sweep(file), plan_sweep(file, "service")
    run_sweep(alone, tmp_path / "alone", simulate_series(file))
    with through_service(apart, tmp_path / "apart") as measure:
        run_sweep(apart, tmp_path / "apart", measure)
    rows = rows_of(alone, tmp_path / "alone"), rows_of(apart, tmp_path / "apart")
    assert len(rows[0]) == len(rows[1]) == 8
    assert sum(int(str(row["fallbacks"])) for row in rows[0]) > 0
    downlink = "downlink_12.5db_mcs9_bler_coded_value" if with_mcs else "downlink_12.5db_5ue_bler_value"
    wanted = ("nmse_full_mean_db", downlink, "sgcs_layer1_subband3of4_value")
    assert all(isinstance(row[name], float) for row in rows[0] for name in wanted)
    for simulated, measured in zip(*rows, strict=True):
        assert [name for name in simulated if name not in SECONDS] == list(measured)
        for name, value in measured.items():
            if isinstance(value, float):
                assert simulated[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name
            else:
                assert simulated[name] == value, name


def test_what_is_refined_is_refined_alike_by_the_two_commands(
    tmp_path: Path, untrained_refiner: Callable[..., RefinerFile]
) -> None:
    klt = load_model("klt").card
    measured = [
        MeasuredGain(snr_db=snr_db, num_steps=n, nmse_coarse_db=-5, nmse_db=-5 - gain, ms_per_report=n)
        for snr_db, n, gain in ((0, 1, -1.0), (10, 1, 1.0), (0, 3, -1.0), (10, 3, 4.0))
    ]
    refiner = untrained_refiner(klt, measured=measured, rate=GRID["rate"][0], link="digital:bsc")
    save_refiner(refiner, tmp_path)
    grid = GRID | {
        "estimator": ["perfect"],
        "cnr_db": [],
        "refinement": ["never", "always:steps-3:by-small", "gain:by-small"],
    }
    refiners = [str(tmp_path / "small.safetensors")]
    file = parse_sweep({"num_reports": 40, "seed": 5, "refiners": refiners, "grid": grid})
    alone, apart = plan_sweep(file), plan_sweep(file, "service")
    run_sweep(alone, tmp_path / "alone", simulate_series(file))
    with through_service(apart, tmp_path / "apart") as measure:
        run_sweep(apart, tmp_path / "apart", measure)
    rows = rows_of(alone, tmp_path / "alone"), rows_of(apart, tmp_path / "apart")
    assert len(rows[0]) == len(rows[1]) == 10  # `gain` goes over the link it was measured over alone
    for simulated, measured_row in zip(*rows, strict=True):
        assert [name for name in simulated if name not in SECONDS] == list(measured_row)
        for name, value in measured_row.items():
            same = pytest.approx(value, rel=1e-4, abs=1e-9) if isinstance(value, float) else value
            assert simulated[name] == same, name
    steps = {(row["refinement"], row["link"], row["snr_db"]): row["mean_num_steps"] for row in rows[0]}
    bsc = {(label, snr_db): value for (label, link, snr_db), value in steps.items() if link == "digital:bsc"}
    assert bsc == {
        ("never", 0.0): 0.0,
        ("never", 7.5): 0.0,
        ("always:steps-3:by-small", 0.0): 3.0,
        ("always:steps-3:by-small", 7.5): 3.0,
        ("gain:by-small", 0.0): 0.0,
        ("gain:by-small", 7.5): 3.0,
    }
    assert 0 < float(str(steps["always:steps-3:by-small", GRID["link"][1], 7.5])) < 3  # what was erased is not refined


def test_bit_errors_of_each_report_are_those_of_the_two_processes(station: BaseStationProcess) -> None:
    options = "--seed 3 --ue-id 9 --first-channel 2390 --rate 64 --num-reports 40 --snr-db 0,6 --link digital:soft:qpsk"
    command = [sys.executable, "-m", "ue_client", "run", "--json", *options.split()]
    bs = f"127.0.0.1:{station.grpc_port}"
    end = subprocess.run([*command, "--bs", bs], capture_output=True, timeout=120, check=True)
    session = json.loads(end.stdout)[0]["session_id"]
    reports = station.get(f"/v1/reports?session={session}&limit=1000")["reports"]
    reports.sort(key=lambda report: report["sequence"])
    points = simulate(
        "indoor-open-office",
        "klt",
        "digital:soft:qpsk",
        [0, 6],
        rate=64,
        num_reports=40,
        seed=3,
        ue_id=9,
        first_channel=2390,
    )
    errors = np.concatenate([point.reports.scores.bit_errors for point in points])
    nmse = np.concatenate([point.reports.scores.nmse for point in points])
    assert [report["bit_errors"] for report in reports] == errors.tolist()
    np.testing.assert_allclose([report["nmse"] for report in reports], nmse, rtol=1e-5)
    assert errors.any()
    assert set(OF_A_SERVICE).isdisjoint(points[0].row())
