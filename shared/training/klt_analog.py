"""Fit the `klt-analog` codec: principal directions, power allocation and norms from a training split.

    channels -> complex covariance -> eigenvectors, variances -> power of each coefficient at 1, 2, ... symbols -> gains

The fit is closed form; nothing is random.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.training.klt import principal_directions

NUM_COEFFICIENTS = 128
DESIGN_SNR_DB = 10.0  # after combining; designed for 0 dB, 128 symbols would lose 3 dB of NMSE at 15 dB


def fit_klt_analog(h: Tensor) -> dict[str, Tensor]:
    """Return the tensors of the model file.

    Args:
        h: [num_channels, num_rx_ant, num_tx_ant, num_subcarriers] complex64, training split, unit mean power.
    """
    mean, basis, coefficients = principal_directions(h, NUM_COEFFICIENTS)
    power = coefficients.abs().square().double()
    variance = power.mean(dim=0).numpy()
    gains = np.zeros((NUM_COEFFICIENTS, NUM_COEFFICIENTS))
    for k in range(1, NUM_COEFFICIENTS + 1):
        gains[k - 1, :k] = np.sqrt(allocate_power(variance[:k], k, 10 ** (-DESIGN_SNR_DB / 10)) / variance[:k])
    return {
        "mean": mean,
        "basis": torch.view_as_real(basis).half().contiguous(),  # its rounding is far below what 128 symbols leave out
        "variance": torch.from_numpy(variance).float(),
        "gains": torch.from_numpy(gains).float(),
        "norm": power.cumsum(dim=1).sqrt().mean(dim=0).float(),
    }


def allocate_power(variance: NDArray[np.float64], total: float, no: float) -> NDArray[np.float64]:
    """Return the power of each coefficient that minimises the MSE of linear transmission over white noise.

    The MSE is sum v no / (p + no) over p >= 0, sum p = total: p + no is proportional to sqrt(v) where p > 0.

    Args:
        variance: [num_coefficients] positive, decreasing.
        total: Power of all symbols together.
        no: Variance of the noise in each symbol.

    Returns:
        [num_coefficients] float64, zero below the cut-off.

    Example:
        >>> allocate_power(np.array([16.0, 4.0, 0.01]), 3.0, 0.1).round(3).tolist()
        [2.033, 0.967, 0.0]
    """
    root = np.sqrt(variance)
    for active in range(len(root), 0, -1):
        power = root[:active] * (total + active * no) / root[:active].sum() - no
        if power[-1] > 0:
            return np.pad(power, (0, len(root) - active))
    raise ValueError(f"`total` must be above 0; got {total}.")
