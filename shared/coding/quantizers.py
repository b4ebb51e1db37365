"""Scalar quantisers: the Lloyd-Max design of a codebook, and the nearest codebook entry.

Source: S. P. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28(2), 1982.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def lloyd_max(
    samples: NDArray[np.float64], num_bits: int, weights: NDArray[np.float64] | None = None, num_iterations: int = 200
) -> NDArray[np.float32]:
    """Design the codebook of least mean squared error on samples.

    Args:
        samples: [n] float, at least ``2 ** num_bits`` distinct values.
        num_bits: Bits of an index.
        weights: [n] float, weight of each squared error; default 1.
        num_iterations: Lloyd iterations.

    Returns:
        [2 ** num_bits] float32, increasing.
    """
    order = np.argsort(samples)
    values = samples[order]
    weight = np.ones_like(values) if weights is None else weights[order]
    mass = np.concatenate([[0.0], np.cumsum(weight)])
    moment = np.concatenate([[0.0], np.cumsum(weight * values)])
    quantile = (np.arange(2**num_bits) + 0.5) / 2**num_bits
    codebook = np.interp(quantile, mass[1:] / mass[-1], values)
    for _ in range(num_iterations):
        edges = np.concatenate([[0], np.searchsorted(values, (codebook[1:] + codebook[:-1]) / 2), [len(values)]])
        cell_mass = mass[edges[1:]] - mass[edges[:-1]]
        centre = (moment[edges[1:]] - moment[edges[:-1]]) / np.where(cell_mass > 0, cell_mass, 1)
        codebook = np.sort(np.where(cell_mass > 0, centre, codebook))
    return np.asarray(codebook, dtype=np.float32)


def nearest_index(values: Tensor, codebook: Tensor) -> Tensor:
    """Return the index of the nearest codebook entry.

    Args:
        values: [...] float32.
        codebook: [num_levels] float32, increasing.

    Returns:
        [...] int64 in ``[0, num_levels)``; a value midway takes the lower entry.
    """
    return torch.bucketize(values.contiguous(), (codebook[1:] + codebook[:-1]) / 2)
