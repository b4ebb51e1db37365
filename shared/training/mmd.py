r"""Maximum mean discrepancy: how far two distributions are apart, from samples of them.

    MMD^2 = mean K(a_i, a_j) + mean K(b_i, b_j) - 2 mean K(a_i, b_j),    K(a, b) = sum_s C_s / (C_s + |a - b|^2)

The mean is over all pairs, i = j as well (eqs. 11, 12). C was lost: at C = 1 the kernel of vectors of thousands of
entries vanishes, so C is the squared distance that two independent standard normal vectors have, 2 dim, times several
scales (ours).

Source: InvCSINet, eqs. 11-13; A. Gretton et al., "A kernel two-sample test", JMLR 13, 2012.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from shared.transforms import to_planes

SCALES = (0.1, 1.0, 10.0)
MEASURED = 1000  # channels that a distribution is measured by


def squared_mmd(a: Tensor, b: Tensor) -> Tensor:
    """Return MMD^2 of two sets of samples, a scalar; gradients reach both.

    Args:
        a: [n, dim] float32.
        b: [m, dim] float32.

    Example:
        >>> a, b = torch.randn(100, 5, generator=torch.Generator().manual_seed(0)).split(50)
        >>> bool(squared_mmd(a, b) < squared_mmd(a, b + 1)), float(squared_mmd(a, a)) < 1e-6
        (True, True)
    """
    scale = 2.0 * a.shape[1]
    total = torch.zeros((), device=a.device)
    for first, second, weight in ((a, a, 1.0), (b, b, 1.0), (a, b, -2.0)):
        gram = first @ second.T
        distance = first.square().sum(dim=1)[:, None] + second.square().sum(dim=1) - 2 * gram
        for factor in SCALES:
            c = factor * scale
            total = total + weight * (c / (c + distance.clamp_min(0))).mean()
    return total


@torch.no_grad()
def mmd_of_channels(h_hat: Callable[[Tensor], Tensor], h: Tensor) -> float:
    """Return MMD^2 between channels and their reconstructions, as the paper's Fig. 8b over epochs.

    Args:
        h_hat: Reconstructs ``[batch, 1, 32, 32] complex64``.
        h: [n, 1, 32, 32] complex64; the first `MEASURED` are taken.
    """
    some = h[:MEASURED]
    return float(squared_mmd(to_planes(h_hat(some)).flatten(1), to_planes(some).flatten(1)))
