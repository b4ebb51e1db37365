"""The rho of CsiNet: mean cosine similarity of the channel's subcarriers.

    x [.., angle, delay n] --zeros up to 257 taps, FFT over delay--> 257 subcarriers --> the first 125 of them --> rho

Source: C.-K. Wen, W.-T. Shih, S. Jin, "Deep Learning for Massive MIMO CSI Feedback", IEEE Wireless Commun. Lett. 7,
2018; its authors' code for 257 and 125.
"""

from functools import lru_cache

import torch
from torch import Tensor

from shared.energy import energy_of
from shared.errors import InvalidArgumentError
from shared.transforms import CSINET_TRUTH_SUBCARRIERS, from_angles

NUM_FFT = 257
ZERO = 1e-12  # of a channel's energy over all taps: less than this on a subcarrier is the rounding of a zero


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
    _require_taps(h_hat)
    # On a grid first: products of channels of n taps have 2 n - 1 lags, which 2 n points on the circle determine.
    num_points = 2 * h.shape[-1]
    y_hat, y = (torch.fft.fft(one.to(torch.complex128).flatten(1, 2), n=num_points, dim=-1) for one in (h_hat, h))
    inner, energy_hat, energy = torch.linalg.vecdot(y_hat, y, dim=1), energy_of(y_hat, dim=1), energy_of(y, dim=1)
    floor_hat, floor = (ZERO * one.mean(dim=-1, keepdim=True) for one in (energy_hat, energy))  # of all taps
    kernel = _interpolation(num_points, h.device)
    inner, energy_hat, energy = inner @ kernel.to(torch.complex128), energy_hat @ kernel, energy @ kernel
    there = (energy_hat > floor_hat) & (energy > floor)
    cosine = inner.abs() / (energy_hat * energy).clamp_min(torch.finfo(torch.float64).tiny).sqrt()
    return torch.where(there, cosine.clamp_max(1.0), 0.0).mean(dim=-1)


@lru_cache(maxsize=8)
def _interpolation(num_points: int, device: torch.device) -> Tensor:
    """Return [num_points, 125] float64, from points on the circle to subcarriers: the Dirichlet kernel of the lags."""
    points = torch.arange(num_points, dtype=torch.float64, device=device) / num_points
    subcarriers = torch.arange(CSINET_TRUTH_SUBCARRIERS, dtype=torch.float64, device=device) / NUM_FFT
    lags = torch.arange(1 - num_points // 2, num_points // 2, dtype=torch.float64, device=device)
    kernel: Tensor = torch.exp(2j * torch.pi * points[:, None] * lags) @ torch.exp(
        -2j * torch.pi * lags[:, None] * subcarriers
    )
    return kernel.real.contiguous() / num_points


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
    _require_taps(x)
    h: Tensor = torch.fft.fft(x.to(torch.complex128), n=NUM_FFT, dim=-1)[..., :CSINET_TRUTH_SUBCARRIERS]
    return h


def _require_taps(x: Tensor) -> None:
    if x.shape[-1] > NUM_FFT:
        raise InvalidArgumentError(f"`h_hat` must have at most {NUM_FFT} delay taps; got {x.shape[-1]}.")


def _mean_cosine(h_hat: Tensor, h: Tensor) -> Tensor:
    inner = (h_hat.conj() * h).sum(dim=(1, 2)).abs()
    norms = torch.linalg.vector_norm(h_hat, dim=(1, 2)) * torch.linalg.vector_norm(h, dim=(1, 2))
    return torch.where(norms > 0, inner / norms, 0.0).mean(dim=-1)
