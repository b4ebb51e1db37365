"""The link that changes nothing."""

import numpy as np
from numpy.typing import NDArray

from shared.coding.channel_code import ChannelCode, Uncoded
from shared.errors import InvalidArgumentError
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
    erasure = 0.0

    def __init__(self) -> None:
        self.code: ChannelCode = Uncoded()

    @classmethod
    def of_label(cls, label: str) -> "IdealLink":
        """Build it; there is nothing to choose.

        Raises:
            InvalidArgumentError: If ``label`` has options.
        """
        if label != cls.label:
            raise InvalidArgumentError(f"`link` ideal must stand alone, without options; got {label[:64]!r}.")
        return cls()

    def num_channel_uses(self, num_coded_bits: int) -> int:
        """See `shared.links.base.Link.num_channel_uses`; as BPSK would, one bit each."""
        return num_coded_bits

    def transmit(self, payload: Payload, snr_db: NDArray[np.float32], randomness: Randomness) -> Received:
        """See `shared.links.base.Link.transmit`; SNR and streams are not used."""
        return Received(self.kind, payload.bits, payload.length)
