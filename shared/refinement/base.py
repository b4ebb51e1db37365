"""What a refiner is: it takes a decoder's channel and returns a better one.

h_coarse --refine, num_steps--> h_hat
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.refinement.card import RefinerCard, RefinerFile
from shared.rng import Randomness


class Refiner(Protocol):
    """Refines reports behind the model of its card.

    Attributes:
        card: Its card.
    """

    card: RefinerCard

    def refine(self, h_coarse: Tensor, snr_db: NDArray[np.float32], num_steps: int, randomness: Randomness) -> Tensor:
        """Refine a batch; a result depends on its report's numbers and randomness alone.

        Args:
            h_coarse: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64, what the decoder made.
            snr_db: [batch] float32, Es/N0 of the feedback link per receive antenna.
            num_steps: Steps of the sampler, 1 to the card's ``num_train_steps``.
            randomness: Streams of the reports.

        Returns:
            Like ``h_coarse``, on the refiner's device.

        Raises:
            InvalidArgumentError: If shape or number of steps are not the card's.
        """


@dataclass(frozen=True, slots=True)
class RefinerEntry:
    """One line of `shared.refinement.REFINERS`.

    Attributes:
        build: Builds the refiner from its file, on a device.
        title: What a card says of it.
        source: Publication.
    """

    build: Callable[[RefinerFile, torch.device], Refiner]
    title: str
    source: str
