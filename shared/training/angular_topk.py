"""Fit the `angular-topk` codec: the amplitude of each rank, its quantiser, and how each budget is spent.

channels -> taps by falling magnitude -> rms of each rank -> Lloyd-Max levels -> distortion of (amplitude, phase) widths
         -> for each budget the number of taps and the widths that leave the least error
"""

import numpy as np
import torch
from torch import Tensor

from shared.codecs.angular_topk import index_width
from shared.coding.quantizers import lloyd_max
from shared.training.bit_allocation import allocate

MIN_RATE, MAX_RATE = 32, 1024
MAX_AMPLITUDE_WIDTH, MAX_PHASE_WIDTH = 5, 7
MIN_PHASE_WIDTH = 1  # a width of 0 marks a tap that is not sent
MAX_TAPS = 80


def fit_angular_topk(x: Tensor) -> dict[str, Tensor]:
    """Return the tensors of the model file.

    Args:
        x: [num_channels, num_rx_ant, num_angles, num_taps] complex64, angular-delay, training split, unit mean power.
    """
    flat = x.flatten(1)
    magnitude = flat.abs().topk(MAX_TAPS, dim=1).values.double().numpy()
    rank_scale = np.sqrt(np.square(magnitude).mean(axis=0))
    codebook = np.zeros((MAX_AMPLITUDE_WIDTH, 2**MAX_AMPLITUDE_WIDTH), dtype=np.float32)
    for width in range(1, MAX_AMPLITUDE_WIDTH + 1):
        codebook[width - 1, : 2**width] = lloyd_max((magnitude / rank_scale).ravel(), width)
    distortion = _distortion(magnitude, rank_scale, codebook)
    amplitude_widths, phase_widths = _spend(distortion, index_width(flat.shape[1]), np.square(rank_scale))
    return {
        "mean": flat.mean(dim=0),
        "rank_scale": torch.from_numpy(rank_scale.astype(np.float32)),
        "codebook": torch.from_numpy(codebook),
        "amplitude_widths": torch.from_numpy(amplitude_widths),
        "phase_widths": torch.from_numpy(phase_widths),
    }


def _distortion(magnitude: np.ndarray, rank_scale: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Return [max_taps, amplitude width, phase width] mean squared error of a tap with uniform phase.

    With amplitude a quantised to q and a phase error uniform in +-pi / 2^p: E|a - q e^j|^2 = E[a^2 + q^2 - 2 a q c],
    c = sin(pi / 2^p) / (pi / 2^p).
    """
    widths = np.arange(MAX_PHASE_WIDTH + 1)
    cosine = np.sinc(1.0 / 2**widths)
    table = np.empty((MAX_TAPS, MAX_AMPLITUDE_WIDTH + 1, MAX_PHASE_WIDTH + 1))
    for width in range(MAX_AMPLITUDE_WIDTH + 1):
        levels = codebook[width - 1, : 2**width].astype(np.float64) if width else np.ones(1)
        chosen = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, magnitude / rank_scale)] * rank_scale
        square = (np.square(magnitude) + np.square(chosen)).mean(axis=0)
        cross = 2 * (magnitude * chosen).mean(axis=0)
        table[:, width] = square[:, None] - cross[:, None] * cosine
    return table


def _spend(distortion: np.ndarray, index_bits: int, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Choose for each budget the number of taps and the widths of each."""
    shape = (MAX_RATE - MIN_RATE + 1, MAX_TAPS)
    amplitude_widths, phase_widths = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=np.uint8)
    best_error = np.full(shape[0], np.inf)
    error_by_width, split = _best_split(distortion)
    for num_taps in range(1, MAX_TAPS + 1):
        fixed = num_taps * (index_bits + MIN_PHASE_WIDTH)
        most = min(MAX_RATE - fixed, num_taps * (error_by_width.shape[1] - 1))
        if most < 0:
            break
        widths, error = allocate(error_by_width[:num_taps], most)
        budgets = np.arange(max(MIN_RATE, fixed), fixed + most + 1)
        total = error[budgets - fixed] + energy[num_taps:].sum()
        better = budgets[total < best_error[budgets - MIN_RATE]]
        rows = better - MIN_RATE
        best_error[rows] = error[better - fixed] + energy[num_taps:].sum()
        amplitude_widths[rows], phase_widths[rows] = 0, 0
        chosen = split[np.arange(num_taps), widths[better - fixed]]
        amplitude_widths[rows, :num_taps], phase_widths[rows, :num_taps] = chosen[..., 0], chosen[..., 1]
    return amplitude_widths, phase_widths


def _best_split(distortion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split the bits of a tap between amplitude and phase.

    Returns:
        [max_taps, num_widths] least error of each rank with 0, 1, 2, ... bits beyond the least phase width, and
        [max_taps, num_widths, 2] the (amplitude, phase) widths that reach it.
    """
    num_widths = MAX_AMPLITUDE_WIDTH + MAX_PHASE_WIDTH - MIN_PHASE_WIDTH + 1
    error, split = np.full((MAX_TAPS, num_widths), np.inf), np.zeros((MAX_TAPS, num_widths, 2), dtype=np.uint8)
    for amplitude in range(MAX_AMPLITUDE_WIDTH + 1):
        for phase in range(MIN_PHASE_WIDTH, MAX_PHASE_WIDTH + 1):
            extra = amplitude + phase - MIN_PHASE_WIDTH
            better = distortion[:, amplitude, phase] < error[:, extra]
            error[better, extra] = distortion[better, amplitude, phase]
            split[better, extra] = amplitude, phase
    return error, split
