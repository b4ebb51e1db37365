"""Theory as the reference: BPSK over AWGN errs with probability Q(sqrt(2 Es/N0))."""

import hashlib
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, norm

from shared.coding.channel_code import Uncoded
from shared.links import make_link
from shared.links.digital import bpsk_bit_error_probability
from shared.links.fading import FADINGS
from shared.links.label import FadingName, ModulationName
from shared.links.modulation import MODULATIONS
from shared.metrics import bit_errors
from shared.receive import decode_channel
from shared.rng import Randomness, Stage
from shared.types import Payload, Received

SNR_DB = (-5, -3, -1, 1, 3, 5, 7, 9)
NUM_REPORTS, LENGTH = 4000, 500
NUM_BITS = NUM_REPORTS * LENGTH
RUNS = {"digital:bsc": 1, "digital:hard": 2, "digital:soft": 3}  # each detector has noise of its own


def decided(received: Received) -> Payload:
    return decode_channel(received, Uncoded(), received.length).payload


def transmit(label: str, snr_db: float, run: int) -> tuple[Payload, Received]:
    bits = np.random.default_rng(run).integers(0, 2, (NUM_REPORTS, LENGTH), dtype=np.uint8)
    payload = Payload.of_equal_length(bits)
    randomness = Randomness(run, np.zeros(NUM_REPORTS, dtype=np.uint32), np.arange(NUM_REPORTS))
    return payload, make_link(label).transmit(payload, np.full(NUM_REPORTS, snr_db, dtype=np.float32), randomness)


@cache
def errors_per_report(label: str, snr_db: float) -> NDArray[np.int64]:
    payload, received = transmit(label, snr_db, RUNS[label])
    return bit_errors(decode_channel(received, Uncoded(), payload.length).payload, payload)


def q_function(snr_db: float) -> float:
    return float(norm.sf(np.sqrt(2 * 10 ** (snr_db / 10))))


@pytest.mark.parametrize(("snr_db", "published"), [(0, 7.86e-2), (6, 2.39e-3), (10, 3.87e-6)])
def test_the_bit_error_probability_is_the_published_one(snr_db: float, published: float) -> None:
    p = float(bpsk_bit_error_probability(np.array([snr_db]))[0])
    assert f"{p:.2e}" == f"{published:.2e}"


@pytest.mark.parametrize(
    ("label", "sha256"), [("digital:bsc", "267157e1fb3263af"), ("digital:hard", "1216a0cea36363cb")]
)
def test_what_bpsk_over_awgn_makes_of_a_report_is_pinned(label: str, sha256: str) -> None:
    """A run repeats over releases; these digests are newer than 0.1.0, whose streams were others."""
    bits = np.random.default_rng(1).integers(0, 2, (300, 500), dtype=np.uint8)
    length = np.random.default_rng(2).integers(0, 501, 300)
    payload = Payload(bits * (np.arange(500) < length[:, None]), length)
    snr_db = np.linspace(-10, 12, 300).astype(np.float32)
    received = make_link(label).transmit(payload, snr_db, Randomness(5, np.arange(300), np.arange(300) * 3))
    assert hashlib.sha256(received.values.tobytes() + received.length.tobytes()).hexdigest()[:16] == sha256


def test_the_llrs_of_a_report_are_pinned() -> None:
    payload = Payload.of_equal_length(np.array([[1, 0] * 6], dtype=np.uint8))
    randomness = Randomness(7, np.array([3]), np.array([0]))
    received = make_link("digital:soft").transmit(payload, np.array([2], dtype=np.float32), randomness)
    assert received.values.tolist() == [[46, -40, -1, -12, 18, -57, 33, -97, 55, -13, 36, -62]]


@pytest.mark.parametrize("snr_db", SNR_DB)
@pytest.mark.parametrize("label", RUNS)
def test_the_bit_error_rate_is_within_three_standard_errors_of_theory(label: str, snr_db: float) -> None:
    p = q_function(snr_db)
    standard_error = np.sqrt(p * (1 - p) / NUM_BITS)
    assert errors_per_report(label, snr_db).sum() / NUM_BITS == pytest.approx(p, abs=3 * standard_error)


@pytest.mark.parametrize("snr_db", SNR_DB)
@pytest.mark.parametrize("symbols", ["digital:hard", "digital:soft"])
def test_the_binary_symmetric_channel_cannot_be_told_from_the_symbols(symbols: str, snr_db: float) -> None:
    bsc, other = errors_per_report("digital:bsc", snr_db), errors_per_report(symbols, snr_db)
    wrong = [int(bsc.sum()), int(other.sum())]
    assert chi2_contingency([wrong, [NUM_BITS - count for count in wrong]]).pvalue > 1e-3
    assert chi2_contingency(np.array(histograms(bsc, other))).pvalue > 1e-3


def histograms(a: NDArray[np.int64], b: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Count reports by their errors, in up to eight classes that both together fill."""
    edges = np.unique(np.quantile(np.concatenate([a, b]), np.linspace(0, 1, 9)[1:-1]).astype(int))
    return [np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) for values in (a, b)]


def test_a_hard_decision_is_the_sign_of_the_llr() -> None:
    _, hard = transmit("digital:hard", -2.0, run=4)
    _, soft = transmit("digital:soft", -2.0, run=4)
    assert np.array_equal(decode_channel(soft, Uncoded(), soft.length).payload.bits, hard.values)
    assert not (soft.values == 0).any()


def test_an_llr_is_the_log_odds_of_its_bit_in_eighths() -> None:
    """Of the bits whose LLR is L, a share of 1 / (1 + exp(-L)) is 1."""
    payload, soft = transmit("digital:soft", -4.0, run=5)
    for llr in (-24, -8, 8, 16):
        chosen = np.abs(soft.values.astype(int) - llr) <= 1
        assert chosen.sum() > 10_000
        share = payload.bits[chosen].mean()
        assert share == pytest.approx(1 / (1 + np.exp(-llr / 8)), abs=4 * np.sqrt(0.25 / chosen.sum()))


@pytest.mark.parametrize("num_bits", [1, 8, 145])
@pytest.mark.parametrize("fading", ["awgn", "rayleigh", "uplink"])
@pytest.mark.parametrize("name", ["bpsk", "qpsk"])
def test_the_llrs_of_one_bit_an_axis_are_those_that_the_modulation_makes_of_y(
    name: ModulationName, fading: FadingName, num_bits: int
) -> None:
    modulation, randomness = MODULATIONS[name], Randomness(3, np.zeros(50, dtype=np.uint32), np.arange(50))
    bits = np.random.default_rng(1).integers(0, 2, (50, num_bits), dtype=np.uint8)
    snr_db = np.linspace(-15, 15, 50).astype(np.float32)
    link = make_link(f"digital:soft:{name}:{fading}")
    values = link.transmit(Payload.of_equal_length(bits), snr_db, randomness).values
    symbols = modulation.map(bits)
    no = 1 / (10 ** (snr_db[:, None].astype(np.float64) / 10) * FADINGS[fading](randomness, symbols.shape[1]))
    noise = randomness.normal(Stage.LINK, symbols.shape[1] * symbols.shape[2]).reshape(symbols.shape)
    llrs = modulation.llrs(symbols + noise * np.sqrt(no / 2)[:, :, None], no)[:, :num_bits]
    steps = np.clip(8 * llrs, -127, 127)
    assert np.array_equal(values > 0, llrs > 0)
    assert np.abs(np.where(np.abs(steps) < 1, np.sign(steps), steps) - values).max() < 0.5 + 1e-3


@pytest.mark.parametrize("label", ["digital:soft:qpsk:uplink", "digital:hard:16qam", "digital:soft:16qam:rayleigh"])
def test_a_report_is_received_alike_whatever_the_lengths_beside_it(label: str) -> None:
    link, randomness = make_link(label), Randomness(1, np.zeros(30, dtype=np.uint32), np.arange(30))
    snr_db, length = np.full(30, 3, dtype=np.float32), np.arange(30) % 3 * 20
    bits = np.random.default_rng(1).integers(0, 2, (30, 40), dtype=np.uint8) * (np.arange(40) < length[:, None])
    mixed = link.transmit(Payload(bits, length), snr_db, randomness)
    assert mixed.length.tolist() == length.tolist()
    for num_bits in (0, 20, 40):
        rows = np.flatnonzero(length == num_bits)
        alike = Payload.of_equal_length(bits[rows, :num_bits])
        alone = link.transmit(alike, snr_db[rows], randomness.of(rows))
        assert np.array_equal(alone.values, mixed.values[rows, :num_bits])
        assert not mixed.values[rows, num_bits:].any()


def test_an_snr_belongs_to_its_own_report() -> None:
    payload = Payload.of_equal_length(np.zeros((2, LENGTH), dtype=np.uint8))
    randomness = Randomness(1, np.zeros(2, dtype=np.uint32), np.arange(2))
    received = make_link("digital:bsc").transmit(payload, np.array([-10, 20], dtype=np.float32), randomness)
    assert received.values[0].sum() > 100
    assert received.values[1].sum() == 0
