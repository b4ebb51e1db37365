r"""BLER of a coded downlink, by Sionna's abstraction of the physical layer instead of a simulation of the code.

    SINR per subcarrier --EESM(beta of the MCS)--> one effective SINR --table (MCS, block length)--> BLER

    sinr_eff = -beta ln mean_f exp(-sinr_f / beta)

PDSCH with LDPC (TS 38.212, 5), MCS table 1 of TS 38.214, 5.1.3.1. Sionna simulated its tables every 1.8 dB from -5 dB
on, 3,000 blocks each: a code's waterfall lies between two points. Sionna draws a straight line of log BLER between
them; ours is one of Q^-1(BLER), for a waterfall is nearly a Q function of the SINR in dB. What is below 3e-4 reads 0.
How far off both are: docs/metrics.md, `benchmarks/phy_abstraction.py`. MCS 0 to 2 have no
table; beyond its ends, -5 and 20 dB, the BLER stays what it is there, which leaves MCS 28 at 0.4 % and more: not taken.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline
from scipy.stats import norm
from torch import Tensor

from shared.coding.sionna_blocks import require_sionna
from shared.errors import InvalidArgumentError
from shared.scoring import MCS_INDICES

MCS_TABLE, PDSCH = 1, 1  # numbers of Sionna
NUM_BLOCKS = 3000  # that Sionna simulated for a point


def coded_downlink_bler(sinr: Tensor, mcs_index: int, num_ofdm_symbols: int = 12) -> Tensor:
    """Return the probability that the transport block of a slot is lost.

    Args:
        sinr: [batch, num_subcarriers] float64, linear, of `mrt_sinr` or `zero_forcing_sinr`; the same on all symbols.
        mcs_index: Modulation and coding scheme of TS 38.214, table 5.1.3.1-1, in [3, 27].
        num_ofdm_symbols: Symbols with data: 14 of a slot less those of reference signals. The block has the resource
            elements of ``num_subcarriers`` on each.

    Returns:
        [batch] float64 in [0, 1].

    Raises:
        InvalidArgumentError: If there is no such scheme, or a SINR is negative or not finite.
        ModelMismatchError: If Sionna is not installed.
    """
    if mcs_index not in MCS_INDICES:
        wanted = f"[{MCS_INDICES.start}, {MCS_INDICES.stop - 1}]"
        raise InvalidArgumentError(f"`mcs_index` must be in {wanted}; got {mcs_index}.")
    if sinr.dim() != 2 or not bool((torch.isfinite(sinr) & (sinr >= 0)).all()):
        raise InvalidArgumentError("`sinr` must be [batch, num_subcarriers], finite and not negative; it is not.")
    # Sionna takes a SINR of 0 for a resource element that is not used
    used = sinr.cpu().double().clamp(min=1e-12)[:, None, :, None, None].expand(-1, num_ofdm_symbols, -1, 1, 1)
    mcs = torch.full((len(sinr), 1), mcs_index, dtype=torch.int32)
    *_, transport_block_error_rate, _ = load_abstraction()(
        mcs, sinr=used, mcs_table_index=MCS_TABLE, mcs_category=PDSCH
    )
    bler: Tensor = transport_block_error_rate[:, 0].clamp(0, 1).to(sinr.device)
    return bler


def load_abstraction() -> Any:  # Sionna ships no types
    """Return Sionna's abstraction with its tables; the first call takes seconds, for it imports Sionna.

    Raises:
        ModelMismatchError: If Sionna is not installed.
    """
    require_sionna("The coded downlink")
    return _abstraction()


@cache
def _abstraction() -> Any:
    from sionna.phy.utils import SplineGriddataInterpolation  # noqa: PLC0415  (heavy extra)
    from sionna.sys import PHYAbstraction  # noqa: PLC0415

    interpolation = SplineGriddataInterpolation()
    interpolation.struct = _along_q
    return PHYAbstraction(interpolation, precision="double", device="cpu")


def _along_q(
    bler: NDArray[np.float64],
    block_size: Sequence[int],
    sinr_db: Sequence[float],
    block_sizes: NDArray[np.int64],
    sinrs_db: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Interpolate ``bler: [block_size, sinr]`` of a table to other sizes and SINRs; at its edges it goes on level."""
    half_an_event = 0.5 / NUM_BLOCKS  # what 0 and 1 stand for
    steepness = norm.isf(np.clip(bler, half_an_event, 1 - half_an_event))
    fine = norm.sf(RectBivariateSpline(block_size, sinr_db, steepness, kx=1, ky=1)(block_sizes, sinrs_db))
    return np.where(fine < 2 * half_an_event, 0.0, np.where(fine > 1 - 2 * half_an_event, 1.0, fine))
