"""Changes of domain between spatial-frequency and angular-delay, and the per-report power scale.

    h [.., antenna, subcarrier] --IFFT over subcarriers, FFT over antennas, fftshift--> x [.., angle, delay]

Both directions are unitary, so an NMSE is the same number in either domain. The layout is CsiNet's: angle rows
shifted so that broadside sits in the middle, delay columns starting at tap 0. This is the one place that knows it, and
CsiNet's own rows of it (`HT`: [re, im], each [angle 32, delay 32], around 0.5) and of its truth (`HF_all`).
"""

import torch
from torch import Tensor

CSINET_OFFSET = 0.5  # CsiNet scales its values to [0, 1] around this
CSINET_SIDE = 32
CSINET_TRUTH_SUBCARRIERS = 125


def to_angular_delay(h: Tensor) -> Tensor:
    """Transform a channel to the angular-delay domain.

    Args:
        h: [..., num_tx_ant, num_subcarriers] complex, spatial-frequency domain.

    Returns:
        [..., num_tx_ant, num_subcarriers] complex, row = angle (fftshifted), column = delay tap.
    """
    return to_angles(torch.fft.ifft(h, dim=-1, norm="ortho"))


def to_angles(h: Tensor) -> Tensor:
    """Transform antennas to angles, and leave the last axis as it is.

    Args:
        h: [..., num_tx_ant, n] complex.

    Returns:
        [..., num_tx_ant, n] complex, row = angle (fftshifted).
    """
    x: Tensor = torch.fft.fftshift(torch.fft.fft(h, dim=-2, norm="ortho"), dim=-2)
    return x


def from_angles(x: Tensor) -> Tensor:
    """Invert `to_angles`.

    Args:
        x: [..., num_tx_ant, n] complex, row = angle (fftshifted).

    Returns:
        [..., num_tx_ant, n] complex.
    """
    h: Tensor = torch.fft.ifft(torch.fft.ifftshift(x, dim=-2), dim=-2, norm="ortho")
    return h


def from_angular_delay(x: Tensor) -> Tensor:
    """Invert `to_angular_delay`.

    A channel of N subcarriers that was cropped to its first n delay taps comes back as every N/n-th subcarrier of the
    cropped channel, times sqrt(N/n).

    Args:
        x: [..., num_angles, num_taps] complex, angular-delay domain.

    Returns:
        [..., num_tx_ant, num_subcarriers] complex, spatial-frequency domain.
    """
    h: Tensor = torch.fft.fft(from_angles(x), dim=-1, norm="ortho")
    return h


def crop_taps(x: Tensor, num_delay_taps: int) -> tuple[Tensor, Tensor]:
    """Keep the first delay taps.

    Args:
        x: [batch, num_rx_ant, num_angles, num_taps] complex, angular-delay domain.
        num_delay_taps: Taps to keep, at most ``num_taps``.

    Returns:
        [batch, num_rx_ant, num_angles, num_delay_taps] complex, and [batch] float64 in [0, 1]: the share of the energy
        that the crop leaves out (not a number for a channel without power).
    """
    cropped = x[..., :num_delay_taps]
    kept, whole = (part.abs().square().double().sum(dim=(1, 2, 3)) for part in (cropped, x))
    return cropped, (1.0 - kept / whole).clamp(min=0.0)  # of a crop that leaves nothing out, rounding may go below


def from_csinet_rows(rows: Tensor) -> Tensor:
    """Lay rows of CsiNet's `HT` out as channels.

    Args:
        rows: [batch, 2048] real: 1,024 real parts, then 1,024 imaginary parts, in [0, 1] around 0.5.

    Returns:
        [batch, 1, angle 32, delay 32] complex64, angular-delay domain, without the offset.
    """
    re, im = (rows.float() - CSINET_OFFSET).chunk(2, dim=1)
    return torch.complex(re, im).reshape(-1, 1, CSINET_SIDE, CSINET_SIDE)


def to_csinet_rows(x: Tensor) -> Tensor:
    """Invert `from_csinet_rows`, each channel scaled by 0.5 / max|x| as in CsiNet's files.

    Args:
        x: [batch, 1, angle 32, delay 32] complex64, angular-delay domain.

    Returns:
        [batch, 2048] float32 in [0, 1].
    """
    flat = x.reshape(len(x), -1)
    flat = flat * (CSINET_OFFSET / flat.abs().amax(dim=1, keepdim=True))
    return torch.cat([flat.real, flat.imag], dim=1) + CSINET_OFFSET


def from_csinet_truth(rows: Tensor) -> Tensor:
    """Lay rows of CsiNet's `HF_all` out as channels.

    Its code compares it with the FFT of `HT` over delay alone (zero-padded from 32 to 257 taps, the first 125 of 257
    subcarriers), so its 32 rows are angles like those of `HT`.

    Args:
        rows: [batch, 4000] complex: angle 32 by subcarrier 125.

    Returns:
        [batch, 1, antenna 32, subcarrier 125] complex64, spatial-frequency domain.
    """
    return from_angles(rows.to(torch.complex64).reshape(-1, 1, CSINET_SIDE, CSINET_TRUTH_SUBCARRIERS))


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


def to_planes(x: Tensor) -> Tensor:
    """Turn ``[batch, 1, angle, delay] complex64`` into ``[batch, 2, angle, delay] float32``, real before imaginary."""
    return torch.cat([x.real, x.imag], dim=1)


def from_planes(planes: Tensor) -> Tensor:
    """Invert `to_planes`."""
    return torch.complex(planes[:, :1], planes[:, 1:])
