r"""Least squares from noisy CSI-RS pilots.

    h (angular-delay) -> spatial-frequency -> y = h p + n -> y / p -> angular-delay -> h_est

Every antenna port has a resource element of its own (FDM/TDM, no cover code) on every subcarrier of ``h``, with a known
QPSK pilot p of unit power; n is white with power 1 / CNR per UE antenna and resource element. Then

.. math:: \hat h = h + n / p, \quad \mathrm{NMSE} = 1 / \mathrm{CNR}

in either domain: the transform is unitary and |p| = 1. Nothing is gained by processing: a channel of 32 delay taps has
32 pilots a port. A comb of P pilots, the estimate cut to its 32 taps, would have 32/P of that error: add 10 log10(P/32)
to the CNR.

Source: S. M. Kay, *Fundamentals of Statistical Signal Processing: Estimation Theory*, 1993, chapter 4.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.estimation.base import complex_noise, noise_power
from shared.estimation.pilots import csi_rs_symbols
from shared.rng import Randomness
from shared.transforms import from_angular_delay, to_angular_delay
from shared.types import CsiShape


class LsEstimator:
    """Divide what was received by the pilots.

    Args:
        shape: Shape and domain of the channels.

    Example:
        >>> LsEstimator(CsiShape("angular-delay", 1, 2, 2)).expected_nmse(torch.ones(1, 1, 2, 2), cnr_db=10.0)
        0.1
    """

    name = "ls"

    def __init__(self, shape: CsiShape) -> None:
        self._shape = shape
        self._pilots = torch.from_numpy(csi_rs_symbols(shape.num_tx_ant, shape.num_subcarriers))

    def estimate(self, h: Tensor, cnr_db: NDArray[np.floating], randomness: Randomness) -> Tensor:
        """See `shared.estimation.base.Estimator.estimate`."""
        return self.estimate_double(h, cnr_db, randomness).to(torch.complex64)

    def estimate_double(self, h: Tensor, cnr_db: NDArray[np.floating], randomness: Randomness) -> Tensor:
        """Estimate in double precision, for whoever computes on; arguments as of `estimate`."""
        self._shape.require(h)
        is_delay = self._shape.domain == "angular-delay"
        wide = h.to(torch.complex128)
        sent = (from_angular_delay(wide) if is_delay else wide) * self._pilots
        y = sent + complex_noise(self._shape.dims, cnr_db, randomness)
        h_est = y / self._pilots
        return to_angular_delay(h_est) if is_delay else h_est

    def expected_nmse(self, h: Tensor, cnr_db: float) -> float:
        """See `shared.estimation.base.Estimator.expected_nmse`; 1 / CNR."""
        return float(noise_power(np.array(cnr_db)))
