"""What the UE's estimate costs at the base station: two processes, against the same computed here and theory."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, make_decoder, make_encoder
from shared.estimation import ESTIMATORS, make_estimator
from shared.experiments.demo import BaseStationProcess
from shared.links import make_link
from shared.metrics import bit_errors, nmse
from shared.model_files import load_model
from shared.receive import receive
from shared.rng import Randomness
from shared.transforms import normalize_power

CPU = torch.device("cpu")
SEED, UE_ID, RATE, SNR_DB, NUM_REPORTS, CNR_DB = 11, 1313, 128, 4.0, 96, 0.0
NOISY = [name for name in ESTIMATORS if name != "perfect"]


def run_ue(station: BaseStationProcess, estimator: str, *options: str) -> dict[str, Any]:
    """Run the UE and return the only row that it prints."""
    fixed = ["--bs", f"127.0.0.1:{station.grpc_port}", "--seed", str(SEED), "--ue-id", str(UE_ID), "--json"]
    own = ["--estimator", estimator, "--cnr-db", str(CNR_DB), "--num-reports", str(NUM_REPORTS)]
    command = [sys.executable, "-m", "ue_client", "run", *fixed, *own, *options]
    end = subprocess.run(command, capture_output=True, timeout=120, check=True)
    (row,) = json.loads(end.stdout)
    assert (row["estimator"], row["cnr_db"], row["reports"]) == (estimator, CNR_DB, NUM_REPORTS)
    return dict(row)


def in_process(indoor: ChannelSet, estimator: str) -> tuple[np.ndarray, np.ndarray]:
    """Return NMSE and bit errors of `klt` over `digital:bsc`, without sockets, frames, batches and store."""
    model = load_model("klt")
    encoder, decoder, link = make_encoder(model, CPU), make_decoder(model, CPU), make_link("digital:bsc")
    h, snr_db = indoor.h[:NUM_REPORTS], np.full(NUM_REPORTS, SNR_DB, dtype=np.float32)
    randomness = Randomness(SEED, np.full(NUM_REPORTS, UE_ID), np.arange(NUM_REPORTS))
    h_est = make_estimator(estimator, indoor.shape, indoor.h).estimate(h, np.full(NUM_REPORTS, CNR_DB), randomness)
    payload = encoder.encode(normalize_power(h_est), EncodeContext(RATE, snr_db, randomness))
    received = link.transmit(payload, snr_db, randomness)
    reception = receive(received, link.code, payload.length, decoder, DecodeContext(RATE, snr_db))
    return nmse(reception.h_hat, h).numpy(), bit_errors(reception.payload, payload)


@pytest.mark.parametrize("estimator", NOISY)
def test_two_processes_measure_what_one_computes(
    station: BaseStationProcess, indoor: ChannelSet, estimator: str
) -> None:
    row = run_ue(station, estimator, "--codec", "klt", "--rate", str(RATE), "--snr-db", str(SNR_DB))
    expected_nmse, expected_errors = in_process(indoor, estimator)
    where = f"session={row['session_id']}&estimator={estimator}&cnr_db={CNR_DB}"
    reports = station.get(f"/v1/reports?{where}&limit=1000")["reports"]
    reports.sort(key=lambda report: report["sequence"])
    assert {(report["estimator"], report["cnr_db"]) for report in reports} == {(estimator, CNR_DB)}
    np.testing.assert_array_equal([report["bit_errors"] for report in reports], expected_errors)
    np.testing.assert_allclose([report["nmse"] for report in reports], expected_nmse, rtol=1e-5)
    (group,) = station.get(f"/v1/metrics/summary?{where}")["groups"]
    assert (group["estimator"], group["cnr_db"], group["num_scored"]) == (estimator, CNR_DB, NUM_REPORTS)
    assert group["nmse"]["mean"] == pytest.approx(expected_nmse.mean(), rel=1e-6)


def test_a_codec_and_a_link_that_lose_nothing_leave_the_error_of_the_estimate(station: BaseStationProcess) -> None:
    """At unit power an error of 1 / CNR, orthogonal to the channel, is one of 2 - 2 / sqrt(1 + 1 / CNR)."""
    row = run_ue(station, "ls", "--codec", "float", "--link", "ideal")
    group = station.get(f"/v1/metrics/summary?session={row['session_id']}")["groups"][0]["nmse"]
    low, high = (10 ** (group[name] / 10) for name in ("ci95_low_db", "ci95_high_db"))
    floor = 2 - 2 / np.sqrt(1 + 10 ** (-CNR_DB / 10))
    assert group["mean"] == row["nmse"] == pytest.approx(floor, abs=3 * (high - low) / (2 * 1.96))
    assert high - low < 0.02 * floor
