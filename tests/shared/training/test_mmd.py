"""The discrepancy of two distributions."""

import pytest
import torch
from torch import Tensor

from shared.training.mmd import SCALES, squared_mmd


def normal(count: int, dim: int, seed: int) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


def test_it_is_the_sum_over_all_pairs() -> None:
    a, b = normal(3, 4, 1), normal(5, 4, 2)

    def kernel(one: Tensor, other: Tensor) -> float:
        distance = float((one - other).square().sum())
        return sum(factor * 8 / (factor * 8 + distance) for factor in SCALES)

    def mean(first: Tensor, second: Tensor) -> float:
        return sum(kernel(one, other) for one in first for other in second) / (len(first) * len(second))

    assert float(squared_mmd(a, b)) == pytest.approx(mean(a, a) + mean(b, b) - 2 * mean(a, b), abs=1e-5)


def test_it_is_small_between_samples_of_one_distribution_and_large_between_others() -> None:
    a, b = normal(128, 2048, 1), normal(128, 2048, 2)
    same = float(squared_mmd(a, b))
    assert 0 < same < float(squared_mmd(a, 1.2 * b)) < float(squared_mmd(a, 2 * b))
    assert 5 * same < float(squared_mmd(a, b + 0.5))


def test_minimising_it_moves_samples_to_the_other_distribution() -> None:
    a, b = (normal(64, 8, 1) - 2).requires_grad_(), normal(64, 8, 2)
    optimizer = torch.optim.Adam([a], lr=0.05)
    first = float(squared_mmd(a.detach(), b))
    for _ in range(100):
        (a.grad,) = torch.autograd.grad(squared_mmd(a, b), a)
        optimizer.step()
    assert float(squared_mmd(a.detach(), b)) < 0.2 * first
    assert abs(float(a.detach().mean())) < 0.5
