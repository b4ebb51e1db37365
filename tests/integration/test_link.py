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
from scipy.stats import norm

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, make_decoder, make_encoder
from shared.experiments.demo import BaseStationProcess
from shared.links import make_link
from shared.metrics import bit_errors, nmse
from shared.model_files import load_model
from shared.receive import receive
from shared.rng import Randomness

SEED, UE_ID, RATE, NUM_REPORTS = 7, 4711, 128, 150
SNR_DB = (0.0, 6.0)
LINKS = ("ideal", "digital:bsc", "digital:hard", "digital:soft")
CODECS = ("klt", "angular-topk")
EXACT = ("codec", "rate", "snr_db", "reports", "ber", "bler", "fallbacks", "refused")


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


def in_process(indoor: ChannelSet, codec: str, link: str) -> tuple[np.ndarray, np.ndarray]:
    """Return NMSE and bit errors of the same reports, without sockets, frames, batches and store."""
    model = load_model(codec)
    encoder, decoder = make_encoder(model, torch.device("cpu")), make_decoder(model, torch.device("cpu"))
    errors, wrong_bits = [], []
    for i, snr_db in enumerate(SNR_DB):
        snr = np.full(NUM_REPORTS, snr_db, dtype=np.float32)
        sequence = np.arange(NUM_REPORTS) + i * NUM_REPORTS
        randomness = Randomness(SEED, np.full(NUM_REPORTS, UE_ID), sequence)
        h = indoor.h[:NUM_REPORTS]
        payload = encoder.encode(h, EncodeContext(RATE, snr, randomness))
        received = make_link(link).transmit(payload, snr, randomness)
        reception = receive(received, decoder, DecodeContext(RATE, snr))
        errors.append(nmse(reception.h_hat, h).numpy())
        wrong_bits.append(bit_errors(reception.payload, payload))
    return np.concatenate(errors), np.concatenate(wrong_bits)


def column(reports: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    by_sequence = sorted(reports, key=lambda report: report["sequence"])
    assert [report["sequence"] for report in by_sequence] == list(range(NUM_REPORTS * len(SNR_DB)))
    return np.array([report[name] for report in by_sequence])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("link", LINKS)
def test_two_processes_measure_what_one_computes(
    runs: dict[str, list[Run]], station: BaseStationProcess, indoor: ChannelSet, link: str, codec: str
) -> None:
    expected_nmse, expected_errors = in_process(indoor, codec, link)
    reports = runs[link][0].reports[codec]
    np.testing.assert_array_equal(column(reports, "bit_errors"), expected_errors)
    np.testing.assert_allclose(column(reports, "nmse"), expected_nmse, rtol=1e-5)
    summary = station.get(f"/v1/metrics/summary?session={reports[0]['session_id']}&group_by=snr_db")
    printed = [row for row in runs[link][0].printed if row["codec"] == codec]
    for i, (group, row) in enumerate(zip(summary["groups"], printed, strict=True)):
        chosen = slice(i * NUM_REPORTS, (i + 1) * NUM_REPORTS)
        assert (group["snr_db"], group["num_scored"]) == (SNR_DB[i], NUM_REPORTS)
        assert group["nmse"]["mean"] == pytest.approx(expected_nmse[chosen].mean(), rel=1e-6)
        assert group["ber"] == row["ber"] == expected_errors[chosen].sum() / (NUM_REPORTS * RATE)
        assert group["bler"]["value"] == row["bler"] == (expected_errors[chosen] > 0).mean()
        assert group["nmse"]["mean_db"] == pytest.approx(row["nmse_db"], abs=1e-9)


@pytest.mark.parametrize("link", LINKS)
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
