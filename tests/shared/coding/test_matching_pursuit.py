"""Orthogonal matching pursuit, held against scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import orthogonal_mp

from shared.coding.matching_pursuit import SparseCodes, from_atoms, gaussian_dictionary, orthogonal_matching_pursuit
from shared.errors import InvalidArgumentError


@pytest.mark.parametrize(("length", "num_atoms", "num_nonzero"), [(32, 128, 15), (64, 96, 31), (20, 400, 9), (8, 8, 8)])
def test_atoms_and_values_are_those_of_scikit_learn(length: int, num_atoms: int, num_nonzero: int) -> None:
    vectors = torch.randn(7, length, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dictionary = gaussian_dictionary(length, num_atoms, seed=2)
    codes = orthogonal_matching_pursuit(vectors, dictionary, num_nonzero)
    theirs = orthogonal_mp(dictionary.numpy(), vectors.numpy().T, n_nonzero_coefs=num_nonzero)
    dense = torch.zeros(7, num_atoms, dtype=torch.float64).scatter(1, codes.atoms, codes.values)
    assert np.abs(dense.numpy().T - theirs).max() < 1e-9


def test_a_complex_dictionary_gives_what_it_gives_step_by_step() -> None:
    """Against a plain loop over reports, with NumPy's least squares in each step."""
    generator = torch.Generator().manual_seed(3)
    dictionary = torch.randn(24, 96, generator=generator, dtype=torch.complex128)
    dictionary = dictionary / dictionary.norm(dim=0)
    vectors = torch.randn(5, 24, generator=generator, dtype=torch.complex128)
    codes = orthogonal_matching_pursuit(vectors, dictionary, 11)
    a = dictionary.numpy()
    for w, atoms, values in zip(vectors.numpy(), codes.atoms.tolist(), codes.values.numpy(), strict=True):
        residual, chosen, x = w, [], np.zeros(0)
        for _ in range(11):
            chosen.append(int(np.abs(a.conj().T @ residual).argmax()))
            x = np.linalg.lstsq(a[:, chosen], w)[0]
            residual = w - a[:, chosen] @ x
        assert atoms == chosen
        assert np.abs(values - x).max() < 1e-10


def test_a_vector_of_few_atoms_is_found_exactly() -> None:
    dictionary = gaussian_dictionary(64, 256, seed=1)
    wanted = SparseCodes(torch.tensor([[3, 100, 250]]), torch.tensor([[1.0, -2.0, 0.5]]).double())
    vectors = from_atoms(wanted, dictionary)
    codes = orthogonal_matching_pursuit(vectors, dictionary, 3)
    assert sorted(codes.atoms[0].tolist()) == [3, 100, 250]
    torch.testing.assert_close(from_atoms(codes, dictionary), vectors)


def test_a_dictionary_repeats_with_its_seed_and_its_columns_have_unit_length() -> None:
    dictionary = gaussian_dictionary(16, 64, seed=5)
    assert torch.equal(dictionary, gaussian_dictionary(16, 64, seed=5))
    assert not torch.equal(dictionary, gaussian_dictionary(16, 64, seed=6))
    torch.testing.assert_close(dictionary.norm(dim=0), torch.ones(64).double())


def test_a_vector_of_zeros_has_values_of_zero() -> None:
    codes = orthogonal_matching_pursuit(torch.zeros(1, 8).double(), gaussian_dictionary(8, 32, seed=1), 3)
    assert codes.values.abs().max() == 0
    assert len(set(codes.atoms[0].tolist())) == 3


@pytest.mark.parametrize("num_nonzero", [0, 9])
def test_more_atoms_than_there_are_numbers_are_refused(num_nonzero: int) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`num_nonzero` must be in \[1, 8\]"):
        orthogonal_matching_pursuit(torch.ones(1, 8).double(), gaussian_dictionary(8, 32, seed=1), num_nonzero)
