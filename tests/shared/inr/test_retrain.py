"""Retraining with the quantiser in the way."""

from dataclasses import replace

import torch
from torch import Tensor

from shared.inr.retrain import RETRAINING, retrain, straight_through
from shared.inr.siren import SirenShape, Weights, mean_squared_errors, of_signal, signal_of
from shared.inr.weight_quantizer import Grid, grids_of, indices_of, values_of


def test_levels_pass_the_gradient_of_their_values() -> None:
    values = torch.tensor([[0.3, -0.6]], requires_grad=True)
    levels = straight_through(values, Grid(2, torch.tensor([1.0])))
    assert levels.tolist() == [[0.0, -1.0]]
    (2 * levels).sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    assert values.grad.tolist() == [[2.0, 2.0]]


def test_retraining_never_does_harm_and_mostly_good(
    shape: SirenShape, features: Tensor, target: Tensor, weights: Weights
) -> None:
    start, grids = shape.zero_weights(), grids_of(weights, 6)
    rounded = indices_of(weights, grids)
    options = replace(RETRAINING, num_steps=100, learning_rate=1e-5)
    found = retrain(shape, features, target, start, weights, grids, options)
    before, after = (
        mean_squared_errors(signal_of(shape, values_of(indices, grids), features), target)
        for indices in (rounded, found)
    )
    assert (after <= before * 1.0001).all()
    assert after.mean() < 0.95 * before.mean()


def test_the_start_stays(shape: SirenShape, features: Tensor, target: Tensor, weights: Weights) -> None:
    start = of_signal(weights, 0)
    update = {name: 1e-3 * torch.ones(1, *tensor.shape) for name, tensor in start.items()}
    grids = grids_of(update, 3)
    found = retrain(shape, features, target[:1], start, update, grids, replace(RETRAINING, num_steps=5))
    assert all(index.abs().max() <= 3 for index in found.values())
