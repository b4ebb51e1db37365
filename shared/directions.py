"""The directions in which a channel carries its layers: right singular vectors, subband by subband.

    H_f [num_rx_ant, num_tx_ant], f in subband s  --stacked over f-->  A_s  --SVD-->  v_s,1, v_s,2, ...

The rows of all subcarriers of a subband are stacked, so the right singular vectors of ``A_s`` are the eigenvectors of
the subband's covariance ``A_s^H A_s``, the sum of ``H_f^H H_f``, without squaring its condition.

An eigenvector has no phase of its own. `layer_directions` leaves it open, `phased_directions` gives it the channel's.
"""

import torch
from torch import Tensor

from shared.energy import energy_of
from shared.errors import InvalidArgumentError


def layer_directions(h: Tensor, num_layers: int, num_subbands: int) -> Tensor:
    """Return the direction of each layer in each subband.

    Args:
        h: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex, spatial-frequency domain.
        num_layers: Layers, strongest first; at most ``min(num_rx_ant, num_tx_ant)``, for a UE tells no more apart.
        num_subbands: Subbands of equal width; a divisor of ``num_subcarriers``.

    Returns:
        [batch, num_subbands, num_layers, num_tx_ant] complex128, unit norm, each up to a phase; zero for a layer that
        the channel does not have (its singular value is zero to the rounding of complex64).

    Raises:
        InvalidArgumentError: If there cannot be so many layers or such subbands.

    Example:
        >>> h = torch.zeros(1, 1, 4, 2, dtype=torch.complex64)
        >>> h[0, 0, 3] = 2
        >>> layer_directions(h, num_layers=1, num_subbands=1).abs().tolist()
        [[[[0.0, 0.0, 0.0, 1.0]]]]
    """
    batch, num_rx_ant, num_tx_ant, num_subcarriers = h.shape
    most_layers = min(num_rx_ant, num_tx_ant)
    if not 1 <= num_layers <= most_layers:
        raise InvalidArgumentError(f"`num_layers` must be in [1, {most_layers}]; got {num_layers}.")
    if num_subbands < 1 or num_subcarriers % num_subbands:
        raise InvalidArgumentError(f"`num_subbands` must divide {num_subcarriers} subcarriers; got {num_subbands}.")
    rows = h.to(torch.complex128).permute(0, 3, 1, 2).reshape(batch, num_subbands, -1, num_tx_ant)
    if rows.shape[2] == 1:  # the only row is the direction: no need of a decomposition
        norm = energy_of(rows, dim=-1)[..., None].sqrt()
        return rows.conj() * torch.where(norm > 0, 1 / norm, 0.0)
    _, singular, vh = torch.linalg.svd(rows, full_matrices=False)
    # channels are complex64 wherever they come from; transformed in complex128 they are no more precise
    rounding = torch.finfo(torch.complex64).eps * max(rows.shape[2:])
    present = singular[..., :num_layers] > rounding * singular[..., :1]
    directions: Tensor = vh[..., :num_layers, :].conj() * present.unsqueeze(-1)
    return directions


def precoder_directions(f_hat: Tensor) -> Tensor:
    """Return the direction of layer 1 on each subcarrier, of a codec that reports precoders: its first row's.

    Args:
        f_hat: [batch, num_rows, num_tx_ant, num_subcarriers] complex, spatial-frequency domain; row l is the conjugate
            of layer l's precoder. All rows together would turn layer 1 by the errors of the others.

    Returns:
        [batch, num_subcarriers, 1, num_tx_ant] complex128, unit norm.
    """
    return layer_directions(f_hat[:, :1], num_layers=1, num_subbands=f_hat.shape[-1])


def phased_directions(h: Tensor, num_layers: int, num_subbands: int) -> Tensor:
    """Return the directions of `layer_directions`, with the phase that the channel has.

    What arrives of a layer at the UE antenna that hears it best over all subbands is real and positive, on each
    subband's mean: ``mean_f(H_f) v``. Over the subbands that is a phase that few delays make.

    Args:
        h: As of `layer_directions`.
        num_layers: Likewise.
        num_subbands: Likewise.

    Returns:
        [batch, num_subbands, num_layers, num_tx_ant] complex128, unit norm; zero for a layer that the channel does not
        have.

    Raises:
        InvalidArgumentError: As `layer_directions` does.

    Example:
        >>> h = torch.zeros(1, 1, 2, 1, dtype=torch.complex64)
        >>> h[0, 0, 1] = 2j
        >>> phased_directions(h, num_layers=1, num_subbands=1)[0, 0, 0, 1].item()
        -1j
    """
    v = layer_directions(h, num_layers, num_subbands)
    mean = h.to(torch.complex128).reshape(*h.shape[:3], num_subbands, -1).mean(dim=-1)
    heard = torch.einsum("brps,bslp->bslr", mean, v)
    best = heard.abs().square().sum(dim=1, keepdim=True).argmax(dim=-1, keepdim=True)
    return v * unit_phase(heard.gather(-1, best.expand(-1, v.shape[1], -1, -1))).conj()


def unit_phase(x: Tensor) -> Tensor:
    """Return ``x / |x|``, 1 where x is 0."""
    magnitude = x.abs()
    return torch.where(magnitude > 0, x / magnitude.clamp(min=torch.finfo(torch.float64).tiny), 1.0)
