"""What a UE process and a base-station process make of a link, against the same computed here and against theory."""

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, make_decoder
from shared.evaluation import Scores, evaluate
from shared.experiments.demo import BaseStationProcess
from shared.model_files import load_model
from shared.receive import receive
from shared.rng import Randomness
from shared.scoring import Scoring
from shared.transmit import make_transmitter

SEED, UE_ID, RATE, NUM_REPORTS = 7, 4711, 128, 150
SNR_DB = (0.0, 6.0)
DOWNLINK_SNR_DB = (-5.0, 5.0)
CODECS = ("klt", "angular-topk")
BPSK = ("ideal", "digital:bsc", "digital:hard", "digital:soft")
ERASING = "digital:soft:qpsk:rayleigh:erasure-0.1"
LINKS = (*BPSK, ERASING)
EXACT = ("codec", "rate", "snr_db", "reports", "ber", "bler", "fallbacks", "erased", "crc_failed", "refused")


@dataclass(frozen=True, slots=True)
class Run:
    """What one `csi-ue run` printed, and the reports of its sessions."""

    printed: list[dict[str, Any]]
    reports: dict[str, list[dict[str, Any]]]


def run_ue(station: BaseStationProcess, link: str) -> list[dict[str, Any]]:
    options = {
        "--bs": f"127.0.0.1:{station.grpc_port}",
        "--link": link,
        "--seed": str(SEED),
        "--ue-id": str(UE_ID),
        "--rate": str(RATE),
        "--num-reports": str(NUM_REPORTS),
        "--snr-db": ",".join(map(str, SNR_DB)),
        "--downlink-snr-db": ",".join(map(str, DOWNLINK_SNR_DB)),
    }
    codecs = [part for codec in CODECS for part in ("--codec", codec)]
    arguments = [part for option in options.items() for part in option]
    command = [sys.executable, "-m", "ue_client", "run", *arguments, *codecs, "--json"]
    end = subprocess.run(command, capture_output=True, timeout=120, check=True)
    rows: list[dict[str, Any]] = json.loads(end.stdout)
    return rows


@pytest.fixture(scope="module")
def runs(station: BaseStationProcess) -> dict[str, list[Run]]:
    """Link -> its runs: one of each link, and a second of `digital:soft`."""
    links = [*LINKS, "digital:soft"]
    with ThreadPoolExecutor(2) as pool:
        printed = list(pool.map(run_ue, [station] * len(links), links))
    found: dict[str, list[Run]] = {link: [] for link in LINKS}
    for link, rows in zip(links, printed, strict=True):
        found[link].append(Run(rows, {}))
    for link in LINKS:
        for codec in CODECS:
            where = f"/v1/reports?ue_id={UE_ID}&codec={codec}&link={link}&limit=1000"
            reports = station.get(where)["reports"]
            sessions = list(dict.fromkeys(report["session_id"] for report in reports))
            for run, session in zip(found[link], sessions, strict=True):
                run.reports[codec] = [report for report in reports if report["session_id"] == session]
    return found


def in_process(indoor: ChannelSet, codec: str, link: str, snr_index: int) -> tuple[Scores, NDArray[np.bool_]]:
    """Return the scores of the reports of one SNR and which were erased, without sockets, frames, batches and store."""
    model = load_model(codec)
    transmitter = make_transmitter(model, indoor.shape, link, RATE)
    snr_db = np.full(NUM_REPORTS, SNR_DB[snr_index], dtype=np.float32)
    sequence = np.arange(NUM_REPORTS) + snr_index * NUM_REPORTS
    h = indoor.h[:NUM_REPORTS]
    sent = transmitter.transmit(h, snr_db, Randomness(SEED, np.full(NUM_REPORTS, UE_ID), sequence))
    decoder = make_decoder(model, torch.device("cpu"))
    reception = receive(sent.received, transmitter.link.code, sent.payload.length, decoder, DecodeContext(RATE, snr_db))
    assert np.array_equal(reception.fallback, reception.erased)
    scores = evaluate(
        reception.h_hat, reception.payload, h, sent.payload, indoor.shape.domain, Scoring(DOWNLINK_SNR_DB)
    )
    return scores, reception.erased


def column(reports: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    by_sequence = sorted(reports, key=lambda report: report["sequence"])
    assert [report["sequence"] for report in by_sequence] == list(range(NUM_REPORTS * len(SNR_DB)))
    return np.array([report[name] for report in by_sequence])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("link", LINKS)
def test_two_processes_measure_what_one_computes(
    runs: dict[str, list[Run]], station: BaseStationProcess, indoor: ChannelSet, link: str, codec: str
) -> None:
    reports = runs[link][0].reports[codec]
    summary = station.get(f"/v1/metrics/summary?session={reports[0]['session_id']}&group_by=snr_db")
    printed = [row for row in runs[link][0].printed if row["codec"] == codec]
    for i, (group, row) in enumerate(zip(summary["groups"], printed, strict=True)):
        scores, erased = in_process(indoor, codec, link, i)
        of_snr = {
            name: column(reports, name)[i * NUM_REPORTS : (i + 1) * NUM_REPORTS]
            for name in ("nmse", "sgcs", "rho", "bit_errors", "erased", "fallback")
        }
        np.testing.assert_array_equal(of_snr["erased"], erased)
        np.testing.assert_array_equal(of_snr["fallback"], erased)
        assert all(errors is None for errors in of_snr["bit_errors"][erased])
        wrong_bits = scores.bit_errors[~erased]
        np.testing.assert_array_equal(of_snr["bit_errors"][~erased].astype(int), wrong_bits)
        for name in ("nmse", "sgcs", "rho"):
            np.testing.assert_allclose(of_snr[name], getattr(scores, name), rtol=1e-5, err_msg=name)
        assert (group["snr_db"], group["num_scored"]) == (SNR_DB[i], NUM_REPORTS)
        assert group["nmse"]["mean"] == pytest.approx(scores.nmse.mean(), rel=1e-6)
        assert group["ber"] == row["ber"] == wrong_bits.sum() / (len(wrong_bits) * RATE)
        assert group["bler"]["value"] == row["bler"] == (erased.sum() + (wrong_bits > 0).sum()) / NUM_REPORTS
        assert group["nmse"]["mean_db"] == pytest.approx(row["nmse_db"], abs=1e-9)
        assert group["erasure_rate"]["value"] * NUM_REPORTS == row["erased"] == row["fallbacks"] == erased.sum()
        assert [score["snr_db"] for score in group["downlink"]] == list(DOWNLINK_SNR_DB)
        assert scores.downlink is not None
        for j, score in enumerate(group["downlink"]):
            assert score["bler"]["value"] == pytest.approx(scores.downlink.bler[:, j].mean().item(), rel=1e-5)
            efficiency = scores.downlink.spectral_efficiency[:, j].mean().item()
            assert score["spectral_efficiency"]["value"] == pytest.approx(efficiency, rel=1e-6)


def test_a_share_of_the_reports_is_lost_and_the_rest_sees_rayleigh_fading(runs: dict[str, list[Run]]) -> None:
    """QPSK over Rayleigh fading, mean Es/N0: p = (1 - sqrt(g / (2 + g))) / 2 a bit (Proakis, eq. 14-3-7)."""
    reports = [report for codec in CODECS for report in runs[ERASING][0].reports[codec]]
    lost = np.array([report["erased"] for report in reports])
    num_lost = lost.reshape(len(CODECS), -1).sum(axis=1)
    assert num_lost[0] == num_lost[1]  # the two codecs see one link
    n = len(lost) // len(CODECS)
    assert abs(num_lost[0] / n - 0.1) <= 4 * np.sqrt(0.1 * 0.9 / n)
    for snr_db in SNR_DB:
        arrived = [r for r in reports if r["snr_db"] == snr_db and not r["erased"] and r["codec"] == CODECS[0]]
        rates = np.array([report["bit_errors"] for report in arrived]) / RATE
        snr = 10 ** (snr_db / 10)
        p = (1 - np.sqrt(snr / (2 + snr))) / 2
        assert abs(rates.mean() - p) <= 4 * rates.std(ddof=1) / np.sqrt(len(rates))
    assert {(report["coded_bits"], report["channel_uses"]) for report in reports} == {(RATE, RATE // 2)}


@pytest.mark.parametrize("link", BPSK)
def test_the_bit_error_rate_is_that_of_theory(runs: dict[str, list[Run]], link: str) -> None:
    for row in runs[link][0].printed:
        p = 0.0 if link == "ideal" else float(norm.sf(np.sqrt(2 * 10 ** (row["snr_db"] / 10))))
        assert abs(row["ber"] - p) <= 4 * np.sqrt(p * (1 - p) / (NUM_REPORTS * RATE))


def test_hard_and_soft_decisions_of_one_noise_are_wrong_in_the_same_places(runs: dict[str, list[Run]]) -> None:
    hard, soft = runs["digital:hard"][0], runs["digital:soft"][0]
    for codec in CODECS:
        errors = column(hard.reports[codec], "bit_errors")
        np.testing.assert_array_equal(errors, column(soft.reports[codec], "bit_errors"))
        assert errors.any()


def test_the_same_run_again_gives_the_same_figures(runs: dict[str, list[Run]]) -> None:
    first, second = runs["digital:soft"]
    for row, again in zip(first.printed, second.printed, strict=True):
        assert [row[name] for name in EXACT] == [again[name] for name in EXACT]
        assert row["nmse_db"] == pytest.approx(again["nmse_db"], abs=1e-5)
    for codec in CODECS:
        one, two = first.reports[codec], second.reports[codec]
        np.testing.assert_array_equal(column(one, "bit_errors"), column(two, "bit_errors"))
        for name in ("nmse", "sgcs"):  # a product of matrices rounds differently in a batch of another size
            np.testing.assert_allclose(column(one, name), column(two, name), rtol=1e-5)
