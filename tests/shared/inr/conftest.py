"""A small network, and three smooth signals for it."""

import pytest
import torch
from torch import Tensor

from shared.inr.overfit import OverfitOptions, overfit
from shared.inr.siren import SirenShape
from shared.networks.coordinates import centred_grid

SHAPE = SirenShape(width=10, num_hidden=2, num_outputs=2, num_frequencies=4)


def smooth_signals(num_signals: int, side: int = 12) -> Tensor:
    """Waves of several directions, [num_signals, side * side, 2] float32 in [-1, 1]."""
    grid = centred_grid(side, side)
    phases = [2 * grid[:, 0] + (1 + k / 2) * grid[:, 1] + k for k in range(num_signals)]
    return torch.stack([torch.stack([phase.sin(), phase.cos() * grid[:, 0]], dim=1) for phase in phases])


@pytest.fixture(scope="session")
def shape() -> SirenShape:
    return SHAPE


@pytest.fixture(scope="session")
def features() -> Tensor:
    return SHAPE.features(centred_grid(12, 12))


@pytest.fixture(scope="session")
def target() -> Tensor:
    return smooth_signals(3)


@pytest.fixture(scope="session")
def weights(features: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Weights of the three signals, overfitted."""
    torch.set_num_threads(1)
    start = SHAPE.random_weights(1, num_signals=3)
    return overfit(SHAPE, features, target, start, OverfitOptions(num_steps=300)).weights
