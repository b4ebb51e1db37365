"""CoINR: updates as a few atoms each."""

from typing import Any

import brotli
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import CodecError, InvalidArgumentError
from shared.inr.siren import SirenShape
from shared.inr.sparse_dictionary import (
    CodewordShape,
    SparseOptions,
    decode_sparse,
    encode_sparse,
    from_sparse,
    most_nonzero,
    to_sparse,
)

TINY = SirenShape(width=6, num_hidden=1, num_frequencies=1)
LARGE = SirenShape(width=50, num_hidden=1, num_frequencies=1)


def update_of(shape: SirenShape) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(size, generator=generator) for name, size in shape.tensors.items()}


@pytest.mark.parametrize("shape", [TINY, LARGE], ids=["tiny", "large"])
def test_a_sparse_update_comes_back_from_its_bits(shape: SirenShape) -> None:
    sparse = to_sparse(shape, update_of(shape), SparseOptions(seed=3))
    bits = encode_sparse(sparse)
    again = decode_sparse(np.concatenate([bits, np.ones(7, dtype=np.uint8)]), shape)
    for name, tensor in from_sparse(shape, sparse).items():
        assert torch.equal(from_sparse(shape, again)[name], tensor)
        assert tensor.shape == shape.tensors[name]


@pytest.mark.parametrize(("num_latents", "vectors"), [(8, (1, 32)), (64, (4, 64))])
def test_codewords_of_many_reports_come_back_from_their_bits(num_latents: int, vectors: tuple[int, int]) -> None:
    shape = CodewordShape(num_reports=4, num_latents=num_latents)
    codewords = torch.randn(4, num_latents, generator=torch.Generator().manual_seed(1))
    sparse = to_sparse(shape, {"codewords.weight": codewords}, SparseOptions())
    found = from_sparse(shape, decode_sparse(encode_sparse(sparse), shape, SparseOptions()))["codewords.weight"]
    assert torch.equal(found, from_sparse(shape, sparse)["codewords.weight"])
    assert sparse.atoms["codewords.weight"].shape == (vectors[0], most_nonzero(vectors[1]))
    assert (found - codewords).square().sum() < 0.1 * codewords.square().sum()
    with pytest.raises(InvalidArgumentError, match="`update` must be the weights"):
        to_sparse(shape, {"codewords.weight": codewords[:3]}, SparseOptions())


@pytest.mark.parametrize("shape", [TINY, LARGE], ids=["tiny", "large"])
def test_more_values_come_nearer_and_biases_stay(shape: SirenShape) -> None:
    update = update_of(shape)
    errors = []
    for share in (0.1, 0.25, 0.5):
        found = from_sparse(shape, to_sparse(shape, update, SparseOptions(share=share)))
        errors.append(sum(float((found[name] - update[name]).square().sum()) for name in update))
        assert all((found[name] - update[name]).abs().max() < 1e-3 for name in update if name.endswith(".bias"))
    assert errors[0] > errors[1] > errors[2]


def test_vectors_are_columns_of_the_first_layer_and_rows_of_the_others_or_whole_matrices() -> None:
    sizes = {
        shape.width: {
            name: tuple(atoms.shape)
            for name, atoms in to_sparse(shape, update_of(shape), SparseOptions()).atoms.items()
        }
        for shape in (TINY, LARGE)
    }
    assert sizes[50] == {"first.weight": (6, 24), "hidden.0.weight": (50, 24), "output.weight": (3, 24)}
    assert sizes[6] == {"first.weight": (1, 17), "hidden.0.weight": (1, 17), "output.weight": (1, 8)}


@given(st.integers(1, 5000), st.floats(0, 0.5))
def test_fewer_than_half_the_numbers_are_kept(length: int, share: float) -> None:
    assert most_nonzero(length, share) >= 1
    assert 2 * most_nonzero(length, share) < max(length, 3)


def test_gaps_and_the_range_coder_are_shorter_than_brotli() -> None:
    """The paper's way: values and atoms in 16 bits each, a scale a tensor, Brotli over all."""
    sparse = to_sparse(LARGE, update_of(LARGE), SparseOptions())
    scales = np.array([float(grid.scale) for grid in sparse.grids.values()], dtype=np.float32).tobytes()
    numbers = b"".join(index.numpy().astype("<i2").tobytes() for index in sparse.indices.values())
    atoms = b"".join(index.numpy().astype("<u2").tobytes() for index in sparse.atoms.values())
    assert len(encode_sparse(sparse)) < 8 * len(brotli.compress(scales + numbers + atoms))


@given(st.lists(st.integers(0, 1), max_size=400))
def test_any_bits_give_an_update_or_an_error_of_ours(bits: list[int]) -> None:
    try:
        found = from_sparse(TINY, decode_sparse(np.array(bits, dtype=np.uint8), TINY))
    except CodecError:
        return
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == TINY.tensors


@pytest.mark.parametrize("other", [{"atoms_ratio": 255}, {"bits": 9}, {"seed": 2}, {"share": 0.1}], ids=str)
def test_bits_of_other_options_than_the_reader_wants_are_refused(other: dict[str, Any]) -> None:
    """They would decide how large a dictionary the reader draws."""
    bits = encode_sparse(to_sparse(TINY, update_of(TINY), SparseOptions(**other)))
    decode_sparse(bits, TINY, SparseOptions(**other))
    with pytest.raises(CodecError, match="`bits` must hold"):
        decode_sparse(bits, TINY, SparseOptions())


def test_an_update_of_another_network_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`update` must be the weights"):
        to_sparse(LARGE, update_of(TINY), SparseOptions())


@pytest.mark.parametrize("wrong", [{"share": 0.6}, {"atoms_ratio": 0}, {"bits": 1}, {"seed": 65_536}], ids=str)
def test_options_that_no_header_holds_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=f"`{next(iter(wrong))}` must be in"):
        SparseOptions(**wrong)
