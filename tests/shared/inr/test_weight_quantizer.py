"""Grids: their levels, their scales on the wire, their errors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.inr.weight_quantizer import Grid, ScaleFormat, grids_of, indices_of, values_of


@given(
    st.integers(1, 16),
    st.sampled_from(["float16", "float32"]),
    st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=30),
)
def test_indices_stay_on_their_grid_and_errors_within_half_a_step(
    bits: int, scale_format: ScaleFormat, numbers: list[float]
) -> None:
    update = {"w": torch.tensor([numbers])}
    grid = grids_of(update, bits, scale_format)["w"]
    index = indices_of(update, {"w": grid})["w"]
    assert index.min() >= grid.lowest
    assert index.max() <= grid.highest
    if bits > 1:
        error = (values_of({"w": index}, {"w": grid})["w"] - update["w"]).abs().max()
        assert error <= float(grid.step) * 0.5001 + 1e-7


def test_two_bits_are_three_levels_and_one_bit_is_a_sign() -> None:
    update = {"w": torch.tensor([[-1.0, -0.2, 0.1, 0.9]])}
    for bits, wanted in ((2, [-1.0, 0.0, 0.0, 1.0]), (1, [-0.55, -0.55, 0.55, 0.55])):
        grids = grids_of(update, bits)
        torch.testing.assert_close(values_of(indices_of(update, grids), grids)["w"], torch.tensor([wanted]))


def test_a_scale_in_float16_is_rounded_up() -> None:
    numbers = torch.rand(50, 7)
    half = grids_of({"w": numbers}, 8, "float16")["w"].scale
    assert (half >= numbers.amax(dim=1)).all()
    assert np.array_equal(half.numpy(), half.numpy().astype(np.float16).astype(np.float32))


def test_zeros_stay_zeros() -> None:
    update = {"w": torch.zeros(2, 3)}
    grids = grids_of(update, 4)
    assert not indices_of(update, grids)["w"].any()
    assert not values_of(indices_of(update, grids), grids)["w"].any()


def test_each_signal_has_its_own_scale_and_a_start_is_added() -> None:
    grids = grids_of({"w": torch.tensor([[1.0, 0.5], [10.0, 5.0]])}, 3)
    assert grids["w"].scale.tolist() == [1.0, 10.0]
    found = values_of({"w": torch.tensor([[3, 0], [3, 0]])}, grids, {"w": torch.tensor([1.0, 2.0])})
    assert found["w"].tolist() == [[2.0, 2.0], [11.0, 2.0]]


def test_soft_indices_have_values_between() -> None:
    assert Grid(3, torch.tensor([3.0])).value(torch.tensor([[1.5]])).item() == 1.5


@pytest.mark.parametrize("bits", [0, 17])
def test_bits_that_are_no_grid_are_refused(bits: int) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`bits` must be in \[1, 16\]"):
        grids_of({"w": torch.ones(1, 2)}, bits)


@pytest.mark.parametrize(
    ("number", "scale_format"), [(float("nan"), "float32"), (float("inf"), "float32"), (1e6, "float16")]
)
def test_weights_that_no_scale_holds_are_refused(number: float, scale_format: ScaleFormat) -> None:
    with pytest.raises(InvalidArgumentError, match=f"`update` must be finite in {scale_format}; got w"):
        grids_of({"w": torch.tensor([[1.0, number]])}, 8, scale_format)
