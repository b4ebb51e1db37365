"""Fit the `klt` codec: principal directions, quantiser levels and bit allocation from a training split.

    channels -> complex covariance -> eigenvectors -> unit-variance fields -> Lloyd-Max levels -> distortion -> widths

The fit is closed form (one eigendecomposition); nothing is random.
"""

import numpy as np
import torch
from torch import Tensor

from shared.coding.quantizers import lloyd_max
from shared.training.bit_allocation import allocate

MIN_RATE, MAX_RATE = 32, 1024
MAX_WIDTH = 9
NUM_COEFFICIENTS = 192
SAMPLES = 2_000_000  # field values that the shared codebook is designed on


def fit_klt(h: Tensor) -> dict[str, Tensor]:
    """Return the tensors of the model file.

    Args:
        h: [num_channels, num_rx_ant, num_tx_ant, num_subcarriers] complex64, training split, unit mean power.
    """
    mean, basis, coefficients = principal_directions(h, NUM_COEFFICIENTS)
    scale = (coefficients.abs().square().mean(dim=0) / 2).sqrt().repeat_interleave(2)
    fields = (torch.view_as_real(coefficients).flatten(1) / scale).double().numpy()
    variance = scale.double().square().numpy()
    codebook = _shared_codebook(fields, variance)
    widths, _ = allocate(_distortion(fields, variance, codebook), MAX_RATE)
    return {
        "mean": mean,
        "basis": basis,
        "scale": scale,
        "codebook": torch.from_numpy(codebook),
        "widths": torch.from_numpy(widths[MIN_RATE:].copy()),
    }


def principal_directions(h: Tensor, num_coefficients: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean channel, the strongest eigenvectors of the covariance, and the channels in their coordinates.

    Args:
        h: [num_channels, num_rx_ant, num_tx_ant, num_subcarriers] complex64.
        num_coefficients: Eigenvectors.

    Returns:
        [num_complex], [num_complex, num_coefficients] with orthonormal columns, strongest first, and [num_channels,
        num_coefficients], all complex64.
    """
    flat = h.flatten(1)
    mean = flat.mean(dim=0)
    centred = flat - mean
    _, vectors = torch.linalg.eigh(centred.T @ centred.conj() / len(flat))
    basis = vectors.flip(1)[:, :num_coefficients].contiguous()
    return mean, basis, centred @ basis.conj()


def _shared_codebook(fields: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Design the levels on the values of all fields, an error weighing as much as it does in the channel.

    The weak fields, which get few bits or none, would otherwise shape the levels of the strong ones.
    """
    some = fields[:: -(-fields.size // SAMPLES)]
    samples, weights = some.ravel(), np.broadcast_to(variance, some.shape).ravel()
    codebook = np.zeros((MAX_WIDTH, 2**MAX_WIDTH), dtype=np.float32)
    for width in range(1, MAX_WIDTH + 1):
        codebook[width - 1, : 2**width] = lloyd_max(samples, width, weights)
    return codebook


def _distortion(fields: np.ndarray, variance: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Measure the mean squared error of each field at each width, in units of the channel."""
    error = np.empty((fields.shape[1], MAX_WIDTH + 1))
    error[:, 0] = variance * np.square(fields).mean(axis=0)
    for width in range(1, MAX_WIDTH + 1):
        levels = codebook[width - 1, : 2**width].astype(np.float64)
        quantised = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, fields)]
        error[:, width] = variance * np.square(fields - quantised).mean(axis=0)
    return error
