r"""The SINR at the UEs when the base station precodes from what was fed back, and the true channel carries it.

    MRT            h_hat_f --> w_f ----------> y = H_f w_f s + n                            SINR = snr |H_f w_f|^2
    zero forcing   h_hat_f of num_ue UEs --> W_f --> y_k = sum_j h_k,f w_j,f s_j / sqrt(num_ue) + n_k

``snr``, of the downlink, is the total transmit power per subcarrier over the noise power per receive antenna of the UE.
For a channel of unit mean power it is the mean receive SNR of one transmit antenna at full power; the array gain of
MRT, num_tx_ant at most, comes on top. The UE knows its effective channel (precoded reference signals) and combines its
antennas by MRC, so the scale of ``h_hat_f`` and a common phase change nothing.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from shared.directions import layer_directions
from shared.energy import energy_of
from shared.errors import InvalidArgumentError


def mrt_sinr(h_hat: Tensor, h: Tensor, snr_db: Sequence[float]) -> Tensor:
    """Return the SNR of one layer under maximum ratio transmission, after combining.

    ``w_f`` is the strongest right singular vector of ``h_hat_f``; for one receive antenna, ``conj(h_hat_f)`` at unit
    norm. Where ``h_hat_f`` is zero, transmit antenna 0 sends alone, at full power.

    Args:
        h_hat: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex, spatial-frequency domain, any scale.
        h: Same shape as ``h_hat``, unit mean power: the truth.
        snr_db: [num_snr] downlink SNR, dB.

    Returns:
        [batch, num_snr, num_subcarriers] float64, linear.

    Raises:
        InvalidArgumentError: If the shapes differ.

    Example:
        >>> h = torch.ones(1, 1, 4, 2, dtype=torch.complex64)
        >>> [[round(sinr, 9) for sinr in row] for row in mrt_sinr(h, h, [0.0, 10.0])[0].tolist()]
        [[4.0, 4.0], [40.0, 40.0]]
    """
    _check_shapes(h_hat, h)
    return beam_sinr(layer_directions(h_hat, num_layers=1, num_subbands=h.shape[-1]), h, snr_db)


def beam_sinr(v_hat: Tensor, h: Tensor, snr_db: Sequence[float]) -> Tensor:
    """Return `mrt_sinr` of directions that are known already.

    Args:
        v_hat: [batch, num_subcarriers, 1, num_tx_ant] complex128 of `layer_directions`, one subcarrier a subband.
        h: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex, unit mean power: the truth.
        snr_db: [num_snr] downlink SNR, dB.

    Returns:
        [batch, num_snr, num_subcarriers] float64, linear.

    Example:
        >>> h = torch.ones(1, 1, 4, 2, dtype=torch.complex64)
        >>> beam_sinr(torch.zeros(1, 2, 1, 4, dtype=torch.complex128), h, [0.0]).tolist()
        [[[1.0, 1.0]]]
    """
    w = _or_first_antenna(v_hat.squeeze(2))
    received = (h.to(torch.complex128) * w.transpose(1, 2)[:, None]).sum(dim=2)  # H_f w_f
    gain = energy_of(received, dim=1)
    return _linear(snr_db, gain)[:, None] * gain[:, None]


def zero_forcing_sinr(h_hat: Tensor, h: Tensor, snr_db: Sequence[float], num_ue: int) -> Tensor:
    """Return the SINR of UEs with one antenna that are served together by zero forcing.

    Each ``num_ue`` reports that follow each other in the batch are one group. Per subcarrier, the columns of
    ``H_hat^H (H_hat H_hat^H)^-1`` at unit norm, each with ``1 / num_ue`` of the power; the pseudo-inverse where rows of
    ``H_hat`` depend on each other (two UEs with the same fallback get the same beam). A UE whose ``h_hat_f`` is zero is
    sent to from transmit antenna 0 alone.

    Args:
        h_hat: [batch, 1, num_tx_ant, num_subcarriers] complex, spatial-frequency domain, any scale.
        h: Same shape as ``h_hat``, unit mean power: the truth.
        snr_db: [num_snr] downlink SNR, dB: total power of all UEs of a group.
        num_ue: UEs in a group, at most ``num_tx_ant``; a divisor of ``batch``.

    Returns:
        [batch, num_snr, num_subcarriers] float64, linear.

    Raises:
        InvalidArgumentError: If the shapes differ, there are several receive antennas, or no such groups.
    """
    _check_shapes(h_hat, h)
    batch, num_rx_ant, num_tx_ant, num_subcarriers = h.shape
    if num_rx_ant != 1:
        raise InvalidArgumentError(f"`h` must have 1 receive antenna for zero forcing; got {num_rx_ant}.")
    if not 1 <= num_ue <= num_tx_ant or batch % num_ue:
        raise InvalidArgumentError(f"`num_ue` must be in [1, {num_tx_ant}] and divide {batch} reports; got {num_ue}.")
    # [group, subcarrier, ue, transmit antenna]; zero forcing needs the directions of the rows, not their scales
    directions = layer_directions(h_hat, num_layers=1, num_subbands=num_subcarriers).squeeze(2).conj()
    rows_hat = directions.reshape(-1, num_ue, num_subcarriers, num_tx_ant).transpose(1, 2)
    rows = h.to(torch.complex128).reshape(-1, num_ue, num_tx_ant, num_subcarriers).permute(0, 3, 1, 2)
    rounding = torch.finfo(torch.complex64).eps * num_tx_ant  # channels are complex64 wherever they come from
    columns = torch.linalg.pinv(rows_hat, rtol=rounding).transpose(-1, -2)
    norm = torch.linalg.vector_norm(columns, dim=-1, keepdim=True)
    w = _or_first_antenna(torch.where(norm > 0, columns / norm, 0.0))
    gain = (rows @ w.transpose(-1, -2)).abs().square()  # [group, subcarrier, receiving ue, ue sent to]
    power = _linear(snr_db, gain)[:, None, None] / num_ue
    wanted = gain.diagonal(dim1=-2, dim2=-1)
    interference = gain.sum(dim=-1) - wanted
    sinr = power * wanted[:, None] / (1 + power * interference[:, None])  # [group, num_snr, subcarrier, ue]
    return sinr.permute(0, 3, 1, 2).reshape(batch, len(snr_db), num_subcarriers)


def _check_shapes(h_hat: Tensor, h: Tensor) -> None:
    if h_hat.shape != h.shape:
        raise InvalidArgumentError(f"`h_hat` must have the shape of `h`, {list(h.shape)}; got {list(h_hat.shape)}.")


def _or_first_antenna(w: Tensor) -> Tensor:
    """Replace each zero vector over the last axis by that of transmit antenna 0."""
    if (w[..., 0] != 0).all():  # nearly always
        return w
    zero = energy_of(w, dim=-1) == 0
    first = torch.zeros_like(w)
    first[..., 0] = 1
    return torch.where(zero[..., None], first, w)


def _linear(snr_db: Sequence[float], like: Tensor) -> Tensor:
    """Return [num_snr] float64 on the device of ``like``."""
    return 10 ** (torch.tensor(snr_db, dtype=torch.float64, device=like.device) / 10)
