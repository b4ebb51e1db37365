import pytest
import torch

from shared.codecs.compressed_sensing.front_end import measurement_matrix
from shared.model_files import load_model
from shared.training.compressed_sensing import ATOMS, BITS, BUDGETS, best_parameter, by_omp, gaussian_codebook


def test_the_codebook_is_the_published_one_of_a_gaussian() -> None:
    """J. Max, "Quantizing for minimum distortion", IRE Trans. Inf. Theory 6(1), 1960, Table I."""
    codebook = gaussian_codebook()
    assert codebook[0, :2].tolist() == pytest.approx([-0.7980, 0.7980], abs=2e-3)
    assert codebook[1, 2:4].tolist() == pytest.approx([0.4528, 1.510], abs=2e-3)
    assert codebook[2, 4:8].tolist() == pytest.approx([0.2451, 0.7560, 1.344, 2.152], abs=3e-3)


def test_the_walk_stops_before_the_error_rises() -> None:
    matrix = measurement_matrix(48, 256, seed=1)
    generator = torch.Generator().manual_seed(1)
    x = torch.zeros(40, 256, dtype=torch.complex64)
    x[:, ::64] = torch.randn(40, 4, generator=generator, dtype=torch.complex64)
    y = (x.to(torch.complex128) @ matrix.T).to(torch.complex64)
    noisy = y + 0.05 * torch.randn(y.shape, generator=generator, dtype=torch.complex64)
    choice = best_parameter(x, noisy, matrix, by_omp, ATOMS)
    assert ATOMS[choice.rung] in (3, 4, 5)
    assert choice.error < 0.05
    assert best_parameter(x, noisy, matrix, by_omp, ATOMS, first=6).rung == 6


@pytest.mark.parametrize("name", ["cs-omp", "cs-lasso"])
def test_the_shipped_tables_grow_with_the_budget(name: str) -> None:
    tensors = load_model(name).tensors
    measurements = tensors["num_measurements"].double()
    assert (measurements.diff() >= 0).all()
    rates = torch.arange(BUDGETS[0], BUDGETS[-1] + 1)
    bits = rates / (2 * measurements)
    assert BITS[0] <= float(bits.min()) <= float(bits.max()) <= BITS[-1] + 1
    if name == "cs-omp":
        assert (tensors["num_atoms"].diff() >= 0).all()
        assert (tensors["num_atoms"] <= measurements).all()
    else:
        assert (tensors["threshold"].diff() <= 0).all()
