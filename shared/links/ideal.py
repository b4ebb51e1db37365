"""The link that changes nothing."""

import numpy as np
from numpy.typing import NDArray

from shared.rng import Randomness
from shared.types import Payload, Received, ReceivedKind


class IdealLink:
    """Hand the bits on as they are.

    Example:
        >>> IdealLink().family
        'ideal'
    """

    label = "ideal"
    family = "ideal"
    kind = ReceivedKind.HARD_BITS

    def transmit(self, payload: Payload, snr_db: NDArray[np.float32], randomness: Randomness) -> Received:
        """See `shared.links.base.Link.transmit`; SNR and streams are not used."""
        return Received(self.kind, payload.bits, payload.length)
