"""Changes of domain between spatial-frequency and angular-delay, and the per-report power scale.

    h [.., antenna, subcarrier] --IFFT over subcarriers, FFT over antennas, fftshift--> x [.., angle, delay]

Both directions are unitary, so an NMSE is the same number in either domain. The layout is CsiNet's: angle rows
shifted so that broadside sits in the middle, delay columns starting at tap 0.
"""

import torch
from torch import Tensor


def to_angular_delay(h: Tensor) -> Tensor:
    """Transform a channel to the angular-delay domain.

    Args:
        h: [..., num_tx_ant, num_subcarriers] complex, spatial-frequency domain.

    Returns:
        [..., num_tx_ant, num_subcarriers] complex, row = angle (fftshifted), column = delay tap.
    """
    delay = torch.fft.ifft(h, dim=-1, norm="ortho")
    x: Tensor = torch.fft.fftshift(torch.fft.fft(delay, dim=-2, norm="ortho"), dim=-2)
    return x


def from_angular_delay(x: Tensor) -> Tensor:
    """Invert `to_angular_delay`.

    A channel of N subcarriers that was cropped to its first n delay taps comes back as every N/n-th subcarrier of the
    cropped channel, times sqrt(N/n).

    Args:
        x: [..., num_angles, num_taps] complex, angular-delay domain.

    Returns:
        [..., num_tx_ant, num_subcarriers] complex, spatial-frequency domain.
    """
    space = torch.fft.ifft(torch.fft.ifftshift(x, dim=-2), dim=-2, norm="ortho")
    h: Tensor = torch.fft.fft(space, dim=-1, norm="ortho")
    return h


def normalize_power(h: Tensor) -> Tensor:
    """Scale each report to unit mean power; the power itself is not fed back.

    Args:
        h: [batch, ...] complex, any domain.

    Returns:
        Same shape and dtype, mean of ``|h|^2`` over each report equal to 1.

    Raises:
        ValueError: If a report is all zero or not finite.
    """
    power = h.abs().square().mean(dim=tuple(range(1, h.dim())), keepdim=True)
    if not bool(torch.isfinite(power).all()) or bool((power == 0).any()):
        raise ValueError("`h` must be finite and have power in every report; found a report that does not.")
    return h / power.sqrt().to(h.dtype)
