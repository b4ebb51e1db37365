"""Squared generalised cosine similarity of precoding directions."""

from torch import Tensor

from shared.directions import layer_directions
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
    return sgcs_per_layer_and_subband(h_hat, h, num_layers=1, num_subbands=h.shape[-1]).mean(dim=(1, 2))


def sgcs_per_layer_and_subband(h_hat: Tensor, h: Tensor, num_layers: int, num_subbands: int) -> Tensor:
    r"""Return the squared cosine similarity of each layer in each subband.

    .. math:: \mathrm{SGCS}_{l,s} = \frac{|v_{s,l}^H \hat v_{s,l}|^2}
        {\lVert v_{s,l} \rVert^2 \lVert \hat v_{s,l} \rVert^2}, \qquad
        R_s = \sum_{f \in s} H_f^H H_f, \quad R_s v_{s,l} = \lambda_{s,l} v_{s,l}

    Layer ``l`` of ``h_hat`` is held against layer ``l`` of ``h``, eigenvalues in falling order. TR 38.843 defines the
    SGCS of given vectors, per layer, with the mean over the subbands and the reports; how a subband gets its vector is
    left to each study. Ours is the eigenvector of the subband's covariance; not that of the subband's mean channel,
    whose phase turns from subcarrier to subcarrier. What is measured is each vector, not the subspace of the layers:
    two layers of almost equal strength may change places, and then both count little.

    Args:
        h_hat: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex, spatial-frequency domain.
        h: Same shape as ``h_hat``.
        num_layers: Layers, at most ``min(num_rx_ant, num_tx_ant)``.
        num_subbands: Subbands of equal width; a divisor of ``num_subcarriers``.

    Returns:
        [batch, num_layers, num_subbands] float64 in [0, 1]; a layer that ``h_hat`` or ``h`` does not have counts 0.

    Raises:
        InvalidArgumentError: If the shapes differ, or there cannot be so many layers or such subbands.

    Source: 3GPP TR 38.843, 6.2.

    Example:
        >>> import torch
        >>> h = torch.eye(2, dtype=torch.complex64)[None, :, :, None] * torch.tensor([2, 1])[:, None, None]
        >>> h_hat = h * torch.tensor([1, 0])[:, None, None]
        >>> sgcs_per_layer_and_subband(h_hat, h, num_layers=2, num_subbands=1).tolist()
        [[[1.0], [0.0]]]
    """
    if h_hat.shape != h.shape:
        raise InvalidArgumentError(f"`h_hat` must have the shape of `h`, {list(h.shape)}; got {list(h_hat.shape)}.")
    v, v_hat = (layer_directions(x, num_layers, num_subbands) for x in (h, h_hat))
    return direction_similarity(v_hat, v)


def direction_similarity(v_hat: Tensor, v: Tensor) -> Tensor:
    """Return the squared cosine similarity of directions that are known already.

    Args:
        v_hat: [batch, num_subbands, num_layers, num_tx_ant] complex128 of `layer_directions`, of the reconstruction.
        v: Same shape, of the truth.

    Returns:
        [batch, num_layers, num_subbands] float64 in [0, 1]; a layer that either does not have counts 0.

    Example:
        >>> import torch
        >>> v = torch.eye(2, dtype=torch.complex128)[None, None]
        >>> direction_similarity(v.roll(1, dims=2), v).tolist()
        [[[0.0], [0.0]]]
    """
    inner: Tensor = (v.conj() * v_hat).sum(dim=-1).transpose(1, 2)
    return inner.abs().square()
