"""The scale of a network's input and output, and the eight bits of a report's peak."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs.autoencoder.scaling import (
    LARGEST_PEAK,
    POWER_SLOPE,
    Scaling,
    network_input,
    network_output,
    peak,
    peak_index,
    peak_value,
)
from shared.transforms import from_planes, to_planes


def inverse_sigmoid(share: Tensor) -> Tensor:
    """Return the output before the activation that gives ``share``, computed in float64."""
    return torch.logit(share.double()).float()


def test_planes_hold_real_before_imaginary_and_come_back(indoor: ChannelSet) -> None:
    h = indoor.h[:3]
    planes = to_planes(h)
    assert torch.equal(planes[:, 0], h[:, 0].real)
    assert torch.equal(planes[:, 1], h[:, 0].imag)
    assert torch.equal(from_planes(planes), h)


@pytest.mark.parametrize("scaling", ["power", "peak"])
def test_an_exact_network_output_gives_the_channel_back(scaling: Scaling, indoor: ChannelSet) -> None:
    h = indoor.h[:50]
    seen = network_input(h, scaling)
    share = seen if scaling == "peak" else 0.5 + seen / (2 * LARGEST_PEAK)
    h_hat = network_output(inverse_sigmoid(share), scaling, peak(h) if scaling == "peak" else None)
    torch.testing.assert_close(h_hat, h, rtol=0, atol=2e-5)


def test_the_input_in_the_scale_of_the_peak_is_centred_and_reaches_a_half_from_the_centre(indoor: ChannelSet) -> None:
    h = indoor.h[:50]
    planes = network_input(h, "peak") - 0.5
    torch.testing.assert_close(planes.square().sum(dim=1).sqrt().flatten(1).amax(dim=1), torch.full((50,), 0.5))


def test_the_slope_at_zero_is_that_of_the_power_scale() -> None:
    output = torch.full((1, 2, 32, 32), 1e-3)
    assert network_output(output, "power", None).real.flatten()[0] == pytest.approx(POWER_SLOPE * 1e-3, rel=1e-3)


@given(value=st.floats(1, 32))
def test_the_peak_comes_back_within_seven_tenths_of_a_percent(value: float) -> None:
    index = peak_index(torch.tensor([value]))
    assert 0 <= index[0] < 256
    assert float(peak_value(index)[0]) == pytest.approx(value, rel=0.007)


def test_the_edges_of_the_peak_take_the_outermost_steps_and_so_does_what_lies_beyond() -> None:
    assert peak_index(torch.tensor([0.5, 1.0, 32.0, 40.0])).tolist() == [0, 0, 255, 255]
    values = peak_value(np.arange(256)).double()
    assert (values.diff() > 0).all()
    assert math.log(float(values[0])) == pytest.approx(math.log(32) / 512, rel=1e-4)
    assert peak_index(values.float()).tolist() == list(range(256))


def test_the_peak_of_a_report_of_unit_mean_power_lies_between_one_and_thirty_two(indoor: ChannelSet) -> None:
    single = torch.zeros(1, 1, 32, 32, dtype=torch.complex64)
    single[0, 0, 3, 5] = torch.tensor(32j)
    flat = torch.ones(1, 1, 32, 32, dtype=torch.complex64)
    assert peak(torch.cat([single, flat])).tolist() == [32, 1]
    assert 1 <= float(peak(indoor.h).min()) <= float(peak(indoor.h).max()) <= 32
