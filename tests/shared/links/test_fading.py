"""Closed forms over Rayleigh fading; MRC on the antennas themselves; the shipped uplink against its card."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import kstest

from shared.coding.channel_code import Uncoded
from shared.digests import sha256_of
from shared.links import combined_snr_db, make_link
from shared.links.error_probability import bit_error_probability
from shared.links.fading import FADINGS, MEAN_GAIN, UPLINK_FILE, uplink_channels
from shared.links.label import FADING_NAMES, FadingName
from shared.links.modulation import MODULATIONS
from shared.metrics import bit_errors
from shared.receive import decode_channel
from shared.rng import Randomness, Stage
from shared.types import Payload, Received

NUM_REPORTS = 6000


def decided(received: Received) -> Payload:
    return decode_channel(received, Uncoded(), received.length).payload


def streams(num_reports: int = NUM_REPORTS, run: int = 1) -> Randomness:
    return Randomness(run, np.full(num_reports, 9, dtype=np.int64), np.arange(num_reports))


def errors_per_report(label: str, snr_db: float, length: int, run: int) -> NDArray[np.int64]:
    bits = np.random.default_rng(run).integers(0, 2, (NUM_REPORTS, length), dtype=np.uint8)
    payload = Payload.of_equal_length(bits)
    snr = np.full(NUM_REPORTS, snr_db, dtype=np.float32)
    received = make_link(label).transmit(payload, snr, streams(run=run))
    return bit_errors(decode_channel(received, Uncoded(), payload.length).payload, payload)


def test_every_fading_of_a_label_has_a_gain() -> None:
    assert tuple(FADINGS) == FADING_NAMES


@pytest.mark.parametrize("fading", FADINGS)
def test_the_gain_of_a_report_is_its_own_whoever_shares_its_batch(fading: FadingName) -> None:
    whole = FADINGS[fading](streams(5), 70)
    for row in range(5):
        alone = FADINGS[fading](Randomness(1, np.array([9]), np.array([row])), 33)
        assert np.array_equal(alone[0], whole[row, : alone.shape[1]])
    assert not np.array_equal(FADINGS[fading](streams(5, run=2), 70), whole) or fading == "awgn"


def test_a_rayleigh_gain_is_exponentially_distributed_with_unit_mean() -> None:
    gain = FADINGS["rayleigh"](streams(), 1)[:, 0]
    assert gain.mean() == pytest.approx(1, abs=3 / np.sqrt(NUM_REPORTS))
    assert kstest(gain, "expon").pvalue > 1e-3


@pytest.mark.parametrize("snr_db", [0, 8, 14])
@pytest.mark.parametrize("label", ["digital:bsc:rayleigh", "digital:soft:rayleigh", "digital:hard:16qam:rayleigh"])
def test_the_bit_error_rate_over_rayleigh_fading_is_that_of_theory(label: str, snr_db: int) -> None:
    errors = errors_per_report(label, snr_db, 24, run=len(label) + snr_db) / 24
    modulation = MODULATIONS["16qam" if "16qam" in label else "bpsk"]
    expected = float(bit_error_probability(modulation, np.array(snr_db), "rayleigh"))
    if modulation.name == "bpsk":
        snr = 10 ** (snr_db / 10)
        assert expected == pytest.approx(0.5 * (1 - np.sqrt(snr / (1 + snr))), rel=1e-12)
    # the bits of a report share one gain, so reports, not bits, are the independent draws
    assert errors.mean() == pytest.approx(expected, abs=3 * errors.std() / np.sqrt(NUM_REPORTS))


def test_errors_over_block_fading_come_in_bursts() -> None:
    errors = errors_per_report("digital:bsc:rayleigh", 5, 24, run=3)
    p = errors.mean() / 24
    assert errors.var() > 3 * 24 * p * (1 - p)


def test_the_shipped_uplink_is_the_file_of_its_card_and_small() -> None:
    card = json.loads(UPLINK_FILE.with_suffix(".card.json").read_text())
    assert card["sha256"] == sha256_of(UPLINK_FILE)
    assert UPLINK_FILE.stat().st_size < 300_000
    assert (
        uplink_channels().shape == (card["num_channels"], card["num_tx_ant"], card["num_subcarriers"]) == (256, 8, 32)
    )


def test_uplink_realisations_are_distinct_and_of_unit_mean_power() -> None:
    h = uplink_channels()
    np.testing.assert_allclose(np.mean(np.abs(h) ** 2, axis=(1, 2)), 1, rtol=1e-5)
    assert len(np.unique(h[:, 0, 0])) == len(h)


def test_the_uplink_gain_is_that_of_eight_antennas_and_repeats_over_the_ofdm_symbols() -> None:
    gain = FADINGS["uplink"](streams(), 80)
    np.testing.assert_allclose(gain[:, :32].mean(axis=1), 8, rtol=1e-5)
    assert np.array_equal(gain[:, 32:64], gain[:, :32])
    assert np.array_equal(gain[:, 64:], gain[:, :16])
    assert gain.min() > 0
    assert (gain[:, :32].std(axis=1) > 0).all()
    every = {row.tobytes() for row in np.square(np.abs(uplink_channels())).sum(axis=1, dtype=np.float64)}
    assert {row.tobytes() for row in gain[:, :32].copy()} == every


def test_combining_the_antennas_themselves_gives_the_noise_that_the_gain_says() -> None:
    """MRC on y = h s + n, antenna by antenna: unbiased, noise variance no / ||h||^2."""
    generator, no, num_draws = np.random.default_rng(4), 0.5, 10_000
    h = uplink_channels()[3].astype(np.complex128)  # [antenna, subcarrier]
    symbol = complex(*MODULATIONS["qpsk"].map(np.array([[0, 1]], dtype=np.uint8))[0, 0].tolist())
    noise = generator.standard_normal((num_draws, 2, *h.shape)) * np.sqrt(no / 2)
    y = h * symbol + noise[:, 0] + 1j * noise[:, 1]
    combined = (h.conj() * y).sum(axis=1) / (np.abs(h) ** 2).sum(axis=0)
    expected = no / (np.abs(h) ** 2).sum(axis=0)
    standard_error = np.sqrt(1 / num_draws)
    np.testing.assert_allclose(combined.mean(axis=0), symbol, atol=4 * np.sqrt(expected.max()) * standard_error)
    np.testing.assert_allclose(combined.var(axis=0) / expected, 1, atol=4 * standard_error)


@pytest.mark.parametrize("label", ["digital:bsc:uplink", "digital:soft:uplink", "digital:hard:64qam:uplink"])
def test_the_bit_error_rate_over_the_uplink_is_the_mean_over_the_gains(label: str) -> None:
    modulation = MODULATIONS["64qam" if "64qam" in label else "bpsk"]
    snr_db = 10.0 if modulation.name == "64qam" else -6.0
    length = 32 * modulation.bits_per_symbol
    errors = errors_per_report(label, snr_db, length, run=len(label))
    gain = FADINGS["uplink"](streams(run=len(label)), 32)
    expected = bit_error_probability(modulation, snr_db + 10 * np.log10(gain)).mean(axis=1)
    excess = errors / length - expected
    assert errors.sum() > 1000
    assert excess.mean() == pytest.approx(0, abs=3 * excess.std() / np.sqrt(NUM_REPORTS))


@pytest.mark.parametrize("share", [0.01, 0.5])
@pytest.mark.parametrize("detector", ["bsc", "hard", "soft"])
def test_reports_are_lost_whole_at_their_rate_and_the_others_arrive_as_ever(detector: str, share: float) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (NUM_REPORTS, 8), dtype=np.uint8)
    payload, snr_db = Payload.of_equal_length(bits), np.zeros(NUM_REPORTS, dtype=np.float32)
    received = make_link(f"digital:{detector}:erasure-{share}").transmit(payload, snr_db, streams())
    whole = make_link(f"digital:{detector}").transmit(payload, snr_db, streams())
    lost = received.length == 0
    assert lost.mean() == pytest.approx(share, abs=3 * np.sqrt(share * (1 - share) / NUM_REPORTS))
    assert not received.values[lost].any()
    assert np.array_equal(received.values[~lost], whole.values[~lost])
    assert (received.length[~lost] == 8).all()


@pytest.mark.parametrize("fading", FADING_NAMES)
def test_the_mean_gain_is_that_of_the_realisations_and_what_combining_adds_to_the_snr(fading: FadingName) -> None:
    gain = FADINGS[fading](streams(), 32).mean(axis=1)
    rounding = np.finfo(np.float32).eps * MEAN_GAIN[fading]  # of the stored channels
    assert gain.mean() == pytest.approx(MEAN_GAIN[fading], abs=4 * gain.std() / np.sqrt(NUM_REPORTS) + rounding)
    for label in (f"digital:soft:{fading}:qpsk", f"analog:{fading}"):
        assert combined_snr_db(label, -3.0) == pytest.approx(-3 + 10 * np.log10(MEAN_GAIN[fading]))
    assert combined_snr_db("ideal", -3.0) is None


def test_noise_fading_and_erasure_have_streams_of_their_own() -> None:
    firsts = {number for stage in Stage for number in streams(3).uniform(stage, 1)[:, 0].tolist()}
    assert len(firsts) == 3 * len(Stage)
