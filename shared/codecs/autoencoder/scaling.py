r"""The scale in which a network sees a channel, and back.

| scaling | network in | h_hat | bits |
|---|---|---|---|
| ``peak`` | 0.5 + 0.5 x / p, p = max \|x\| | 2 p (sigmoid(out) - 0.5) | 8, for p |
| ``power`` | x | 64 (sigmoid(out) - 0.5) | 0 |

``peak`` is CsiNet's: the published weights need it, and the base station cannot know p unless it is sent: 8 bits,
logarithmic from 1 to 32, a relative error of at most 0.7 %. ``power`` needs nothing: a report has unit mean power, so
no entry exceeds p = sqrt(1024) = 32. Networks trained here start with a last norm of 1 / 16, the inverse of the slope
at 0, so that their first output has about the power of a channel.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.transforms import from_planes, to_planes

Scaling = Literal["peak", "power"]

PEAK_BITS = 8
POWER_SLOPE = 16.0  # of h_hat over out at 0 in the scaling `power`
LARGEST_PEAK = 32.0  # |x| of a 32 x 32 report of unit mean power whose energy is all in one entry


def peak(x: Tensor) -> Tensor:
    """Return the largest magnitude of each report.

    Args:
        x: [batch, 1, angle, delay] complex64, unit mean power.

    Returns:
        [batch] float32 in [1, 32].
    """
    return x.abs().flatten(1).amax(dim=1)


def network_input(x: Tensor, scaling: Scaling) -> Tensor:
    """Return what the network sees of ``x: [batch, 1, angle, delay] complex64``, as real planes."""
    planes = to_planes(x)
    return planes if scaling == "power" else 0.5 + 0.5 * planes / peak(x)[:, None, None, None]


def network_output(output: Tensor, scaling: Scaling, peaks: Tensor | None) -> Tensor:
    """Return the channel that a network's output stands for.

    Args:
        output: [batch, 2, angle, delay] float32, before the output activation.
        scaling: How the network's input was scaled.
        peaks: [batch] float32, the peak of each report; for ``peak`` only.

    Returns:
        [batch, 1, angle, delay] complex64.
    """
    span = 2 * LARGEST_PEAK if peaks is None or scaling == "power" else 2 * peaks[:, None, None, None]
    return from_planes((torch.sigmoid(output) - 0.5) * span)


def peak_index(peaks: Tensor) -> NDArray[np.int64]:
    """Quantise ``peaks: [batch] float32`` to ``[batch]`` indices below ``2 ** PEAK_BITS``."""
    share = np.log(peaks.double().cpu().numpy()) / np.log(LARGEST_PEAK)
    index: NDArray[np.int64] = np.clip(share * 2**PEAK_BITS, 0, 2**PEAK_BITS - 1).astype(np.int64)
    return index


def peak_value(index: NDArray[np.int64]) -> Tensor:
    """Invert `peak_index` to the middle of each step, on the host."""
    return torch.from_numpy(LARGEST_PEAK ** ((index + 0.5) / 2**PEAK_BITS)).float()
