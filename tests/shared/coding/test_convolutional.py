import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from shared.coding.convolutional import GENERATORS, MEMORY, ConvolutionalCode
from shared.coding.crc import append_crc, num_crc_bits

RATES = ("1/2", "1/3")


def all_words(num_bits: int) -> NDArray[np.uint8]:
    return np.array(list(itertools.product((0, 1), repeat=num_bits)), dtype=np.uint8)


@pytest.mark.parametrize(("rate", "generators"), [("1/2", (0o133, 0o171)), ("1/3", (0o133, 0o171, 0o165))])
def test_a_single_one_is_answered_by_the_generators(rate: str, generators: tuple[int, ...]) -> None:
    coded = ConvolutionalCode(rate).encode(np.array([[1]], dtype=np.uint8))
    for index, generator in enumerate(generators):
        assert "".join(map(str, coded[0, index :: len(generators)])) == f"{generator:07b}"


@pytest.mark.parametrize("num_info_bits", [1, 2, 9, 10, 11, 12, 64, 111, 112, 128])
@pytest.mark.parametrize("rate", RATES)
def test_an_output_is_the_sum_of_the_inputs_at_its_taps_whatever_the_length(rate: str, num_info_bits: int) -> None:
    bits = np.random.default_rng(num_info_bits).integers(0, 2, (5, num_info_bits), dtype=np.uint8)
    padded = np.pad(append_crc(bits), ((0, 0), (MEMORY, MEMORY)))
    outputs = []
    for generator in GENERATORS[rate]:
        taps = [generator >> delay & 1 for delay in range(MEMORY + 1)]  # the oldest input first
        outputs.append(np.lib.stride_tricks.sliding_window_view(padded, MEMORY + 1, axis=1) @ taps % 2)
    assert np.array_equal(ConvolutionalCode(rate).encode(bits), np.stack(outputs, axis=2).reshape(5, -1))


@pytest.mark.parametrize(("rate", "distance"), [("1/2", 10), ("1/3", 15)])
def test_the_lightest_word_has_the_free_distance(rate: str, distance: int) -> None:
    """J. G. Proakis, *Digital Communications*, tables 8-2-1 and 8-2-2: 10 and 15, the most that 64 states can have."""
    weights = ConvolutionalCode(rate).encode(all_words(11)[1:]).sum(axis=1)
    assert weights.min() == distance


@pytest.mark.parametrize("rate", RATES)
def test_the_decoder_finds_the_most_likely_word(rate: str) -> None:
    code, words = ConvolutionalCode(rate), all_words(8)
    llrs = np.random.default_rng(3).standard_normal((200, code.num_coded_bits(8))).astype(np.float32)
    likelihood = llrs.astype(np.float64) @ code.encode(words).T  # [report, word]
    assert (code.decode(llrs, 8).bits == words[likelihood.argmax(axis=1)]).all()


def test_the_bit_error_rate_is_below_the_union_bound_and_near_it() -> None:
    """J. Conan, "The weight spectra of some short low-rate convolutional codes", IEEE Trans. Commun. 32, 1984.

    There are code words at every second distance from 10 on. The terms left out add a fifth to the bound, which is no
    more than three times the truth here; the errors come in bursts, so their spread is taken over reports.
    """
    information_weight = [36, 211, 1404, 11633, 77433, 502690, 3322763, 21292910, 134365911, 843425871]
    ebn0, num_info_bits, num_reports = 10**0.3, 500, 3000
    bound = sum(weight * norm.sf(np.sqrt(2 * (10 + 2 * i) * 0.5 * ebn0)) for i, weight in enumerate(information_weight))
    code, rng = ConvolutionalCode("1/2"), np.random.default_rng(4)
    bits = rng.integers(0, 2, (num_reports, num_info_bits), dtype=np.uint8)
    coded = code.encode(bits)
    received = 2.0 * coded - 1 + rng.standard_normal(coded.shape) * np.sqrt(1 / ebn0)  # Es = Eb / 2
    ber = (code.decode(received.astype(np.float32), num_info_bits).bits != bits).mean(axis=1)
    standard_error = ber.std() / np.sqrt(num_reports)
    assert bound / 4 < ber.mean() - 2 * standard_error
    assert ber.mean() + 2 * standard_error < bound


@pytest.mark.parametrize(
    ("rate", "polynomials"), [("1/2", ("1011011", "1111001")), ("1/3", ("1011011", "1111001", "1110101"))]
)
def test_encoder_and_decoder_agree_with_sionna(rate: str, polynomials: tuple[str, ...]) -> None:
    pytest.importorskip("sionna")
    import torch
    from sionna.phy.fec.conv import ConvEncoder, ViterbiDecoder

    code, rng, num_info_bits = ConvolutionalCode(rate), np.random.default_rng(5), 60
    bits = rng.integers(0, 2, (100, num_info_bits), dtype=np.uint8)
    coded = code.encode(bits)
    encoder = ConvEncoder(polynomials, terminate=True, device="cpu")
    assert (encoder(torch.from_numpy(append_crc(bits)).float()).numpy() == coded).all()
    assert coded.shape[1] == (num_info_bits + num_crc_bits(num_info_bits) + MEMORY) * len(polynomials)
    llrs = (2.0 * coded - 1 + rng.standard_normal(coded.shape)).astype(np.float32)
    theirs = ViterbiDecoder(encoder=encoder, method="soft_llr", device="cpu")(torch.from_numpy(llrs)).numpy()
    ours = code.decode(llrs, num_info_bits)
    assert (ours.bits == theirs[:, :num_info_bits]).all()
    assert 0 < (ours.bits != bits).any(axis=1).sum() < 100
