"""Squared generalised cosine similarity of precoding directions."""

import torch
from torch import Tensor

from shared.errors import InvalidArgumentError


def sgcs(h_hat: Tensor, h: Tensor) -> Tensor:
    r"""Return the squared cosine similarity of the strongest eigenvector, averaged over subcarriers.

    .. math:: \mathrm{SGCS} = \frac{1}{F} \sum_f \frac{|v_f^H \hat v_f|^2}{\lVert v_f \rVert^2 \lVert \hat v_f \rVert^2}

    Layer 1, one subcarrier a subband; ``v_f`` is the strongest right singular vector of the ``num_rx_ant x num_tx_ant``
    channel of subcarrier ``f``. Not the rho of CsiNet, which averages the unsquared cosine.

    Args:
        h_hat: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex, spatial-frequency domain.
        h: Same shape as ``h_hat``.

    Returns:
        [batch] float64 in [0, 1]; a subcarrier on which ``h_hat`` is zero counts 0.

    Raises:
        InvalidArgumentError: If the shapes differ.

    Source: 3GPP TR 38.843, 6.2.
    """
    if h_hat.shape != h.shape:
        raise InvalidArgumentError(f"`h_hat` must have the shape of `h`, {list(h.shape)}; got {list(h_hat.shape)}.")
    v, v_hat = _strongest_direction(h), _strongest_direction(h_hat)
    inner = (v.conj() * v_hat).sum(dim=-1).abs().square()
    energy = v.abs().square().sum(dim=-1) * v_hat.abs().square().sum(dim=-1)
    return torch.where(energy > 0, inner / energy, 0.0).mean(dim=-1)


def _strongest_direction(h: Tensor) -> Tensor:
    """Return [batch, num_subcarriers, num_tx_ant], up to a phase; zero where the channel is."""
    matrices = h.to(torch.complex128).permute(0, 3, 1, 2)
    if matrices.shape[2] == 1:
        return matrices[:, :, 0].conj()
    _, singular, vh = torch.linalg.svd(matrices, full_matrices=False)
    direction: Tensor = vh[:, :, 0].conj() * (singular[:, :, :1] > 0)
    return direction
