import numpy as np
import pytest

from shared.estimation.pilots import C_INIT, csi_rs_symbols, gold_sequence


@pytest.mark.parametrize("c_init", [C_INIT, 0x12345, 2**31 - 1])
def test_the_sequence_is_the_one_of_sionna(c_init: int) -> None:
    sionna = pytest.importorskip("sionna.phy.nr.utils")
    np.testing.assert_array_equal(gold_sequence(3000, c_init), np.asarray(sionna.generate_prng_seq(3000, c_init)))


def test_the_sequence_obeys_the_two_recursions_of_the_standard() -> None:
    """c = x1 + x2, and (D^31 + D^3 + 1)(D^31 + D^3 + D^2 + D + 1) takes both away, whatever the start."""
    c = gold_sequence(400, C_INIT).astype(int)
    half = (c[31:] + c[3:-28] + c[:-31]) % 2
    whole = (half[31:] + half[3:-28] + half[2:-29] + half[1:-30] + half[:-31]) % 2
    assert half.any()
    assert not whole.any()


def test_pilots_are_qpsk_of_unit_power_and_use_all_four_points() -> None:
    pilots = csi_rs_symbols(32, 32)
    assert pilots.shape == (32, 32)
    np.testing.assert_allclose(np.abs(pilots), 1)
    points, counts = np.unique(np.round(pilots * np.sqrt(2)), return_counts=True)
    assert sorted(points.tolist(), key=lambda p: (p.real, p.imag)) == [-1 - 1j, -1 + 1j, 1 - 1j, 1 + 1j]
    assert counts.min() > 200
