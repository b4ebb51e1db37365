"""klt-analog over the analog link, through a UE process and a base-station process, against the same computed here."""

import json
import subprocess
import sys
import urllib.request
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, make_decoder
from shared.evaluation import Scores, evaluate
from shared.experiments.demo import BaseStationProcess
from shared.model_files import load_model
from shared.receive import receive
from shared.rng import Randomness
from shared.transmit import make_transmitter

SEED, UE_ID, RATE, NUM_REPORTS = 11, 5813, 48, 60
SNR_DB = (-10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0)
LINK = "analog:uplink:erasure-0.1"
NO_BITS = ("bit_errors", "crc_ok")
GROUP_NO_BITS = ("ber", "ber_ci95_low", "bler", "crc_fail_rate", "undetected_error_rate", "ebno_db")


def run_ue(station: BaseStationProcess, *options: str) -> subprocess.CompletedProcess[bytes]:
    arguments = ("--bs", f"127.0.0.1:{station.grpc_port}", "--seed", str(SEED), "--ue-id", str(UE_ID), "--json")
    command = [sys.executable, "-m", "ue_client", "run", *arguments, "--codec", "klt-analog", *options]
    return subprocess.run(command, capture_output=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def printed(station: BaseStationProcess) -> list[dict[str, Any]]:
    """What ``csi-ue run --codec klt-analog --link analog:uplink --snr-db -10:20:5`` printed, with some reports lost."""
    options = ("--link", LINK, "--rate", str(RATE), "--num-reports", str(NUM_REPORTS), "--snr-db", "-10:20:5")
    end = run_ue(station, *options, "--downlink-snr-db", "10", "--reports-per-frame", "33")
    assert end.returncode == 0, end.stderr
    rows: list[dict[str, Any]] = json.loads(end.stdout)
    return rows


@pytest.fixture(scope="module")
def reports(station: BaseStationProcess, printed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The reports of that session, in the order of their numbers."""
    page = station.get(f"/v1/reports?session={printed[0]['session_id']}&limit=1000")
    found: list[dict[str, Any]] = sorted(page["reports"], key=lambda report: report["sequence"])
    assert [report["sequence"] for report in found] == list(range(NUM_REPORTS * len(SNR_DB)))
    return found


def in_process(indoor: ChannelSet) -> tuple[Scores, NDArray[np.bool_]]:
    """Return the scores of the reports and which were lost, without sockets, frames, batches and store."""
    model, n = load_model("klt-analog"), NUM_REPORTS * len(SNR_DB)
    transmitter = make_transmitter(model, indoor.shape, LINK, RATE)
    snr_db = np.repeat(np.array(SNR_DB, dtype=np.float32), NUM_REPORTS)
    h = indoor.h[:NUM_REPORTS].repeat(len(SNR_DB), 1, 1, 1)
    sent = transmitter.transmit(h, snr_db, Randomness(SEED, np.full(n, UE_ID), np.arange(n)))
    decoder = make_decoder(model, torch.device("cpu"))
    reception = receive(sent.received, transmitter.link.code, sent.payload.length, decoder, DecodeContext(RATE, snr_db))
    scores = evaluate(reception.h_hat, reception.payload, h, sent.payload, indoor.shape.domain)
    assert np.array_equal(reception.fallback, reception.erased)
    return scores, reception.erased


def test_two_processes_measure_what_one_computes(
    station: BaseStationProcess, indoor: ChannelSet, printed: list[dict[str, Any]], reports: list[dict[str, Any]]
) -> None:
    scores, erased = in_process(indoor)
    for name in ("nmse", "sgcs", "rho"):
        np.testing.assert_allclose([report[name] for report in reports], getattr(scores, name), rtol=1e-4, err_msg=name)
    for name in ("erased", "fallback"):
        assert [report[name] for report in reports] == erased.tolist()
    summary = station.get(f"/v1/metrics/summary?session={printed[0]['session_id']}&group_by=snr_db")
    for i, (group, row) in enumerate(zip(summary["groups"], printed, strict=True)):
        chosen = slice(i * NUM_REPORTS, (i + 1) * NUM_REPORTS)
        assert group["snr_db"] == row["snr_db"] == SNR_DB[i]
        assert group["nmse"]["mean"] == pytest.approx(row["nmse"])
        assert group["nmse"]["mean"] == pytest.approx(scores.nmse[chosen].mean(), rel=1e-5)
        assert group["erasure_rate"]["value"] * NUM_REPORTS == row["erased"] == row["fallbacks"] == erased[chosen].sum()
    assert 0 < erased.sum() < len(erased)
    of_snr = np.ma.masked_array(scores.nmse, erased).reshape(len(SNR_DB), NUM_REPORTS).mean(axis=1)
    assert (np.diff(of_snr) < 0).all()  # of those that arrived: the better the link, the better the channel


def test_a_report_of_symbols_has_no_bits_anywhere(
    station: BaseStationProcess, printed: list[dict[str, Any]], reports: list[dict[str, Any]]
) -> None:
    for report in reports:
        assert [report[name] for name in NO_BITS] == [None] * len(NO_BITS)
        assert (report["rate"], report["coded_bits"], report["channel_uses"]) == (RATE, 0, RATE)
    assert {(row["ber"], row["bler"], row["crc_failed"]) for row in printed} == {(None, None, 0)}
    summary = station.get(f"/v1/metrics/summary?session={printed[0]['session_id']}&group_by=snr_db")
    for group in summary["groups"]:
        assert [group[name] for name in GROUP_NO_BITS] == [None] * len(GROUP_NO_BITS)
        assert [group[f"{name}_per_report"] for name in ("info_bits", "coded_bits", "channel_uses")] == [0, 0, RATE]
        assert group["downlink"][0]["num_reports"] == group["num_scored"] == NUM_REPORTS


def test_the_picture_of_a_report_is_there(station: BaseStationProcess, reports: list[dict[str, Any]]) -> None:
    kept = next(report["report_id"] for report in reports if report["has_reconstruction"])
    where = f"http://127.0.0.1:{station.rest_port}/v1/reports/{kept}/reconstruction.png"
    with urllib.request.urlopen(where, timeout=30) as answer:
        assert answer.read(4) == b"\x89PNG"


@pytest.mark.parametrize("link", ["ideal", "digital:bsc"])
def test_over_a_link_of_bits_it_is_refused_in_a_sentence(station: BaseStationProcess, link: str) -> None:
    end = run_ue(station, "--link", link)
    assert end.returncode == 1
    assert end.stderr.decode().strip() == f"csi-ue: `link` of codec klt-analog must be analog; got {link}."
