r"""The additive error model of RD-JSCC: no pilots, an error of given power on every entry.

.. math:: \hat H = H + E, \quad E_{ij} \sim \mathcal{CN}(0, 1 / \mathrm{CNR})

for H of unit mean power. Source: *Residual Diffusion Models for Variable-Rate Joint Source Channel Coding of MIMO CSI*,
eq. 13, which says that the CNR determines the variance and not how; one over the CNR is our reading.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.estimation.base import complex_noise, noise_power
from shared.rng import Randomness


class AdditiveErrorEstimator:
    """Add a white error in the data set's own domain.

    Example:
        >>> AdditiveErrorEstimator().expected_nmse(torch.ones(1, 1, 2, 2), cnr_db=10.0)
        0.1
    """

    name = "additive"

    def estimate(self, h: Tensor, cnr_db: NDArray[np.floating], randomness: Randomness) -> Tensor:
        """See `shared.estimation.base.Estimator.estimate`."""
        return (h + complex_noise(h.shape[1:], cnr_db, randomness)).to(torch.complex64)

    def expected_nmse(self, h: Tensor, cnr_db: float) -> float:
        """See `shared.estimation.base.Estimator.expected_nmse`; 1 / CNR."""
        return float(noise_power(np.array(cnr_db)))
