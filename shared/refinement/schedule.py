r"""Noise schedules of the diffusion: abar_n, the share of the channel's power that is left after n of N steps.

    cosine    abar_n = f(n / N) / f(0), f(t) = cos^2(pi / 2 (t + s) / (1 + s)), s = 0.008, each beta at most 0.999
    stopped   the same curve, stretched so that it ends at abar_N = 0.4

With N = 20 the cosine schedule ends at abar_N = 6.06e-6: the coarse channel enters x_N at 0.25 % of its amplitude, and
the residual diffusion hardly differs from one that starts from noise. The stopped schedule is ours.

Source: A. Nichol and P. Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021, eq. 17; RD-JSCC, V-D.
"""

import math
from typing import Literal

import torch
from torch import Tensor

ScheduleName = Literal["cosine", "stopped"]

OFFSET = 0.008
LARGEST_BETA = 0.999
STOP_AT = 0.4


def abar_of(name: ScheduleName, num_steps: int) -> Tensor:
    """Return abar_0 = 1, ..., abar_N.

    Args:
        name: Which schedule.
        num_steps: N.

    Returns:
        [num_steps + 1] float64, decreasing.

    Example:
        >>> f"{abar_of('cosine', 20)[-1]:.1e}", round(float(abar_of('stopped', 20)[-1]), 6)
        ('6.1e-06', 0.4)
    """
    end = 1.0 if name == "cosine" else _time_of(STOP_AT)
    time = torch.linspace(0, end, num_steps + 1, dtype=torch.float64)
    curve = torch.cos(math.pi / 2 * (time + OFFSET) / (1 + OFFSET)).square()
    kept = (curve[1:] / curve[:-1]).clamp(min=1 - LARGEST_BETA)
    return torch.cat([torch.ones(1, dtype=torch.float64), kept.cumprod(dim=0)])


def steps_of(num_train_steps: int, num_steps: int) -> list[int]:
    """Return at which of the N training steps a sampler with fewer steps stands, from N down to 0.

    Example:
        >>> steps_of(20, 1), steps_of(20, 2), steps_of(20, 3)
        ([20, 0], [20, 10, 0], [20, 13, 7, 0])
    """
    return [round(num_train_steps * (num_steps - i) / num_steps) for i in range(num_steps + 1)]


def _time_of(abar: float) -> float:
    """Return where the cosine curve has fallen to ``abar``."""
    start = math.cos(math.pi / 2 * OFFSET / (1 + OFFSET))
    return math.acos(math.sqrt(abar) * start) * 2 / math.pi * (1 + OFFSET) - OFFSET
