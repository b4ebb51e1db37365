"""Channels as signals over antenna and subcarrier: complex channels <-> two reals a receive antenna and coordinate."""

import torch
from torch import Tensor

from shared.networks.coordinates import centred_grid
from shared.types import CsiShape


def grid_of(shape: CsiShape) -> Tensor:
    """Return the coordinates of a channel's points, [num_tx_ant * num_subcarriers, 2] float32 in [-1, 1]."""
    return centred_grid(shape.num_tx_ant, shape.num_subcarriers)


def signals_of(h: Tensor) -> Tensor:
    """Return channels as signals.

    Args:
        h: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64, spatial-frequency domain, where channels are
            smooth, as coordinate networks like it.

    Returns:
        [batch, num_tx_ant * num_subcarriers, 2 * num_rx_ant] float32, real parts of all receive antennas, then the
            imaginary ones.

    Example:
        >>> signals_of(torch.full((1, 1, 2, 2), 1 + 2j))[0, 0]
        tensor([1., 2.])
    """
    points = h.flatten(2).mT
    return torch.cat([points.real, points.imag], dim=2)


def channels_of(signals: Tensor, shape: CsiShape) -> Tensor:
    """Invert `signals_of`: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64."""
    real, imaginary = signals.chunk(2, dim=2)
    return torch.complex(real, imaginary).mT.reshape(len(signals), *shape.dims)
