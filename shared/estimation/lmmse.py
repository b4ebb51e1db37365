r"""Linear minimum mean squared error estimation from the same pilots as `ls`.

.. math:: \hat h = m + R (R + N_0 I)^{-1} (h_\mathrm{LS} - m), \quad
          \mathrm{NMSE} = \mathrm{tr}(R - R (R + N_0 I)^{-1} R) / E \lVert h \rVert^2

with mean m and covariance R of the channels, in the data set's domain: for h of one report, all antennas and
subcarriers together. In the eigenvectors v_i of R, R = sum_i l_i v_i v_i^H, the filter is a gain l_i / (l_i + N0) each.

m and R are those of the channels that it is given, and are never estimated from pilots. From the very channels that are
then reported they are a genie's: the closed form holds for these channels exactly, and for channels of another file the
first line of

.. math:: E \lVert \hat h - h \rVert^2 = \sum_i (1 - g_i)^2 E |v_i^H (h - m)|^2 + N_0 \sum_i g_i^2,
          \quad g_i = l_i / (l_i + N_0)

Source: S. M. Kay, *Fundamentals of Statistical Signal Processing: Estimation Theory*, 1993, chapter 12.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import InvalidArgumentError
from shared.estimation.base import noise_power
from shared.estimation.ls import LsEstimator
from shared.rng import Randomness
from shared.types import CsiShape

MAX_NUM_COMPLEX = 4096  # of a report: its covariance takes 0.3 GB and about a minute to decompose


class LmmseEstimator:
    """Shrink the LS estimate along the principal directions of the channels.

    Args:
        shape: Shape and domain of the channels.
        statistics: [num_channels, num_rx_ant, num_tx_ant, num_subcarriers] complex64, channels whose mean and
            covariance it knows.

    Raises:
        InvalidArgumentError: If there are too few of them for a covariance, or a report is too large.

    Example:
        >>> from shared.channels import load_channels
        >>> channels = load_channels("indoor-open-office")
        >>> lmmse = LmmseEstimator(channels.shape, channels.h)
        >>> f"{10 * np.log10(lmmse.expected_nmse(channels.h, cnr_db=10.0)):.2f} dB"
        '-17.69 dB'
    """

    name = "lmmse"

    def __init__(self, shape: CsiShape, statistics: Tensor) -> None:
        shape.require(statistics, "statistics")
        if shape.num_complex > MAX_NUM_COMPLEX:
            found = f"{shape.num_complex} ({shape})"
            raise InvalidArgumentError(
                f"`estimator` lmmse takes at most {MAX_NUM_COMPLEX} numbers a report; got {found}."
            )
        if len(statistics) < shape.num_complex:
            found = f"{len(statistics)}; `covariance_data` takes more of their kind"
            raise InvalidArgumentError(
                f"`estimator` lmmse needs the covariance of at least {shape.num_complex} channels; got {found}."
            )
        self._ls = LsEstimator(shape)
        flat = statistics.flatten(1).to(torch.complex128)
        self._mean = flat.mean(dim=0)
        centred = flat - self._mean
        power, self._basis = torch.linalg.eigh(centred.T @ centred.conj() / len(centred))
        self._power = power.clamp(min=0)  # of a direction without power, rounding makes a negative one

    def estimate(self, h: Tensor, cnr_db: NDArray[np.floating], randomness: Randomness) -> Tensor:
        """See `shared.estimation.base.Estimator.estimate`."""
        no = torch.from_numpy(noise_power(cnr_db))[:, None]
        centred = self._ls.estimate_double(h, cnr_db, randomness).flatten(1) - self._mean
        shrunk = (centred @ self._basis.conj()) * (self._power / (self._power + no))
        h_est: Tensor = (shrunk @ self._basis.T + self._mean).reshape(h.shape).to(torch.complex64)
        return h_est

    def expected_nmse(self, h: Tensor, cnr_db: float) -> float:
        """See `shared.estimation.base.Estimator.expected_nmse`; the sum over directions above."""
        no = float(noise_power(np.array(cnr_db)))
        centred = h.flatten(1).to(torch.complex128) - self._mean
        power = (centred @ self._basis.conj()).abs().square().mean(dim=0)
        gain = self._power / (self._power + no)
        error = ((1 - gain).square() * power).sum() + no * gain.square().sum()
        return float(error) / h[0].numel()
