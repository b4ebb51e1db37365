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
    total = distortion.shape[1] - 1 + distortion.shape[2] - 1 - MIN_PHASE_WIDTH
    path = _best_split(distortion)
    for num_taps in range(1, MAX_TAPS + 1):
        fixed = num_taps * (index_bits + MIN_PHASE_WIDTH)
        most = min(MAX_RATE - fixed, num_taps * total)
        if most < 0:
            break
        error_by_extra = np.array([[distortion[r, a, p] for a, p in path[r]] for r in range(num_taps)])
        extra = allocate(error_by_extra, most)
        left_out = energy[num_taps:].sum()
        for budget in range(max(MIN_RATE, fixed), fixed + most + 1):
            spent = extra[budget - fixed]
            error = error_by_extra[np.arange(num_taps), spent].sum() + left_out
            row = budget - MIN_RATE
            if error < best_error[row]:
                best_error[row] = error
                split = np.array([path[r][n] for r, n in enumerate(spent)])
                amplitude_widths[row], phase_widths[row] = 0, 0
                amplitude_widths[row, :num_taps], phase_widths[row, :num_taps] = split.T
    return amplitude_widths, phase_widths


def _best_split(distortion: np.ndarray) -> list[list[tuple[int, int]]]:
    """Return for each rank the (amplitude, phase) widths after 0, 1, 2, ... extra bits, each the better next step."""
    paths = []
    for table in distortion:
        amplitude, phase = 0, MIN_PHASE_WIDTH
        path = [(amplitude, phase)]
        while amplitude < MAX_AMPLITUDE_WIDTH or phase < MAX_PHASE_WIDTH:
            more_phase = phase < MAX_PHASE_WIDTH and (
                amplitude == MAX_AMPLITUDE_WIDTH or table[amplitude, phase + 1] <= table[amplitude + 1, phase]
            )
            amplitude, phase = (amplitude, phase + 1) if more_phase else (amplitude + 1, phase)
            path.append((amplitude, phase))
        paths.append(path)
    return paths
