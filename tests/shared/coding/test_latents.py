"""The quantiser of latents: steps, companding, widths, and what a model file may hold."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.coding.latents import COMPANDINGS, MAX_WIDTH, MU, Companding, LatentQuantizer, latent_widths
from shared.errors import DataFileError

CPU = torch.device("cpu")


def unit_quantizer(companding: Companding, num_latents: int = 1, clip: float = 1.0) -> LatentQuantizer:
    zeros, ones = torch.zeros(num_latents), torch.ones(num_latents)
    return LatentQuantizer(companding, zeros, ones, torch.full((MAX_WIDTH,), clip))


def half_step(companding: Companding, u: float, width: int) -> float:
    """Return half the width of the step that holds ``u``, and half its wider neighbour's at most."""
    half = 2.0**-width
    if companding == "uniform":
        return half
    compressed = min(1.0, math.log1p(MU * abs(u)) / math.log1p(MU) + 2 * half)
    return half * math.log1p(MU) * math.exp(compressed * math.log1p(MU)) / MU  # the largest slope of the expander


@pytest.mark.parametrize("companding", COMPANDINGS)
@given(u=st.floats(-1, 1, width=32), width=st.integers(1, MAX_WIDTH))
def test_a_value_within_the_clip_comes_back_within_half_a_step(companding: Companding, u: float, width: int) -> None:
    quantizer, widths = unit_quantizer(companding), np.array([width])
    index = quantizer.index(torch.tensor([[u]]), widths)
    assert 0 <= int(index) < 2**width
    assert abs(float(quantizer.value(index, widths)) - u) <= half_step(companding, u, width) + 1e-6


@pytest.mark.parametrize("companding", COMPANDINGS)
@pytest.mark.parametrize("width", range(1, MAX_WIDTH + 1))
def test_every_index_comes_back_and_values_grow_with_it(companding: Companding, width: int) -> None:
    quantizer, widths = unit_quantizer(companding, clip=2.5), np.array([width])
    index = torch.arange(2**width)[:, None]
    values = quantizer.value(index, widths)
    assert torch.equal(quantizer.index(values, widths), index)
    assert (values.diff(dim=0) > 0).all()
    torch.testing.assert_close(values, -values.flip(0))
    assert values.abs().max() < 2.5


@pytest.mark.parametrize("companding", COMPANDINGS)
@given(z=st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=3, max_size=3), width=st.integers(1, MAX_WIDTH))
def test_beyond_the_clip_the_outermost_step_is_taken(companding: Companding, z: list[float], width: int) -> None:
    quantizer = LatentQuantizer(
        companding, torch.tensor([0.0, 5.0, -5.0]), torch.tensor([1.0, 0.1, 10.0]), torch.full((MAX_WIDTH,), 3.0)
    )
    widths = np.full(3, width)
    index = quantizer.index(torch.tensor([z]), widths)[0]
    assert ((index >= 0) & (index < 2**width)).all()
    above = torch.tensor(z) > quantizer.centre + 3.001 * quantizer.scale
    below = torch.tensor(z) < quantizer.centre - 3.001 * quantizer.scale
    assert (index[above] == 2**width - 1).all()
    assert (index[below] == 0).all()


def test_mu_law_is_the_formula() -> None:
    # u = 0.25: ln(1 + 50 / 4) / ln(51) = 0.66195; of 16 steps over [-1, 1] that is number floor(8 * 1.66195) = 13,
    # whose middle 13.5 / 8 - 1 = 0.6875 expands to (51^0.6875 - 1) / 50 = 0.27853.
    quantizer, widths = unit_quantizer("mu-law"), np.array([4])
    index = quantizer.index(torch.tensor([[0.25], [-0.25]]), widths)
    assert index.flatten().tolist() == [13, 2]
    value = (51**0.6875 - 1) / 50
    assert value == pytest.approx(0.27853, abs=1e-5)
    torch.testing.assert_close(quantizer.value(index, widths).flatten(), torch.tensor([value, -value]))


def test_mu_law_loses_less_on_small_values_and_more_on_large_ones() -> None:
    widths = np.array([4])

    def error(companding: Companding, z: torch.Tensor) -> float:
        quantizer = unit_quantizer(companding)
        return float((quantizer.value(quantizer.index(z, widths), widths) - z).square().mean())

    small, large = torch.linspace(-0.05, 0.05, 101)[:, None], torch.linspace(0.8, 1, 101)[:, None]
    assert error("mu-law", small) < error("uniform", small) / 10
    assert error("mu-law", large) > error("uniform", large)


def test_centre_scale_and_the_clip_of_the_width_shift_and_stretch_the_steps() -> None:
    clip = torch.arange(1.0, MAX_WIDTH + 1)
    quantizer = LatentQuantizer("uniform", torch.tensor([10.0, -10.0]), torch.tensor([2.0, 0.5]), clip)
    value = quantizer.value(torch.tensor([[1, 3]]), np.array([1, 2]))
    # 1 bit, clip 1: +-0.5 of 2; 2 bits, clip 2: the last of four steps is 0.75 * 2 of 0.5
    assert value.tolist() == [[11.0, -9.25]]


@given(num_latents=st.integers(1, 300), data=st.data())
def test_a_rate_is_spread_evenly_and_the_first_entries_take_the_rest(num_latents: int, data: st.DataObject) -> None:
    rate = data.draw(st.integers(num_latents, MAX_WIDTH * num_latents))
    widths = latent_widths(rate, num_latents)
    assert widths.sum() == rate
    assert 1 <= widths.min() <= widths.max() <= min(widths.min() + 1, MAX_WIDTH)
    assert (np.diff(widths) <= 0).all()


def tensors_of(num_latents: int = 3) -> dict[str, torch.Tensor]:
    ones = torch.ones(num_latents)
    return {"quantizer.centre": ones - 1, "quantizer.scale": ones, "quantizer.clip": torch.ones(MAX_WIDTH)}


def test_the_quantiser_of_a_model_file_is_loaded() -> None:
    quantizer = LatentQuantizer.load("mu-law", 3, tensors_of(), CPU)
    assert (quantizer.companding, quantizer.centre.tolist()) == ("mu-law", [0, 0, 0])


@pytest.mark.parametrize(
    ("name", "tensor", "sentence"),
    [
        ("centre", torch.zeros(4), r"`quantizer.centre` must be \[3\] float32; got \[4\]"),
        ("scale", torch.ones(1), r"`quantizer.scale` must be \[3\] float32; got \[1\]"),
        ("scale", torch.tensor([1.0, 0.0, 1.0]), "`quantizer.scale` must be positive; its least entry is 0"),
        ("clip", torch.ones(7), r"`quantizer.clip` must be \[8\] float32; got \[7\]"),
        ("clip", torch.ones(8).double(), "got .*float64"),
        ("clip", -torch.ones(8), "`quantizer.clip` must be positive; its least entry is -1"),
    ],
)
def test_a_tensor_that_is_no_quantisers_is_refused(name: str, tensor: torch.Tensor, sentence: str) -> None:
    with pytest.raises(DataFileError, match=sentence):
        LatentQuantizer.load("uniform", 3, tensors_of() | {f"quantizer.{name}": tensor}, CPU)
