"""The rho of CsiNet: mean cosine similarity of the channel's subcarriers.

    x [.., angle, delay n] --zeros up to 257 taps, FFT over delay--> 257 subcarriers --> the first 125 of them --> rho

Source: C.-K. Wen, W.-T. Shih, S. Jin, "Deep Learning for Massive MIMO CSI Feedback", IEEE Wireless Commun. Lett. 7,
2018; its authors' code for 257 and 125.
"""

import torch
from torch import Tensor

from shared.errors import InvalidArgumentError
from shared.transforms import CSINET_TRUTH_SUBCARRIERS, from_angles

NUM_FFT = 257


def rho(h_hat: Tensor, h: Tensor) -> Tensor:
    r"""Return the mean cosine similarity per subcarrier, both channels as cropped.

    .. math:: \rho = \frac{1}{125} \sum_{f=1}^{125}
        \frac{|\hat h_f^H h_f|}{\lVert \hat h_f \rVert \lVert h_f \rVert}

    Not squared, unlike SGCS. ``h_f`` is the channel over all antennas, here in angles: they are a unitary transform of
    the antennas, which changes no cosine. With several receive antennas, ``h_f`` holds those of all of them (CsiNet has
    one; ours). Its authors' code takes the uncropped channel for ``h``: `rho_full`.

    Args:
        h_hat: [batch, num_rx_ant, num_angles, num_delay_taps] complex, angular-delay domain, at most 257 taps.
        h: Same shape as ``h_hat``.

    Returns:
        [batch] float64 in [0, 1]; a subcarrier on which either channel is zero counts 0.

    Raises:
        InvalidArgumentError: If the shapes differ or there are too many taps.

    Example:
        >>> x = torch.randn(2, 1, 32, 32, dtype=torch.complex64)
        >>> [round(value, 12) for value in rho(-3j * x, x).tolist()]
        [1.0, 1.0]
    """
    if h_hat.shape != h.shape:
        raise InvalidArgumentError(f"`h_hat` must have the shape of `h`, {list(h.shape)}; got {list(h_hat.shape)}.")
    return _mean_cosine(_subcarriers(h_hat), _subcarriers(h))


def rho_full(h_hat: Tensor, h_full: Tensor) -> Tensor:
    """Return `rho` against the uncropped channel, as CsiNet publishes it: the crop's loss counts.

    Args:
        h_hat: [batch, num_rx_ant, num_angles, num_delay_taps] complex, angular-delay domain, at most 257 taps.
        h_full: [batch, num_rx_ant, num_tx_ant, 125] complex, spatial-frequency domain: CsiNet's `HF_all` as
            `from_csinet_truth` lays it out.

    Returns:
        [batch] float64 in [0, 1].

    Raises:
        InvalidArgumentError: If ``h_full`` has other antennas or subcarriers, or there are too many taps.
    """
    wanted = [*h_hat.shape[:-1], CSINET_TRUTH_SUBCARRIERS]
    if list(h_full.shape) != wanted:
        raise InvalidArgumentError(f"`h_full` must have the shape {wanted}; got {list(h_full.shape)}.")
    return _mean_cosine(from_angles(_subcarriers(h_hat)), h_full.to(torch.complex128))


def _subcarriers(x: Tensor) -> Tensor:
    """Return [batch, num_rx_ant, num_angles, 125] complex128; the scale of the FFT changes no cosine."""
    if x.shape[-1] > NUM_FFT:
        raise InvalidArgumentError(f"`h_hat` must have at most {NUM_FFT} delay taps; got {x.shape[-1]}.")
    h: Tensor = torch.fft.fft(x.to(torch.complex128), n=NUM_FFT, dim=-1)[..., :CSINET_TRUTH_SUBCARRIERS]
    return h


def _mean_cosine(h_hat: Tensor, h: Tensor) -> Tensor:
    inner = (h_hat.conj() * h).sum(dim=(1, 2)).abs()
    norms = torch.linalg.vector_norm(h_hat, dim=(1, 2)) * torch.linalg.vector_norm(h, dim=(1, 2))
    return torch.where(norms > 0, inner / norms, 0.0).mean(dim=-1)
