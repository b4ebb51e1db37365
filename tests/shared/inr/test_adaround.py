"""AdaRound: up or down, whichever leaves the signal nearer."""

import torch
from torch import Tensor

from shared.inr.adaround import AdaRoundOptions, adaround
from shared.inr.siren import SirenShape, Weights, for_signals, mean_squared_errors, signal_of
from shared.inr.weight_quantizer import grids_of, indices_of, values_of

OPTIONS = AdaRoundOptions(num_iterations=300)


def test_each_weight_goes_to_one_of_the_levels_beside_it(shape: SirenShape, features: Tensor, weights: Weights) -> None:
    grids = grids_of(weights, 5)
    found = adaround(shape, features, shape.zero_weights(), weights, grids, AdaRoundOptions(num_iterations=20))
    for name, index in found.items():
        place = grids[name].place(weights[name])
        assert ((index >= place.floor() - 1e-3) & (index <= place.floor() + 1)).all()
        assert index.abs().max() <= grids[name].highest


def test_the_signals_come_nearer_than_by_rounding(
    shape: SirenShape, features: Tensor, target: Tensor, weights: Weights
) -> None:
    grids, start = grids_of(weights, 5), shape.zero_weights()
    errors = [
        mean_squared_errors(signal_of(shape, values_of(indices, grids), features), target)
        for indices in (indices_of(weights, grids), adaround(shape, features, start, weights, grids, OPTIONS))
    ]
    assert errors[1].mean() < 0.9 * errors[0].mean()


def test_behind_a_start_only_the_update_is_rounded(
    shape: SirenShape, features: Tensor, target: Tensor, weights: Weights
) -> None:
    start = {name: tensor[0] for name, tensor in weights.items()}
    update = {name: 0.01 * torch.ones_like(tensor) for name, tensor in for_signals(start, 2).items()}
    grids = grids_of(update, 4)
    found = adaround(shape, features, start, update, grids, AdaRoundOptions(num_iterations=10))
    assert all((found[name] == grids[name].highest).all() for name in found)  # exact already


def test_it_repeats_and_reports_every_iteration(shape: SirenShape, features: Tensor, weights: Weights) -> None:
    grids, start = grids_of(weights, 4), shape.zero_weights()
    options = AdaRoundOptions(num_iterations=5, num_points=20)
    told: list[tuple[int, int]] = []
    first, again = (
        adaround(shape, features, start, weights, grids, options, lambda *now: told.append(now)) for _ in range(2)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert told[:20] == [(step, 20) for step in range(1, 21)]
