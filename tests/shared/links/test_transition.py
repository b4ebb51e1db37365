import numpy as np
import pytest
from scipy.stats import norm

from shared.errors import InvalidArgumentError
from shared.links import make_link
from shared.links.label import MODULATION_NAMES, ModulationName
from shared.links.modulation import MODULATIONS
from shared.links.transition import MAX_BITS, count_transitions, level_transition, transition_probability

NUM_REPORTS = 6000
CASES = [("bpsk", 1, 0.0), ("bpsk", 3, 2.0), ("qpsk", 3, 3.0), ("16qam", 2, 6.0), ("16qam", 4, 8.0)]
CASES += [("16qam", 3, 8.0), ("64qam", 1, 10.0), ("64qam", 4, 12.0), ("256qam", 2, 15.0), ("256qam", 5, 20.0)]


@pytest.mark.parametrize("bits", [1, 2, 4, 6])
@pytest.mark.parametrize("snr_db", [-3.0, 2.0, 7.0])
def test_over_bpsk_it_is_the_formula_of_the_hamming_distance(bits: int, snr_db: float) -> None:
    p = norm.sf(np.sqrt(2 * 10 ** (snr_db / 10)))
    index = np.arange(2**bits)
    distance = np.bitwise_count(index[:, None] ^ index)
    expected = p**distance * (1 - p) ** (bits - distance)
    found = transition_probability(bits, snr_db)
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-9)
    assert (found.exact, found.num_counted) == (True, 0)


@pytest.mark.parametrize("modulation", MODULATION_NAMES)
@pytest.mark.parametrize("bits", [1, 2, 3, 5, 8])
def test_rows_are_probabilities(modulation: ModulationName, bits: int) -> None:
    for snr_db in (-20.0, 3.0, 40.0):
        matrix = transition_probability(bits, snr_db, modulation).matrix
        assert matrix.shape == (2**bits, 2**bits)
        assert matrix.min() >= 0
        np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("modulation", MODULATION_NAMES)
def test_at_a_high_snr_every_index_arrives(modulation: ModulationName) -> None:
    np.testing.assert_allclose(transition_probability(4, 60.0, modulation).matrix, np.eye(16), atol=1e-12)


@pytest.mark.parametrize(("modulation", "bits", "snr_db"), CASES)
def test_the_closed_form_is_what_is_counted(modulation: ModulationName, bits: int, snr_db: float) -> None:
    exact = transition_probability(bits, snr_db, modulation).matrix
    link = make_link(f"digital:hard:{modulation}")
    counted = count_transitions(bits, snr_db, link, NUM_REPORTS, indices_per_report=24, run=bits)
    assert (counted.exact, counted.num_counted) == (False, NUM_REPORTS * 24)
    np.testing.assert_allclose(counted.matrix.sum(axis=1), 1, rtol=1e-12)
    per_row = counted.num_counted / 2**bits
    # 24 indices begin at every place among the symbols equally often: 24 is a multiple of all the symbols' bits
    expected_count = exact * per_row
    seen = expected_count > 5  # fewer are not normally distributed
    error = np.abs(counted.matrix - exact) / np.sqrt(exact * (1 - exact) / per_row)
    assert seen.sum() >= 2**bits
    assert error[seen].max() < 4
    unseen = exact[~seen].sum() * per_row  # together they are Poisson
    assert abs(counted.matrix[~seen].sum() * per_row - unseen) <= 4 * np.sqrt(unseen) + 4


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_one_symbol_is_the_product_of_its_axes(bits: int) -> None:
    """QPSK, bit by bit, is BPSK at half the energy; a 16-QAM symbol is two PAM symbols with interleaved bits."""
    np.testing.assert_allclose(
        transition_probability(bits, 6.0, "qpsk").matrix, transition_probability(bits, 6.0 - 10 * np.log10(2)).matrix
    )
    axis = level_transition(MODULATIONS["16qam"].levels, 10**-0.8)
    whole = transition_probability(4, 8.0, "16qam").matrix
    for sent, detected in ((0b0000, 0b0000), (0b0110, 0b1010), (0b1101, 0b1001)):
        parts = [[(n >> 3 & 1) << 1 | (n >> 1 & 1), (n >> 2 & 1) << 1 | (n & 1)] for n in (sent, detected)]
        assert whole[sent, detected] == pytest.approx(axis[parts[0][0], parts[1][0]] * axis[parts[0][1], parts[1][1]])


def test_level_transitions_keep_their_digits_far_from_the_diagonal() -> None:
    levels = MODULATIONS["bpsk"].levels
    matrix = level_transition(levels, 10**-1.5)
    np.testing.assert_allclose(matrix[[0, 1], [1, 0]], norm.sf(np.sqrt(2 * 10**1.5)), rtol=1e-9)


def test_fading_and_erasures_are_counted() -> None:
    """Lost reports are no transitions; over Rayleigh fading one bit is wrong with the fading's probability."""
    link = make_link("digital:soft:rayleigh:erasure-0.25")
    found = count_transitions(1, 5.0, link, 20_000, indices_per_report=2)
    p = 0.5 * (1 - np.sqrt(10**0.5 / (1 + 10**0.5)))
    assert found.num_counted == pytest.approx(30_000, abs=4 * 2 * np.sqrt(20_000 * 0.1875))
    # two indices of a report share the gain: at most twice the variance
    assert found.matrix[0, 1] == pytest.approx(p, abs=4 * np.sqrt(2 * p * (1 - p) / 15_000))


def test_an_index_that_was_never_sent_arrives_as_it_is() -> None:
    found = count_transitions(6, 60.0, make_link("digital:hard"), 1, indices_per_report=2)
    np.testing.assert_array_equal(found.matrix, np.eye(64))


@pytest.mark.parametrize("bits", [0, MAX_BITS + 1])
def test_a_number_of_bits_out_of_range_is_refused(bits: int) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"`bits` must be in \[1, {MAX_BITS}\]; got {bits}"):
        transition_probability(bits, 0.0)
    with pytest.raises(InvalidArgumentError, match="`bits`"):
        count_transitions(bits, 0.0, make_link("ideal"), 1)
