"""Normalised mean squared error of a reconstruction."""

import torch
from torch import Tensor

from shared.energy import energy_of
from shared.errors import InvalidArgumentError


def nmse(h_hat: Tensor, h: Tensor) -> Tensor:
    r"""Return the error energy of each sample relative to its channel energy.

    .. math:: \mathrm{NMSE}(\hat H, H) = \lVert \hat H - H \rVert_F^2 / \lVert H \rVert_F^2

    Linear on purpose: average over samples first, convert to dB last.

    Args:
        h_hat: [batch, ...] complex, reconstruction.
        h: Same shape as ``h_hat``, reference; no sample may be all zero.

    Returns:
        [batch] float64, 0 for a perfect reconstruction, 1 for ``h_hat = 0``.

    Raises:
        InvalidArgumentError: If the shapes differ.
    """
    if h_hat.shape != h.shape:
        raise InvalidArgumentError(f"`h_hat` must have the shape of `h`, {list(h.shape)}; got {list(h_hat.shape)}.")
    reference = h.to(torch.complex128).flatten(1)
    error = h_hat.to(torch.complex128).flatten(1) - reference
    return energy_of(error, dim=1) / energy_of(reference, dim=1)
