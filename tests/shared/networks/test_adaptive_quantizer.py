"""The learned quantiser: its points, soft and hard."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shared.networks.adaptive_quantizer import AdaptiveQuantizer


def drawn(num_latents: int, bits: int, seed: int) -> AdaptiveQuantizer:
    """Return a quantiser with points of its own, whose edges are in no order."""
    generator = torch.Generator().manual_seed(seed)
    quantizer = AdaptiveQuantizer(num_latents, bits).requires_grad_(requires_grad=False)
    quantizer.edges.copy_(torch.randn(quantizer.edges.shape, generator=generator))
    quantizer.log_steps.copy_(torch.randn(quantizer.log_steps.shape, generator=generator))
    return quantizer


def latents(num_latents: int, seed: int) -> Tensor:
    return 2 * torch.randn(50, num_latents, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30, deadline=None)
@given(bits=st.integers(1, 4), num_latents=st.integers(1, 5), seed=st.integers(0, 1000))
def test_a_sharp_soft_quantiser_is_the_hard_one(bits: int, num_latents: int, seed: int) -> None:
    quantizer, y = drawn(num_latents, bits, seed), latents(num_latents, seed)
    index = quantizer.index(y)
    assert int(index.min()) >= 0
    assert int(index.max()) < 2**bits
    hard = quantizer.value(index, torch.arange(num_latents))
    torch.testing.assert_close(quantizer(y, sharpness=1e12), hard, rtol=1e-4, atol=1e-4)
    points = quantizer.points()
    assert bool((points.diff(dim=1) > 0).all())
    torch.testing.assert_close(points[:, 0], -points[:, -1])  # the lowest is minus half the sum of the steps


def test_at_first_it_is_the_uniform_quantiser_of_minus_one_to_one() -> None:
    quantizer = AdaptiveQuantizer(num_latents=3, bits=2).requires_grad_(requires_grad=False)
    torch.testing.assert_close(quantizer.points(), torch.tensor([-0.75, -0.25, 0.25, 0.75]).repeat(3, 1))
    y = torch.linspace(-0.99, 0.99, 30).repeat(3, 1).T
    assert float((quantizer.value(quantizer.index(y), torch.arange(3)) - y).abs().max()) <= 0.2501


def test_it_can_be_spread_over_what_an_entry_takes() -> None:
    quantizer = AdaptiveQuantizer(num_latents=2, bits=2).requires_grad_(requires_grad=False)
    quantizer.spread(torch.tensor([4.0, 2.0]))
    torch.testing.assert_close(quantizer.points(), torch.tensor([[-3.0, -1.0, 1.0, 3.0], [-1.5, -0.5, 0.5, 1.5]]))
    y = torch.linspace(-0.99, 0.99, 30)[:, None] * torch.tensor([4.0, 2.0])
    error = (quantizer.value(quantizer.index(y), torch.arange(2)) - y).abs()
    assert bool((error <= torch.tensor([1.0001, 0.5001])).all())  # half a step


def test_it_is_as_soft_whatever_the_range() -> None:
    narrow, wide = AdaptiveQuantizer(num_latents=3, bits=2), AdaptiveQuantizer(num_latents=3, bits=2)
    wide.spread(torch.full((3,), 10.0))
    y = latents(3, 0)
    torch.testing.assert_close(wide(10 * y, sharpness=2.0), 10 * narrow(y, sharpness=2.0))


def test_gradients_reach_points_edges_and_codeword() -> None:
    quantizer, y = AdaptiveQuantizer(num_latents=4, bits=2), latents(4, 0).requires_grad_()
    total = quantizer(y, sharpness=2.0).square().sum()
    for gradient in torch.autograd.grad(total, (y, quantizer.edges, quantizer.log_steps)):
        assert bool((gradient.abs().sum(dim=0) > 0).all())
