"""Channels as signals."""

import torch

from shared.inr.csi_signals import channels_of, grid_of, signals_of
from shared.types import CsiShape


def test_channels_come_back_point_by_point() -> None:
    shape = CsiShape("spatial-frequency", 2, 3, 5)
    h = torch.randn(4, 2, 3, 5, dtype=torch.complex64)
    signals = signals_of(h)
    assert signals.shape == (4, 15, 4)
    assert torch.equal(channels_of(signals, shape), h)
    row = 2 * 5 + 3
    assert signals[1, row].tolist() == [*h[1, :, 2, 3].real.tolist(), *h[1, :, 2, 3].imag.tolist()]
    assert grid_of(shape)[row].tolist() == [1.0, 0.5]
