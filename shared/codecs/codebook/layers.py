"""Between channels and the precoders of their layers, subband by subband.

    h_est --directions of each subband--> v_s,l, phase of the channel   (UE)
    h_hat row l <--conj, one for the whole subband-- w_s,l              (base station)

Ports are the antennas in their order: the first half is the codebook's first polarisation, the second half the
second. The standard numbers the ports of a dual-polarised row so. Of a row of one polarisation the halves of the
array play the polarisations: they are co-phased as polarisations are.

Row l of ``h_hat`` is the conjugate of layer l's precoder, by which it is scored (`shared.evaluation`), each row weaker
than the one before by `LAYER_SCALE`: so whoever takes precoders from the right singular vectors of ``h_hat``
(`shared.directions`), as of a channel, finds the layers in their order, and layer 1 hardly turned. Layers of enhanced
Type II are not orthogonal, so layer 2 of the singular vectors is another than that of row 2.
"""

import torch
from torch import Tensor

from shared.codecs.codebook.beams import require_ports
from shared.directions import phased_directions
from shared.errors import InvalidArgumentError
from shared.network_settings import CodebookSettings
from shared.transforms import from_angular_delay, to_angular_delay
from shared.types import CsiShape

LAYER_SCALE = 1 / 16


def require_codebook(shape: CsiShape, settings: CodebookSettings) -> None:
    """Raise unless the settings fit the channels.

    Raises:
        InvalidArgumentError: Naming what does not.
    """
    require_ports(shape.num_tx_ant)
    if shape.num_subcarriers % settings.num_subbands:
        wanted = f"must divide {shape.num_subcarriers} subcarriers"
        raise InvalidArgumentError(f"`num_subbands` of a codebook {wanted}; got {settings.num_subbands}.")
    if settings.rank > shape.num_rx_ant:
        wanted = f"at most {shape.num_rx_ant}, the UE's antennas"
        raise InvalidArgumentError(f"`rank` of a codebook must be {wanted}; got {settings.rank}.")


def directions_of(h_est: Tensor, shape: CsiShape, settings: CodebookSettings) -> Tensor:
    """Return the directions that a UE wants its layers to be sent in.

    Their phase is the channel's, which the search for few taps starts from (`shared.directions.phased_directions`).

    Args:
        h_est: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64, in the domain of ``shape``.
        shape: Of ``h_est``.
        settings: Rank and subbands.

    Returns:
        [batch, num_subbands, rank, num_tx_ant] complex128, unit norm; zero for a layer that the channel does not have.
    """
    h = h_est.to(torch.complex128)
    if shape.domain == "angular-delay":
        h = from_angular_delay(h)
    return phased_directions(h, settings.rank, settings.num_subbands)


def channels_of(precoders: Tensor, shape: CsiShape) -> Tensor:
    """Return what a base station takes its precoders from.

    Args:
        precoders: [batch, num_subbands, rank, num_tx_ant] complex128, unit norm.
        shape: Of the channel.

    Returns:
        [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64 in the domain of ``shape``; its first row has unit
        mean power, as a channel has, and the rows beyond the rank are zero.
    """
    batch, num_subbands, rank, num_tx_ant = precoders.shape
    h = torch.zeros(batch, *shape.dims, dtype=torch.complex128, device=precoders.device)
    scale = num_tx_ant**0.5 * LAYER_SCALE ** torch.arange(rank, device=h.device)
    rows = precoders.conj() * scale[:, None]
    h[:, :rank] = rows.permute(0, 2, 3, 1).repeat_interleave(shape.num_subcarriers // num_subbands, dim=-1)
    return (to_angular_delay(h) if shape.domain == "angular-delay" else h).to(torch.complex64)


def broadside(shape: CsiShape, device: torch.device) -> Tensor:
    """Return ``[num_rx_ant, num_tx_ant, num_subcarriers] complex64``: beam 0 on all ports, for want of a report."""
    ones = torch.full((1, 1, 1, shape.num_tx_ant), shape.num_tx_ant**-0.5, dtype=torch.complex128, device=device)
    return channels_of(ones, shape)[0]
