"""What an estimator is: from the true channel and the noise on the pilots to what the UE believes the channel is.

h --pilots, noise at the CNR--> Estimator.estimate --> h_est, on the scale of h
"""

from collections.abc import Sequence
from math import prod
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import InvalidArgumentError
from shared.rng import Randomness, Stage

CNR_DB_RANGE = (-40.0, 80.0)


class Estimator(Protocol):
    """A channel estimator at the UE.

    Attributes:
        name: Its key in `shared.estimation.ESTIMATORS`.
    """

    name: str

    def estimate(self, h: Tensor, cnr_db: NDArray[np.floating], randomness: Randomness) -> Tensor:
        """Estimate a batch of channels.

        Args:
            h: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64, the data set's domain, unit mean power.
            cnr_db: [batch] mean SNR of the pilots: per UE antenna and resource element, before any combining.
            randomness: Streams of the reports; the same streams give the same noise.

        Returns:
            [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64, not normalised again.

        Raises:
            InvalidArgumentError: If a CNR is out of range.
        """

    def expected_nmse(self, h: Tensor, cnr_db: float) -> float:
        """Return the closed form of the NMSE: linear, mean over the noise and over the channels ``h``.

        Args:
            h: [num_channels, num_rx_ant, num_tx_ant, num_subcarriers] complex64, unit mean power.
            cnr_db: The CNR of all of them.
        """


def noise_power(cnr_db: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the noise power for pilots and channels of unit power, 1 / CNR.

    Args:
        cnr_db: [batch] in dB.

    Returns:
        [batch] float64.

    Raises:
        InvalidArgumentError: If a CNR is out of range.
    """
    low, high = CNR_DB_RANGE
    cnr = np.asarray(cnr_db, dtype=np.float64)
    if not ((cnr >= low) & (cnr <= high)).all():
        raise InvalidArgumentError(f"`cnr_db` must be in [{low:g}, {high:g}]; got {cnr.ravel().tolist()[:8]}.")
    return np.asarray(10 ** (-cnr / 10))


def complex_noise(dims: Sequence[int], cnr_db: NDArray[np.floating], randomness: Randomness) -> Tensor:
    """Draw circular complex Gaussian noise of power 1 / CNR, each report from its own stream.

    Args:
        dims: Shape of one report.
        cnr_db: [batch] in dB.
        randomness: Streams of the reports.

    Returns:
        [batch, *dims] complex128.
    """
    no = noise_power(cnr_db)
    parts = torch.from_numpy(randomness.normal(Stage.ESTIMATION, 2 * prod(dims)))
    scale = torch.from_numpy(np.sqrt(no / 2)).view(-1, *[1] * len(dims))
    return torch.view_as_complex(parts.view(-1, *dims, 2)) * scale
