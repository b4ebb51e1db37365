"""The beams of the codebooks: oversampled DFT vectors over the antennas of one polarisation.

    v_m = [1, e^{j 2 pi m / (O1 N1)}, ..., e^{j 2 pi m (N1 - 1) / (O1 N1)}] / sqrt(N1),  m = 0 ... O1 N1 - 1

Beams ``q, O1 + q, 2 O1 + q, ...`` are orthogonal to each other: group ``q``, of ``O1``.

Source: 3GPP TS 38.214, 5.2.2.2.1 and 5.2.2.2.5, for N2 = O2 = 1 (a row of antennas); there without 1 / sqrt(N1).
"""

import torch
from torch import Tensor

from shared.errors import InvalidArgumentError

OVERSAMPLING = 4  # O1, of every row of antennas in table 5.2.2.2.1-2
NUM_PORTS = (4, 8, 12, 16, 24, 32)  # P = 2 N1 of the rows of that table with N2 = 1


def dft_beams(num_ant: int, device: torch.device) -> Tensor:
    """Return all beams of ``num_ant`` antennas.

    Returns:
        [O1 * num_ant, num_ant] complex128, row m is beam m, unit norm.

    Example:
        >>> beams = dft_beams(2, torch.device("cpu"))
        >>> beams[2].mul(2**0.5).real.round(decimals=3).tolist(), beams[2].mul(2**0.5).imag.round(decimals=3).tolist()
        ([1.0, 0.0], [0.0, 1.0])
    """
    m, n = torch.arange(OVERSAMPLING * num_ant, device=device), torch.arange(num_ant, device=device)
    turns = m[:, None] * n % (OVERSAMPLING * num_ant)
    angle = 2 * torch.pi * turns.to(torch.float64) / (OVERSAMPLING * num_ant)
    return torch.polar(torch.full_like(angle, num_ant**-0.5), angle)


def require_ports(num_tx_ant: int) -> None:
    """Raise unless the standard has a codebook for so many ports in a row.

    Raises:
        InvalidArgumentError: Naming the numbers that it has.
    """
    if num_tx_ant not in NUM_PORTS:
        wanted = f"{', '.join(map(str, NUM_PORTS[:-1]))} or {NUM_PORTS[-1]}"
        raise InvalidArgumentError(f"`num_tx_ant` of a codebook must be {wanted}; got {num_tx_ant}.")
