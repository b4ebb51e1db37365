"""Updates as bits: what goes in comes out, and all of it is counted."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shared.errors import CodecError
from shared.inr.bitstream import decode_update, encode_update
from shared.inr.siren import SirenShape, Weights, of_signal
from shared.inr.weight_quantizer import Grid, ScaleFormat, grids_of, indices_of, values_of


@st.composite
def updates(draw: st.DrawFn) -> tuple[dict[str, Tensor], dict[str, Grid], ScaleFormat]:
    """Indices of a few tensors, and their grids."""
    width = draw(st.integers(1, 16))
    scale_format: ScaleFormat = "float16" if draw(st.booleans()) else "float32"
    indices, grids = {}, {}
    for number in range(draw(st.integers(1, 4))):
        scale = draw(st.just(0.0) | st.floats(2**-10, 100, width=16))
        grids[str(number)] = grid = Grid(width, torch.tensor([scale]))
        size = draw(st.integers(1, 40))
        values = [draw(st.integers(grid.lowest, grid.highest)) for _ in range(size)]
        indices[str(number)] = torch.tensor([values]) * int(scale > 0)
    return indices, grids, scale_format


@given(updates(), st.lists(st.integers(0, 1), max_size=20))
def test_updates_come_back_whatever_bits_follow(
    update: tuple[dict[str, Tensor], dict[str, Grid], ScaleFormat], tail: list[int]
) -> None:
    indices, grids, scale_format = update
    bits = np.concatenate([encode_update(indices, grids, scale_format), np.array(tail, dtype=np.uint8)])
    found = decode_update(bits, {name: (index.shape[1],) for name, index in indices.items()})
    wanted = values_of(indices, grids)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@given(st.lists(st.integers(0, 1), max_size=300))
def test_any_bits_give_an_update_or_an_error_of_ours(bits: list[int]) -> None:
    try:
        found = decode_update(np.array(bits, dtype=np.uint8), {"w": (3, 2), "b": (3,)})
    except CodecError:
        return
    assert all(tensor.isfinite().all() for tensor in found.values())


def test_overfitted_weights_take_fewer_bits_than_their_indices_and_come_back(
    shape: SirenShape, weights: Weights
) -> None:
    start = of_signal(weights, 1)
    update = {name: tensor[:1] - start[name] for name, tensor in weights.items()}
    grids = grids_of(update, 7)
    indices = indices_of(update, grids)
    bits = encode_update(indices, grids)
    header = 5 + 32 * len(shape.tensors)
    assert header < len(bits) < header + 7 * shape.num_weights
    found = decode_update(bits, shape.tensors)
    for name, tensor in values_of(indices, grids).items():
        assert torch.equal(found[name], tensor)


def test_an_update_that_is_zero_is_its_header() -> None:
    update = {"w": torch.zeros(1, 1000)}
    grids = grids_of(update, 8, "float16")
    assert len(encode_update(indices_of(update, grids), grids, "float16")) == 5 + 16


def test_a_scale_that_is_no_number_is_refused() -> None:
    bits = encode_update({"w": torch.ones(1, 2).long()}, {"w": Grid(8, torch.tensor([float("inf")]))})
    with pytest.raises(CodecError, match="`bits` must hold scales of weights, finite and not negative; got inf"):
        decode_update(bits, {"w": (2,)})


def test_an_index_beyond_its_grid_is_refused() -> None:
    bits = encode_update({"w": torch.tensor([[9, 0]])}, {"w": Grid(3, torch.tensor([1.0]))})
    with pytest.raises(CodecError, match=r"`bits` must hold indices in \[-3, 3\]; got 0 to 9"):
        decode_update(bits, {"w": (2,)})


def test_the_bits_are_pinned() -> None:
    grids = {"w": Grid(4, torch.tensor([0.75])), "b": Grid(4, torch.tensor([0.0]))}
    bits = encode_update({"w": torch.tensor([[1, 0, -7, 2, 0]]), "b": torch.zeros(1, 2).long()}, grids, "float16")
    assert "".join(map(str, bits.tolist())) == "00110001110100000000000000000000000001000011111101110001000"
