"""Choose what `cs-omp` and `cs-lasso` need beside a seed: how many measurements share a budget, and when to stop.

    each of BUDGETS: more and more bits a part of a measurement, for each the recovery's parameter of least NMSE on some
    channels of the training split, as long as it pays -> between the budgets, on a straight line over log2(rate)

The parameter is the number of atoms, or lambda. It walks along a ladder from few taps to many as long as the NMSE
falls; larger budgets begin where the smaller ended, and a little before. Nothing else is learned: matrix and quantiser
know no channel.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.codecs.compressed_sensing.front_end import FrontEnd
from shared.codecs.compressed_sensing.lasso import Lasso
from shared.codecs.compressed_sensing.omp import recover_by_omp
from shared.coding.quantizers import lloyd_max
from shared.metrics import nmse

BUDGETS = (32, 64, 128, 256, 512, 1024)
BITS = (1.0, 1.5, 2.0, 2.5, 3.0)  # of a part, re or im, of a measurement; in between some have one more
MAX_WIDTH = 4  # of a part: where few bits are shared out, some have one more than the most of BITS
SEED = 1
NUM_CHANNELS = 200
STEPS_BACK = 2  # along the ladder: more bits a part are fewer measurements, and those bear fewer taps
NUM_ITERATIONS = 60  # of FISTA; 100 gain less than 0.15 dB at 64 bits, and 0.03 dB from 128 on
ATOMS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80)
THRESHOLDS = tuple(16 * 2 ** (-i / 2) for i in range(20))  # amplitudes; no tap has more than 32 at unit mean power

Recovery = Callable[[Tensor, Tensor, float], Tensor]  # y [batch, m], A [m, num_taps], parameter -> x [batch, num_taps]


class Choice(NamedTuple):
    """What one parameter gives.

    Attributes:
        error: Mean over channels of the NMSE, linear.
        rung: Of the ladder.
    """

    error: float
    rung: int


def fit_cs_omp(h: Tensor) -> dict[str, Tensor]:
    """Return the tensors of `cs-omp`.

    Args:
        h: [num_channels, num_rx_ant, num_angles, num_taps] complex64, angular-delay, training split, unit mean power.
    """
    bits, atoms = _choose(h, by_omp, ATOMS)
    tensors = _front_end(bits)
    num_atoms = np.minimum(np.rint(atoms), tensors["num_measurements"].numpy()).clip(min=1)
    return tensors | {"num_atoms": torch.from_numpy(num_atoms.astype(np.int16))}


def fit_cs_lasso(h: Tensor) -> dict[str, Tensor]:
    """Return the tensors of `cs-lasso`.

    Args:
        h: [num_channels, num_rx_ant, num_angles, num_taps] complex64, angular-delay, training split, unit mean power.
    """
    bits, thresholds = _choose(h, by_lasso, THRESHOLDS)
    return _front_end(bits) | {
        "threshold": torch.from_numpy(thresholds.astype(np.float32)),
        "num_iterations": torch.tensor(NUM_ITERATIONS, dtype=torch.int32),
    }


def by_omp(y: Tensor, matrix: Tensor, parameter: float) -> Tensor:
    """Recover with ``parameter`` atoms, at most as many as measurements."""
    return recover_by_omp(y, matrix, min(int(parameter), len(matrix)))


def by_lasso(y: Tensor, matrix: Tensor, parameter: float) -> Tensor:
    """Recover with a lambda of ``parameter``."""
    return Lasso(matrix, parameter, NUM_ITERATIONS)(y)


def best_parameter(
    x: Tensor, y: Tensor, matrix: Tensor, recovery: Recovery, ladder: Sequence[float], first: int = 0
) -> Choice:
    """Walk along a ladder of parameters while the NMSE falls.

    Args:
        x: [batch, num_taps] complex or real, the truth.
        y: [batch, m], its measurements.
        matrix: [m, num_taps].
        recovery: How to recover.
        ladder: Parameters, that of fewest taps first.
        first: Rung to begin at.

    Returns:
        The last before the NMSE rises.
    """
    best = Choice(math.inf, first)
    for rung in range(first, len(ladder)):
        error = float(nmse(recovery(y, matrix, ladder[rung]), x).mean())
        if error > best.error:
            break
        best = Choice(error, rung)
    return best


def _choose(h: Tensor, recovery: Recovery, ladder: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bits of a part and the parameter at each rate from the first to the last of `BUDGETS`."""
    x = h.flatten(1)
    x = x[torch.linspace(0, len(x) - 1, min(NUM_CHANNELS, len(x))).long()]
    chosen = [(0, 0)]  # index of the bits, rung
    for budget in BUDGETS:
        least, rung = chosen[-1]
        best = Choice(math.inf, 0)
        for i in range(least, len(BITS)):
            choice = best_parameter(x, *_measure(x, budget, BITS[i]), recovery, ladder, max(rung - STEPS_BACK, 0))
            if choice.error > best.error:
                break
            best, least = choice, i
        chosen.append((least, best.rung))
    octaves, rates = np.log2(BUDGETS), np.log2(np.arange(BUDGETS[0], BUDGETS[-1] + 1))
    bits = np.interp(rates, octaves, [BITS[i] for i, _ in chosen[1:]])
    return bits, np.exp2(np.interp(rates, octaves, [math.log2(ladder[rung]) for _, rung in chosen[1:]]))


def _measure(x: Tensor, budget: int, bits: float) -> tuple[Tensor, Tensor]:
    """Return the measurements of some channels as the base station gets them, and their matrix."""
    front_end = FrontEnd(SEED, x.shape[1], budget, _num_measurements([budget], [bits]), gaussian_codebook())
    matrix, widths = front_end.matrix(budget), front_end.widths(budget)
    y = (x.to(torch.complex128) @ matrix.T).to(torch.complex64)
    return front_end.value(front_end.index(y, widths), widths), matrix


def _front_end(bits: NDArray[np.float64]) -> dict[str, Tensor]:
    """Return the tensors that both codecs have."""
    num_measurements = np.maximum.accumulate(_num_measurements(range(BUDGETS[0], BUDGETS[-1] + 1), bits))
    return {
        "seed": torch.tensor(SEED, dtype=torch.int64),
        "num_measurements": torch.from_numpy(num_measurements.astype(np.int16)),
        "codebook": gaussian_codebook(),
    }


def _num_measurements(rates: Sequence[int], bits: Sequence[float] | NDArray[np.float64]) -> NDArray[np.int64]:
    """Return how many complex measurements share each budget, two parts of ``bits`` each."""
    num_measurements: NDArray[np.int64] = np.floor(np.asarray(rates) / (2 * np.asarray(bits))).astype(np.int64)
    return num_measurements


@cache
def gaussian_codebook() -> Tensor:
    """Return [MAX_WIDTH, 2 ** MAX_WIDTH] float32: row ``b - 1`` begins with the Lloyd-Max levels of a unit Gaussian."""
    samples = np.array([NormalDist().inv_cdf((i + 0.5) / 100_000) for i in range(100_000)])
    codebook = np.zeros((MAX_WIDTH, 2**MAX_WIDTH), dtype=np.float32)
    for width in range(1, MAX_WIDTH + 1):
        codebook[width - 1, : 2**width] = lloyd_max(samples, width)
    return torch.from_numpy(codebook)
