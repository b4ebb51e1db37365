"""Overfitting: Adam, the course of the rate, and that no signal depends on its batch."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from shared.errors import InvalidArgumentError
from shared.inr.overfit import OverfitOptions, overfit
from shared.inr.siren import SirenShape, Weights, mean_squared_errors, of_signal, signal_of

OPTIONS = OverfitOptions(num_steps=40, l1=0.0)


def test_the_steps_are_those_of_torchs_adam(shape: SirenShape, features: Tensor, target: Tensor) -> None:
    start = shape.random_weights(1)
    found = overfit(shape, features, target[:1], start, replace(OPTIONS, l1=1e-5))
    weights = {name: tensor.clone().requires_grad_() for name, tensor in start.items()}
    optimizer = torch.optim.Adam(weights.values(), lr=5e-4)
    losses = []
    for _ in range(41):
        loss = mean_squared_errors(signal_of(shape, weights, features), target[:1]).sum()
        loss = loss + 1e-5 * sum(tensor.abs().sum() for tensor in weights.values())
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert found.loss.item() == pytest.approx(min(losses), rel=1e-3)


def test_a_signal_does_not_depend_on_its_batch(shape: SirenShape, features: Tensor, target: Tensor) -> None:
    together = overfit(shape, features, target, shape.random_weights(1, 3), OPTIONS)
    for signal in range(3):
        alone = overfit(shape, features, target[signal : signal + 1], shape.random_weights(1), OPTIONS)
        torch.testing.assert_close(together.loss[signal], alone.loss[0], rtol=1e-3, atol=0)


def test_overfitting_brings_the_error_far_down(
    shape: SirenShape, features: Tensor, target: Tensor, weights: Weights
) -> None:
    before = mean_squared_errors(signal_of(shape, shape.random_weights(1, 3), features), target)
    after = mean_squared_errors(signal_of(shape, weights, features), target)
    assert (after < before / 20).all()


def test_the_weights_kept_are_those_of_the_lowest_loss(shape: SirenShape, features: Tensor, target: Tensor) -> None:
    wild = replace(OPTIONS, learning_rate=0.3)  # it diverges at once
    found = overfit(shape, features, target, shape.random_weights(1, 3), wild)
    start = mean_squared_errors(signal_of(shape, shape.random_weights(1, 3), features), target)
    assert (found.loss <= start).all()
    torch.testing.assert_close(mean_squared_errors(signal_of(shape, found.weights, features), target), found.loss)


def test_l1_pulls_the_weights_to_zero_or_to_their_reference(
    shape: SirenShape, features: Tensor, target: Tensor
) -> None:
    start = shape.random_weights(1)
    strong = replace(OPTIONS, l1=1.0)
    to_zero = overfit(shape, features, target[:1], start, strong).weights
    assert _norm(to_zero) < _norm(start)
    kept = overfit(shape, features, target[:1], start, strong, reference=of_signal(start, 0)).weights
    assert _norm({name: kept[name] - start[name] for name in start}) < 0.1


def _norm(weights: Weights) -> float:
    return sum(float(tensor.abs().sum()) for tensor in weights.values())


def test_a_rate_that_halves_and_a_signal_that_is_done_end_it_early(
    shape: SirenShape, features: Tensor, target: Tensor
) -> None:
    still = OverfitOptions(num_steps=500, learning_rate=0.0, stop_after=20)
    assert overfit(shape, features, target, shape.random_weights(1, 3), still).num_steps == 22
    halving = OverfitOptions(num_steps=60, learning_rate=0.05, patience=2, stop_after=1000, l1=0.0)
    fixed = replace(halving, patience=1000)
    start = shape.random_weights(1, 3)
    assert (
        overfit(shape, features, target, start, halving).loss.mean()
        < overfit(shape, features, target, start, fixed).loss.mean()
    )


def test_a_warm_up_takes_small_steps_first(shape: SirenShape, features: Tensor, target: Tensor) -> None:
    start = shape.random_weights(1)
    moved = {
        warm_up: _moved(
            start, overfit(shape, features, target[:1], start, replace(OPTIONS, num_steps=2, warm_up=warm_up)).weights
        )
        for warm_up in (0, 100)
    }
    assert moved[100] < 0.05 * moved[0]


def _moved(start: Weights, weights: Weights) -> float:
    return max(float((weights[name] - start[name]).abs().max()) for name in start)


def test_every_step_is_reported(shape: SirenShape, features: Tensor, target: Tensor) -> None:
    told: list[tuple[int, int]] = []
    overfit(
        shape,
        features,
        target,
        shape.random_weights(1, 3),
        replace(OPTIONS, num_steps=3),
        report=lambda *now: told.append(now),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_signal_of_another_size_is_refused(shape: SirenShape, features: Tensor, target: Tensor) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`target` must be \[batch, 144, 2\]; got \[3, 100, 2\]"):
        overfit(shape, features, target[:, :100], shape.random_weights(1, 3), OPTIONS)
