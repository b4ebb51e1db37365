"""What a channel code is: information bits -> coded bits at the UE, LLRs -> information bits at the base station.

bits [batch, k] --encode--> coded bits [batch, n]  ~ link ~  LLRs [batch, n] --decode--> bits [batch, k], CRC
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class DecodedBits:
    """What a channel decoder makes of a batch.

    Attributes:
        bits: [batch, num_info_bits] uint8, each 0 or 1.
        crc_ok: [batch] bool, whether the CRC holds; None where the code has none.
    """

    bits: NDArray[np.uint8]
    crc_ok: NDArray[np.bool_] | None


class ChannelCode(Protocol):
    """A channel code with its CRC, for any number of information bits that it takes.

    Attributes:
        label: Its word in the label of a link: ``uncoded``, ``crc``, ``conv-1/2``, ``polar-1/2``, ``ldpc-1/2``.
        interleaved: Whether the link interleaves its coded bits before they are mapped, and undoes it
            (`shared.links.interleaving`); decoders never see it.
    """

    label: str
    interleaved: bool

    def num_coded_bits(self, num_info_bits: int) -> int:
        """Return how many bits a report of ``num_info_bits`` has on the air.

        Raises:
            InvalidArgumentError: If the code does not take so few, or so many.
        """

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Encode a batch.

        Args:
            bits: [batch, num_info_bits] uint8, each 0 or 1.

        Returns:
            [batch, num_coded_bits(num_info_bits)] uint8, each 0 or 1.
        """

    def decode(self, llrs: NDArray[np.float32], num_info_bits: int) -> DecodedBits:
        """Decode a batch; every report by itself.

        Args:
            llrs: [batch, num_coded_bits(num_info_bits)] float32, finite, ln(P(b=1) / P(b=0)) times any positive
                factor; hard bits come as -1 and 1.
            num_info_bits: Information bits of each report.
        """


class Uncoded:
    """No code, no CRC: every bit is decided by its sign.

    Example:
        >>> Uncoded().decode(np.array([[-0.5, 2.0]], dtype=np.float32), 2).bits.tolist()
        [[0, 1]]
    """

    label = "uncoded"
    interleaved = False

    def num_coded_bits(self, num_info_bits: int) -> int:
        """See `ChannelCode.num_coded_bits`."""
        return num_info_bits

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `ChannelCode.encode`."""
        return bits

    def decode(self, llrs: NDArray[np.float32], num_info_bits: int) -> DecodedBits:
        """See `ChannelCode.decode`."""
        return DecodedBits((llrs > 0).astype(np.uint8), None)
