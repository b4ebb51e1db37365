"""Power and the SNR after combining, as the closed form has them."""

import numpy as np
import pytest

from shared.errors import InvalidArgumentError
from shared.links.analog import transmit_symbols
from shared.links.fading import FADINGS
from shared.links.label import FadingName
from shared.rng import Randomness

NUM_REPORTS, NUM_SYMBOLS = 2000, 64
generator = np.random.default_rng(8)
Z = (5 * generator.standard_normal((NUM_REPORTS, NUM_SYMBOLS, 2)) + 3).astype(np.float32).view(np.complex64)[..., 0]
STREAMS = Randomness(1, np.full(NUM_REPORTS, 3), np.arange(NUM_REPORTS))


def snr(snr_db: float) -> np.ndarray:
    return np.full(NUM_REPORTS, snr_db, dtype=np.float32)


@pytest.mark.parametrize("fading", FADINGS)
def test_without_noise_the_symbols_arrive_at_unit_power_a_report(fading: FadingName) -> None:
    received = transmit_symbols(Z * np.float32(7), snr(90), fading, STREAMS)
    power = np.mean(np.abs(Z) ** 2, axis=1, keepdims=True)
    usual = np.quantile(received.no_eff, 0.99)  # a deep fade has noise at any SNR
    calm = (received.no_eff < usual).all(axis=1)
    np.testing.assert_allclose(received.symbols[calm], (Z / np.sqrt(power))[calm], atol=6 * np.sqrt(usual))
    np.testing.assert_allclose(np.mean(np.abs(received.symbols[calm]) ** 2, axis=1), 1, rtol=1e-2)


@pytest.mark.parametrize("snr_db", [-5.0, 5.0])
@pytest.mark.parametrize(("fading", "mean_gain"), [("awgn", 1), ("uplink", 8)])
def test_the_noise_is_what_is_said_of_it_and_the_snr_that_of_theory(
    fading: FadingName, mean_gain: int, snr_db: float
) -> None:
    received = transmit_symbols(Z, snr(snr_db), fading, STREAMS)
    noise = received.symbols - Z / np.sqrt(np.mean(np.abs(Z) ** 2, axis=1, keepdims=True))
    ratio = np.abs(noise) ** 2 / received.no_eff  # exponentially distributed with unit mean
    assert ratio.mean() == pytest.approx(1, abs=4 / np.sqrt(ratio.size))
    assert ratio.std() == pytest.approx(1, abs=0.03)
    assert abs((noise / np.sqrt(received.no_eff)).mean()) < 4 / np.sqrt(ratio.size)
    combined_snr = (1 / received.no_eff).mean(axis=1)
    np.testing.assert_allclose(combined_snr, mean_gain * 10 ** (snr_db / 10), rtol=1e-4)


def test_over_rayleigh_fading_a_report_has_one_noise_power_and_the_mean_snr_is_the_asked_one() -> None:
    received = transmit_symbols(Z, snr(3.0), "rayleigh", STREAMS)
    assert (received.no_eff == received.no_eff[:, :1]).all()
    gain = 1 / (received.no_eff[:, 0] * 10**0.3)
    assert gain.mean() == pytest.approx(1, abs=4 / np.sqrt(NUM_REPORTS))


@pytest.mark.parametrize("fading", FADINGS)
def test_a_report_arrives_the_same_whoever_shares_its_batch(fading: FadingName) -> None:
    whole = transmit_symbols(Z, snr(0.0), fading, STREAMS)
    alone = transmit_symbols(Z[7:8], snr(0.0)[:1], fading, Randomness(1, np.array([3]), np.array([7])))
    assert np.array_equal(alone.symbols[0], whole.symbols[7])
    assert np.array_equal(alone.no_eff[0], whole.no_eff[7])


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_a_report_without_power_is_refused(value: float) -> None:
    z = np.ones((2, 4), dtype=np.complex64)
    z[1] = value
    with pytest.raises(InvalidArgumentError, match="`z` must be finite and have power"):
        transmit_symbols(z, snr(0.0)[:2], "awgn", Randomness(1, np.zeros(2, dtype=int), np.arange(2)))
