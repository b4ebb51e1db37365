"""The inner loop: gradient steps, what they depend on, and what of them is differentiable."""

import pytest
import torch

from shared.codecs.csi_inr.network import CsiInr, from_samples, to_samples
from shared.network_settings import CoordinateSettings

SETTINGS = CoordinateSettings(num_latents=4, width=16, num_layers=2, omega_0=5.0, inner_rate=0.5)


def small(seed: int = 1) -> CsiInr:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CsiInr(SETTINGS)


def channels(count: int) -> torch.Tensor:
    return torch.randn(count, 1, 32, 32, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))


def test_samples_are_the_channel_in_the_spatial_frequency_domain() -> None:
    h = channels(3)
    y = to_samples(h)
    assert y.shape == (3, 1024, 2)
    torch.testing.assert_close(y.square().sum(dim=(1, 2)), h.abs().square().sum(dim=(1, 2, 3)))
    torch.testing.assert_close(from_samples(y), h)


def test_a_step_is_equation_18() -> None:
    network, y = small(), to_samples(channels(1))
    rate, zero = 0.5, torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    network = network.double()
    loss = (network.base(zero, network.grid.double()) - y.double()).square().sum() / 1024
    (gradient,) = torch.autograd.grad(loss, zero)
    codeword = network.adapt(y.double(), network.grid.double(), 1)
    torch.testing.assert_close(codeword.double(), -rate * gradient, rtol=1e-4, atol=1e-5)


def test_a_step_does_not_depend_on_the_batch() -> None:
    network, y = small(), to_samples(channels(5))
    together = network.adapt(y, network.grid, 3)
    alone = torch.cat([network.adapt(row[None], network.grid, 3) for row in y])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_steps_beyond_those_of_the_training_take_the_last_rate() -> None:
    network, y = small(), to_samples(channels(2))
    with torch.no_grad():
        network.log_rates[2] = -30.0  # nearly no step
    torch.testing.assert_close(network.adapt(y, network.grid, 5), network.adapt(y, network.grid, 2))


@pytest.mark.parametrize(("order", "reaches_base"), [(1, False), (2, True)])
def test_the_order_says_what_the_codeword_is_differentiable_in(order: int, reaches_base: bool) -> None:
    network, y = small(), to_samples(channels(2))
    codeword = network.adapt(y, network.grid, 2, order)
    base = torch.autograd.grad(
        codeword.sum(), network.base.get_parameter("layers.0.weight"), allow_unused=True, retain_graph=True
    )[0]
    rates = torch.autograd.grad(codeword.sum(), network.log_rates)[0]
    assert (base is not None) == reaches_base
    assert bool((rates[:2] != 0).all())
    assert bool((rates[2] == 0).all())


def test_second_order_is_the_derivative_of_the_loss_after_the_steps() -> None:
    network, y = small().double(), to_samples(channels(2)).double()
    grid, weight = network.grid.double(), network.base.output.weight

    def outer() -> torch.Tensor:
        error: torch.Tensor = network.base(network.adapt(y, grid, 2, 2), grid) - y
        return error.square().sum()

    (gradient,) = torch.autograd.grad(outer(), weight)
    with torch.no_grad():
        eps = 1e-4
        weight[0, 0] += eps
        above = outer()
        weight[0, 0] -= 2 * eps
        below = outer()
    assert float(gradient[0, 0]) == pytest.approx(float((above - below) / (2 * eps)), rel=1e-3)


def test_fitting_leaves_the_weights_and_their_gradients_alone() -> None:
    network, y = small(), to_samples(channels(2))
    network.adapt(y, network.grid, 3)
    assert all(parameter.grad is None for parameter in network.parameters())
