import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from shared.coding.quantizers import lloyd_max, nearest_index


@pytest.mark.parametrize(("num_bits", "distortion"), [(1, 0.3634), (2, 0.1175), (3, 0.03454)])
def test_the_codebook_of_a_gaussian_reaches_the_distortion_of_the_table_of_max(
    num_bits: int, distortion: float
) -> None:
    """J. Max, "Quantizing for minimum distortion", IRE Trans. Inf. Theory 6, 1960, table I."""
    samples = norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    codebook = lloyd_max(samples, num_bits, num_iterations=500)
    error = np.abs(samples[:, None] - codebook).min(axis=1)
    assert np.mean(error**2) == pytest.approx(distortion, rel=2e-3)
    assert (np.diff(codebook) > 0).all()
    assert codebook == pytest.approx(-codebook[::-1], abs=1e-3)


def test_the_weight_of_a_sample_counts_as_if_it_were_there_so_many_times() -> None:
    values = np.array([0.0, 1.0, 4.0, 5.0, 9.0])
    weights = np.array([3.0, 1.0, 1.0, 2.0, 1.0])
    repeated = np.repeat(values, weights.astype(int))
    assert lloyd_max(values, 1, weights) == pytest.approx(lloyd_max(repeated, 1))


@given(
    values=st.lists(st.integers(-160, 160), min_size=1, max_size=20),
    levels=st.lists(st.integers(-80, 80), min_size=1, max_size=16, unique=True),
)
def test_the_nearest_level_is_that_of_a_search_over_all_and_of_two_the_lower(
    values: list[int], levels: list[int]
) -> None:
    # Sixteenths and eighths are exact in every precision, midpoints among them.
    codebook = np.sort(np.array(levels, dtype=np.float32)) / 8
    exact = np.array(values, dtype=np.float32) / 16
    index = nearest_index(torch.from_numpy(exact), torch.from_numpy(codebook))
    distance = np.abs(exact[:, None] - codebook)
    assert index.tolist() == distance.argmin(axis=1).tolist()
