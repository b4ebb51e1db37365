"""Small channels with correlated entries, in both domains."""

from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.transforms import normalize_power
from shared.types import CsiShape, Domain

NUM_CHANNELS = 1500


def correlated(num_channels: int, dims: tuple[int, int, int], seed: int) -> Tensor:
    """Return channels of one covariance, drawn with ``seed``, and a mean, each report at unit mean power."""
    size = int(np.prod(dims))
    mixing, rng = np.random.default_rng(0), np.random.default_rng(seed)
    root = mixing.standard_normal((2, size, size)) * np.exp(-np.arange(size) / 4)
    white = rng.standard_normal((2, num_channels, size))
    flat = (white[0] + 1j * white[1]) @ (root[0] + 1j * root[1]).T + 2.0
    return normalize_power(torch.from_numpy(flat.astype(np.complex64)).reshape(-1, *dims))


@pytest.fixture(params=get_args(Domain))
def shape(request: pytest.FixtureRequest) -> CsiShape:
    return CsiShape(request.param, 2, 4, 6)


@pytest.fixture
def channels(shape: CsiShape) -> Tensor:
    """[NUM_CHANNELS, *shape.dims] complex64."""
    return correlated(NUM_CHANNELS, shape.dims, seed=1)


@pytest.fixture
def others(shape: CsiShape) -> Tensor:
    """Other channels of the same kind."""
    return correlated(NUM_CHANNELS, shape.dims, seed=2)
