"""MetaSIREN: the algorithms written out once more, and what a start is good for."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from shared.errors import InvalidArgumentError
from shared.inr.meta_siren import MetaOptions, MetaStart, RateKind, Validation, adapt, adapted, meta_learn
from shared.inr.overfit import OverfitOptions, overfit
from shared.inr.siren import SirenShape, mean_squared_errors, of_signal, signal_of
from shared.networks.coordinates import Siren
from tests.shared.inr.conftest import smooth_signals

OPTIONS = MetaOptions(num_steps=6, inner_rate=1e-2, outer_rate=1e-3, validate_every=3)


def start_of(shape: SirenShape, rate: float = 1e-2, per_step: bool = False) -> MetaStart:
    weights = of_signal(shape.random_weights(1), 0)
    rates = {name: torch.full((3 if per_step else 1, *tensor.shape), rate) for name, tensor in weights.items()}
    return MetaStart(weights, rates, 3)


def test_the_inner_loop_is_algorithm_2(shape: SirenShape, features: Tensor, target: Tensor) -> None:
    start = start_of(shape, per_step=True)
    for rates in start.rates.values():
        rates.mul_(torch.tensor([1.0, 0.5, 0.25]).view(3, *[1] * (rates.ndim - 1)))
    found = adapted(shape, features, target, start)
    for signal in range(3):
        network = Siren(shape.num_inputs, shape.width, shape.num_hidden, shape.num_outputs)
        network.load_state_dict(start.weights)
        for rate in (1e-2, 5e-3, 2.5e-3):
            loss = (network(features) - target[signal]).square().mean()
            gradients = torch.autograd.grad(loss, list(network.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                    parameter.sub_(rate * gradient)
        for name, parameter in network.named_parameters():
            torch.testing.assert_close(found[name][signal], parameter.detach(), atol=1e-5, rtol=1e-4)


def test_the_outer_gradient_is_that_of_torch_func(features: Tensor, target: Tensor, shape: SirenShape) -> None:
    start = start_of(shape)
    network = Siren(shape.num_inputs, shape.width, shape.num_hidden, shape.num_outputs)

    def loss_of(weights: dict[str, Tensor], signal: Tensor) -> Tensor:
        y: Tensor = torch.func.functional_call(network, weights, (features,))
        return (y - signal).square().mean()

    def after(weights: dict[str, Tensor], signal: Tensor) -> Tensor:
        for _ in range(3):
            gradients = torch.func.grad(loss_of)(weights, signal)
            weights = {name: weights[name] - 1e-2 * gradients[name] for name in weights}
        return loss_of(weights, signal)

    wanted = torch.func.grad(lambda weights: torch.vmap(after, (None, 0))(weights, target).mean())(start.weights)
    learned = {name: tensor.clone().requires_grad_() for name, tensor in start.weights.items()}
    phi = adapt(shape, features, target, MetaStart(learned, start.rates, 3), create_graph=True)
    mean_squared_errors(signal_of(shape, phi, features), target).mean().backward()  # type: ignore[no-untyped-call]
    for name, gradient in wanted.items():
        torch.testing.assert_close(learned[name].grad, gradient, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("rate_kind", get_args(RateKind))
@pytest.mark.parametrize("first_order", [False, True])
def test_every_kind_of_rate_is_learned_from_the_start(
    shape: SirenShape, features: Tensor, target: Tensor, rate_kind: RateKind, first_order: bool
) -> None:
    options = MetaOptions(
        num_steps=4, inner_rate=1e-2, outer_rate=1e-3, rate_kind=rate_kind, first_order=first_order, validate_every=1
    )
    start, best = meta_learn(shape, features, target, target, options)
    assert best.step > 0
    rate = start.rates["hidden.0.weight"]
    assert rate.shape == {"per-parameter": (1, 10, 10), "per-parameter-per-step": (3, 10, 10)}.get(rate_kind, (1,))
    assert torch.equal(rate, torch.full_like(rate, 1e-2)) == (rate_kind == "static")
    assert not any(tensor.requires_grad for tensor in (*start.weights.values(), *start.rates.values()))


def test_the_start_of_the_lowest_validation_loss_is_kept(shape: SirenShape, features: Tensor, target: Tensor) -> None:
    told: list[Validation] = []
    wild = MetaOptions(num_steps=6, outer_rate=1.0, validate_every=2)
    _, best = meta_learn(
        shape, features, target, target, wild, lambda _done, _total, result: told.append(result) if result else None
    )
    assert [result.step for result in told] == [2, 4, 6]
    assert best.step == 0  # before it went wild
    assert not any(result.loss < best.loss for result in told)


def test_three_steps_from_a_learned_start_are_worth_more_than_fifty_from_a_random_one(
    shape: SirenShape, features: Tensor
) -> None:
    torch.set_num_threads(1)
    signals = smooth_signals(40)
    options = MetaOptions(num_steps=150, batch_size=8, inner_rate=1e-2, outer_rate=1e-3, validate_every=50)
    start, best = meta_learn(shape, features, signals[8:], signals[:8], options)
    fifty = overfit(shape, features, signals[:8], shape.random_weights(1, 8), OverfitOptions(num_steps=50, l1=0.0))
    assert best.loss < float(fifty.loss.mean())
    phi = adapted(shape, features, signals[:8], start)
    error = mean_squared_errors(signal_of(shape, phi, features), signals[:8]).mean()
    assert float(error) == pytest.approx(best.loss, rel=1e-3)


def test_nothing_to_learn_from_is_refused(shape: SirenShape, features: Tensor, target: Tensor) -> None:
    with pytest.raises(
        InvalidArgumentError, match="`signals` and `validation` must hold one signal or more; got 0 and 3"
    ):
        meta_learn(shape, features, target[:0], target, OPTIONS)
