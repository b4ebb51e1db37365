"""TS 38.211, clause 5.1, as printed; Sionna; exact sums over the regions of the constellation."""

import math
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from shared.links.error_probability import bit_error_probability
from shared.links.modulation import MODULATIONS, Modulation
from shared.links.transition import level_transition

NUM_BITS = 480_000
SNR_DB = {"bpsk": (0, 4, 7), "qpsk": (2, 6, 10), "16qam": (4, 10, 15), "64qam": (8, 15, 21), "256qam": (10, 20, 27)}


@cache
def observed(name: str, snr_db: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return bits, and their symbols after AWGN: [batch, symbol, axis]."""
    generator = np.random.default_rng([int(snr_db) + 40, len(name)])
    bits = generator.integers(0, 2, (10, NUM_BITS // 10), dtype=np.uint8)
    symbols = MODULATIONS[name].map(bits)  # type: ignore[index]
    return bits, symbols + generator.standard_normal(symbols.shape) * np.sqrt(no_of(snr_db) / 2)


def as_complex(axes: NDArray[np.floating]) -> NDArray[np.complex128]:
    """Return [batch, symbol] of [batch, symbol, axis]."""
    return np.asarray(axes @ np.array([1, 1j])[: axes.shape[-1]])


def no_of(snr_db: float) -> float:
    return float(10 ** (-snr_db / 10))


def labels_of(modulation: Modulation) -> NDArray[np.uint8]:
    """Return every label once: [2^bits_per_symbol, bits_per_symbol]."""
    bits = modulation.bits_per_symbol
    return (np.arange(2**bits)[:, None] >> np.arange(bits)[::-1] & 1).astype(np.uint8)


def of_the_standard(name: str, b: list[int]) -> complex:
    s = [1 - 2 * bit for bit in b]
    match name:
        case "bpsk":
            return complex(s[0])
        case "qpsk":
            return complex(s[0], s[1]) / math.sqrt(2)
        case "16qam":
            return complex(s[0] * (2 - s[2]), s[1] * (2 - s[3])) / math.sqrt(10)
        case "64qam":
            return complex(s[0] * (4 - s[2] * (2 - s[4])), s[1] * (4 - s[3] * (2 - s[5]))) / math.sqrt(42)
    in_phase, quadrature = (s[i] * (8 - s[i + 2] * (4 - s[i + 4] * (2 - s[i + 6]))) for i in (0, 1))
    return complex(in_phase, quadrature) / math.sqrt(170)


modulations = pytest.mark.parametrize("modulation", MODULATIONS.values(), ids=MODULATIONS)
at_three_snrs = pytest.mark.parametrize(("name", "snr_db"), [(name, snr) for name in SNR_DB for snr in SNR_DB[name]])


@modulations
def test_symbols_are_those_of_the_standard_and_have_unit_energy(modulation: Modulation) -> None:
    labels = labels_of(modulation)
    symbols = as_complex(modulation.map(labels))[:, 0]
    np.testing.assert_allclose(symbols, [of_the_standard(modulation.name, b.tolist()) for b in labels], rtol=1e-6)
    assert np.mean(np.abs(symbols) ** 2) == pytest.approx(1)


@modulations
def test_nearest_neighbours_differ_in_one_bit(modulation: Modulation) -> None:
    labels = labels_of(modulation)
    symbols = as_complex(modulation.map(labels))[:, 0]
    distance = np.abs(symbols[:, None] - symbols)
    neighbours = np.isclose(distance, distance[distance > 1e-9].min())
    assert neighbours.any(axis=1).all()
    assert ((labels[:, None] != labels).sum(axis=2)[neighbours] == 1).all()


@modulations
@pytest.mark.parametrize("num_bits", [0, 1, 7, 8, 48])
def test_without_noise_the_bits_come_back_whatever_their_number(modulation: Modulation, num_bits: int) -> None:
    bits = np.random.default_rng(num_bits).integers(0, 2, (3, num_bits), dtype=np.uint8)
    symbols = modulation.map(bits)
    num_symbols = -(-num_bits // modulation.bits_per_symbol)
    assert modulation.num_symbols(num_bits) == num_symbols
    assert symbols.shape == (3, num_symbols, modulation.num_axes)
    assert np.array_equal(modulation.hard(symbols)[:, :num_bits], bits)
    assert np.array_equal(modulation.llrs(symbols, np.full((3, 1), 1e-4))[:, :num_bits] > 0, bits == 1)
    assert not modulation.hard(symbols)[:, num_bits:].any()


@modulations
def test_a_hard_decision_is_the_nearest_symbol_of_all(modulation: Modulation) -> None:
    _, y = observed(modulation.name, SNR_DB[modulation.name][0])
    labels, some = labels_of(modulation), y[:, :200]
    symbols = as_complex(modulation.map(labels))[:, 0]
    nearest = labels[np.abs(as_complex(some)[:, :, None] - symbols).argmin(axis=2)]
    assert np.array_equal(modulation.hard(some), nearest.reshape(len(some), -1))


@modulations
@pytest.mark.parametrize("snr_db", [-5, 5, 15])
def test_an_llr_is_that_of_the_sum_over_all_symbols(modulation: Modulation, snr_db: float) -> None:
    _, y = observed(modulation.name, snr_db)
    labels, some, no = labels_of(modulation), y[:1, :200], no_of(snr_db)
    level = [of_the_standard(modulation.name, b.tolist()) for b in labels]
    metric = -(np.abs(as_complex(some)[0, :, None] - level) ** 2) / no
    expected = [
        np.logaddexp.reduce(metric[:, bit == 1], axis=1) - np.logaddexp.reduce(metric[:, bit == 0], axis=1)
        for bit in labels.T
    ]
    llrs = modulation.llrs(some, np.full((1, 1), no))[0].reshape(-1, modulation.bits_per_symbol)
    np.testing.assert_allclose(llrs, np.transpose(expected), rtol=1e-9, atol=1e-9)


@modulations
def test_every_symbol_has_the_noise_power_that_belongs_to_it(modulation: Modulation) -> None:
    _, y = observed(modulation.name, 10)
    no = np.random.default_rng(1).uniform(0.05, 1, (1, 50))
    llrs = modulation.llrs(y[:1, :50], no)
    alone = [modulation.llrs(y[:1, i : i + 1], no[:, i : i + 1]) for i in range(50)]
    np.testing.assert_allclose(llrs, np.concatenate(alone, axis=1), rtol=1e-12)


@at_three_snrs
def test_the_sign_of_an_llr_is_the_hard_decision_but_for_bits_close_to_a_threshold(name: str, snr_db: float) -> None:
    modulation = MODULATIONS[name]  # type: ignore[index]
    _, y = observed(name, snr_db)
    hard, llrs = modulation.hard(y), modulation.llrs(y, np.full((len(y), 1), no_of(snr_db)))
    differ = (llrs > 0) != hard
    if modulation.bits_per_axis == 1:
        assert not differ.any()
    # the nearest symbol is one term of its sum, and the sum of the other side has at most L/2 that are no greater
    assert (np.abs(llrs[differ]) <= np.log(len(modulation.levels) / 2) + 1e-9).all()


@at_three_snrs
def test_deciding_by_the_llr_loses_no_bits_to_deciding_by_the_symbol(name: str, snr_db: float) -> None:
    modulation = MODULATIONS[name]  # type: ignore[index]
    bits, y = observed(name, snr_db)
    soft = modulation.llrs(y, np.full((len(y), 1), no_of(snr_db))) > 0
    differ = soft != modulation.hard(y)
    wrong = int((soft[differ] != bits[differ]).sum())  # of those that differ, at most half but for chance
    assert wrong <= differ.sum() / 2 + 3 * np.sqrt(differ.sum() / 4)


@at_three_snrs
def test_the_bit_error_rate_is_within_three_standard_errors_of_theory(name: str, snr_db: float) -> None:
    modulation = MODULATIONS[name]  # type: ignore[index]
    bits, y = observed(name, snr_db)
    wrong_in_symbol = (modulation.hard(y) != bits).reshape(-1, modulation.bits_per_symbol).sum(axis=1)
    rate = wrong_in_symbol.mean() / modulation.bits_per_symbol
    standard_error = wrong_in_symbol.std() / modulation.bits_per_symbol / np.sqrt(len(wrong_in_symbol))
    expected = float(bit_error_probability(modulation, np.array(snr_db)))
    assert rate * NUM_BITS > 100
    assert rate == pytest.approx(expected, abs=3 * standard_error)


@at_three_snrs
def test_the_formula_of_cho_and_yoon_is_the_sum_over_the_regions_of_the_axis(name: str, snr_db: float) -> None:
    modulation = MODULATIONS[name]  # type: ignore[index]
    transition = level_transition(modulation.levels, no_of(snr_db))
    label = np.arange(len(modulation.levels))
    num_wrong = np.bitwise_count(label[:, None] ^ label)
    expected = (transition * num_wrong).sum() / (len(label) * modulation.bits_per_axis)
    assert float(bit_error_probability(modulation, np.array(snr_db))) == pytest.approx(expected, rel=1e-9)


@modulations
def test_the_formula_over_rayleigh_fading_is_the_mean_over_the_gain(modulation: Modulation) -> None:
    snr_db, step = 12.0, 1e-3
    amplitude = np.arange(step / 2, 7, step)  # of the coefficient; its density is 2 a exp(-a^2)
    at_gain = bit_error_probability(modulation, snr_db + 20 * np.log10(amplitude))
    mean = float((at_gain * 2 * amplitude * np.exp(-(amplitude**2))).sum() * step)
    assert float(bit_error_probability(modulation, np.array(snr_db), "rayleigh")) == pytest.approx(mean, rel=1e-4)


def test_qpsk_errs_as_bpsk_does_at_half_its_energy() -> None:
    assert float(bit_error_probability(MODULATIONS["qpsk"], np.array(6.0))) == pytest.approx(
        norm.sf(np.sqrt(10**0.6)), rel=1e-12
    )


@modulations
def test_symbols_and_llrs_are_those_of_sionna(modulation: Modulation) -> None:
    pytest.importorskip("sionna")
    import torch
    from sionna.phy.mapping import Demapper, Mapper

    kind = ("pam" if modulation.num_axes == 1 else "qam", modulation.bits_per_symbol)
    bits, y = observed(modulation.name, 10)
    some_bits, some = bits[:2, :480], y[:2, : 480 // modulation.bits_per_symbol]
    symbols = Mapper(*kind, precision="double", device="cpu")(torch.from_numpy(some_bits.astype(np.float64)))
    np.testing.assert_allclose(as_complex(modulation.map(some_bits)), symbols.numpy(), rtol=1e-6)
    demapper = Demapper("app", *kind, precision="double", device="cpu")
    llrs = demapper(torch.from_numpy(as_complex(some)), torch.tensor(0.1, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(modulation.llrs(some, np.full((2, 1), 0.1)), llrs, rtol=1e-5, atol=1e-5)
