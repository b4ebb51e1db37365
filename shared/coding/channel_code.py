"""What a channel code is: information bits -> coded bits at the UE, LLRs -> information bits at the base station.

bits [batch, k] --encode--> coded bits [batch, n]  ~ link ~  LLRs [batch, n] --decode--> bits [batch, k], CRC

A code takes reports of one length at a time; `encode_reports` and `decode_reports` take any, each by its own.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.coding.bits import by_value
from shared.types import Payload


@dataclass(frozen=True, slots=True)
class DecodedBits:
    """What a channel decoder makes of reports of one length.

    Attributes:
        bits: [batch, num_info_bits] uint8, each 0 or 1.
        crc_ok: [batch] bool, whether the CRC holds; None where the code has none.
    """

    bits: NDArray[np.uint8]
    crc_ok: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True)
class DecodedReports:
    """What a channel decoder makes of a batch.

    Attributes:
        payload: The information bits as decided.
        checked: [batch] bool, whether the code gives a report of this length a CRC.
        crc_ok: [batch] bool, False where there is one and it does not hold.
    """

    payload: Payload
    checked: NDArray[np.bool_]
    crc_ok: NDArray[np.bool_]


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


def coded_lengths(code: ChannelCode, num_bits: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return [batch] how many bits each report has on the air.

    Args:
        code: The channel code.
        num_bits: [batch] information bits of each report.

    Raises:
        InvalidArgumentError: If the code does not take so few, or so many.
    """
    length = np.zeros(len(num_bits), dtype=np.int64)
    for num_info_bits, rows in by_value(num_bits):
        length[rows] = code.num_coded_bits(num_info_bits)
    return length


def encode_reports(code: ChannelCode, payload: Payload) -> Payload:
    """Encode reports of any lengths, each as if it were alone.

    Raises:
        InvalidArgumentError: If the code does not take so few bits as a report has, or so many.
    """
    length = coded_lengths(code, payload.length)
    bits = np.zeros((len(length), int(length.max(initial=0))), dtype=np.uint8)
    for num_info_bits, rows in by_value(payload.length):
        coded = code.encode(payload.bits[rows, :num_info_bits])
        bits[rows, : coded.shape[1]] = coded
    return Payload(bits, length)


def decode_reports(code: ChannelCode, llrs: NDArray[np.float32], num_bits: NDArray[np.integer]) -> DecodedReports:
    """Invert `encode_reports`.

    Args:
        code: The channel code.
        llrs: [batch, at least the most coded bits of a report] float32; what lies beyond a report's own is not read.
        num_bits: [batch] information bits of each report.
    """
    length = np.array(num_bits, dtype=np.int64)
    bits = np.zeros((len(length), int(length.max(initial=0))), dtype=np.uint8)
    checked, crc_ok = np.zeros(len(length), dtype=np.bool_), np.ones(len(length), dtype=np.bool_)
    for num_info_bits, rows in by_value(length):
        decoded = code.decode(llrs[rows, : code.num_coded_bits(num_info_bits)], num_info_bits)
        bits[rows, :num_info_bits] = decoded.bits
        if decoded.crc_ok is not None:
            checked[rows], crc_ok[rows] = True, decoded.crc_ok
    return DecodedReports(Payload(bits, length), checked, crc_ok)
