"""What a link is: modulation, channel, noise and demapping, from the UE's bits to the receiver's front end."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.rng import Randomness
from shared.types import Payload, Received, ReceivedKind


class Link(Protocol):
    """An emulated air interface.

    Attributes:
        label: Its key in `shared.links.LINKS`.
        family: The name by which a codec card permits it: ``ideal`` or ``digital``.
        kind: What it hands on.
    """

    label: str
    family: str
    kind: ReceivedKind

    def transmit(self, payload: Payload, snr_db: NDArray[np.float32], randomness: Randomness) -> Received:
        """Send a batch of reports.

        Args:
            payload: Bits of each report.
            snr_db: [batch] float32, mean Es/N0 per receive antenna before combining.
            randomness: Streams of the reports; the same streams give the same errors.

        Returns:
            As many values for each report as it has bits.
        """
