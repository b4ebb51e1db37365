"""NMSE against the uncropped channel.

    x_full [.., angle, all taps] = [ h | tail ]        h_hat = [ h_hat | 0 ]        crop_loss = |tail|^2 / |x_full|^2

The error is that inside the crop plus all of the tail, so with the NMSE inside the crop and the report's own loss it is
exactly ``nmse (1 - crop_loss) + crop_loss``. Its mean over reports needs each report's loss, which csilink's own
files hold (`ChannelSet.crop_loss`): the mean of a card leaves the covariance of the two open (docs/metrics.md).
"""

import torch
from torch import Tensor

from shared.errors import InvalidArgumentError
from shared.metrics.nmse import nmse


def nmse_full(h_hat: Tensor, x_full: Tensor) -> Tensor:
    """Return the NMSE against the uncropped channel.

    Args:
        h_hat: [batch, num_rx_ant, num_angles, num_delay_taps] complex, angular-delay domain: the first taps. No others
            are fed back: they count as zero.
        x_full: [batch, num_rx_ant, num_angles, num_taps] complex, angular-delay domain, at the scale of ``h_hat``: its
            first taps are the h that was fed back, at unit mean power inside the crop. No report may be all zero.

    Returns:
        [batch] float64, linear; not below the report's crop loss.

    Raises:
        InvalidArgumentError: If ``x_full`` has other antennas, or fewer taps.
    """
    num_tail = x_full.shape[-1] - h_hat.shape[-1]
    if h_hat.shape[:-1] != x_full.shape[:-1] or num_tail < 0:
        wanted = f"[{', '.join(map(str, h_hat.shape[:-1]))}, at least {h_hat.shape[-1]}]"
        raise InvalidArgumentError(f"`x_full` must have the shape {wanted}; got {list(x_full.shape)}.")
    return nmse(torch.nn.functional.pad(h_hat, (0, num_tail)), x_full)


def nmse_full_from_loss(nmse: Tensor, crop_loss: Tensor) -> Tensor:
    """Return the NMSE against the uncropped channel from that inside the crop; no approximation.

    Args:
        nmse: [batch] float64, linear, inside the crop.
        crop_loss: [batch] float64 in [0, 1], the share of each report's own energy that the crop leaves out, as
            `crop_taps` returns it. Not the mean of the card.

    Returns:
        [batch] float64, linear.

    Raises:
        InvalidArgumentError: If the shapes differ.

    Example:
        >>> nmse, crop_loss = torch.tensor([[0.0, 0.1], [0.02, 0.0]], dtype=torch.float64)
        >>> nmse_full_from_loss(nmse, crop_loss).tolist()
        [0.02, 0.1]
    """
    if nmse.shape != crop_loss.shape:
        wanted, found = list(nmse.shape), list(crop_loss.shape)
        raise InvalidArgumentError(f"`crop_loss` must have the shape of `nmse`, {wanted}; got {found}.")
    return nmse * (1 - crop_loss) + crop_loss
