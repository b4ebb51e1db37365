r"""The cyclic redundancy checks of 5G's uplink control information, and the code that is a CRC and nothing else.

    bits a_0 ... a_{k-1}  ->  a_0 ... a_{k-1} p_0 ... p_{L-1},  p the remainder of a(D) D^L by g(D)

The register starts at zero and the first bit is the highest power, so that the parity is linear in the bits: one
matrix product over GF(2).

Source: 3GPP TS 38.212, clause 5.1 (polynomials), 6.3.1.2.1 (which one a payload of uplink control information takes).
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shared.coding.channel_code import DecodedBits

Crc = Literal["CRC6", "CRC11"]

# name -> exponents of g(D)
POLYNOMIALS: dict[Crc, tuple[int, ...]] = {
    "CRC6": (6, 5, 0),
    "CRC11": (11, 10, 9, 5, 0),
}


def crc_of(num_info_bits: int) -> Crc | None:
    """Return the CRC of a payload of uplink control information, None for fewer than 12 bits."""
    if num_info_bits < 12:
        return None
    return "CRC6" if num_info_bits < 20 else "CRC11"


def num_crc_bits(num_info_bits: int) -> int:
    """Return how many bits the CRC of a payload has: 0 below 12 bits, 6 from 12, 11 from 20.

    Example:
        >>> [num_crc_bits(k) for k in (11, 12, 19, 20)]
        [0, 6, 6, 11]
    """
    crc = crc_of(num_info_bits)
    return POLYNOMIALS[crc][0] if crc else 0


def parity(bits: NDArray[np.uint8], crc: Crc) -> NDArray[np.uint8]:
    """Return the parity bits of a batch.

    Args:
        bits: [batch, num_bits] uint8, each 0 or 1.
        crc: Which CRC.

    Returns:
        [batch, length of the CRC] uint8, highest power first.

    Example:
        >>> parity(np.array([[1, 0, 1, 1]], dtype=np.uint8), "CRC6").tolist()
        [[1, 0, 1, 1, 0, 1]]
    """
    # float32 because NumPy hands only floats to BLAS; it counts exactly up to 2^24 bits.
    ones = bits.astype(np.float32) @ _parity_matrix(bits.shape[1], crc)
    return (ones.astype(np.int32) & 1).astype(np.uint8)


@lru_cache(maxsize=64)
def _parity_matrix(num_bits: int, crc: Crc) -> NDArray[np.float32]:
    """Return [num_bits, length]: row i is the remainder of the power that bit i stands for."""
    length, *lower = POLYNOMIALS[crc]
    feedback = sum(1 << exponent for exponent in lower)
    remainders, remainder = [], 1 << length >> 1  # of D^(L-1); the last bit stands for D^L
    for _ in range(num_bits):
        carry, remainder = remainder >> (length - 1), (remainder << 1) & ((1 << length) - 1)
        remainder ^= feedback * carry
        remainders.append(remainder)
    powers = np.arange(length - 1, -1, -1)
    matrix = (np.array(remainders[::-1], dtype=np.int64).reshape(-1, 1) >> powers) & 1
    return matrix.astype(np.float32)


def append_crc(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Append the CRC that `crc_of` names.

    Args:
        bits: [batch, num_info_bits] uint8, each 0 or 1.

    Returns:
        [batch, num_info_bits + num_crc_bits(num_info_bits)] uint8.
    """
    crc = crc_of(bits.shape[1])
    return np.concatenate([bits, parity(bits, crc)], axis=1) if crc else bits


def check_crc(bits: NDArray[np.uint8], num_info_bits: int) -> DecodedBits:
    """Invert `append_crc` and say whether the CRC holds.

    Args:
        bits: [batch, num_info_bits + num_crc_bits(num_info_bits)] uint8, each 0 or 1.
        num_info_bits: Information bits of each report.
    """
    info, crc = bits[:, :num_info_bits], crc_of(num_info_bits)
    return DecodedBits(info, (parity(info, crc) == bits[:, num_info_bits:]).all(axis=1) if crc else None)


class CrcOnly:
    """A CRC and no code: every bit is decided by its sign, and the CRC says whether the report is right.

    Example:
        >>> code = CrcOnly()
        >>> sent = code.encode(np.ones((1, 12), dtype=np.uint8))
        >>> code.decode(sent - np.float32(0.5), 12).crc_ok.tolist(), sent.shape
        ([True], (1, 18))
    """

    label = "crc"
    interleaved = False

    def num_coded_bits(self, num_info_bits: int) -> int:
        """See `ChannelCode.num_coded_bits`."""
        return num_info_bits + num_crc_bits(num_info_bits)

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `ChannelCode.encode`."""
        return append_crc(bits)

    def decode(self, llrs: NDArray[np.float32], num_info_bits: int) -> DecodedBits:
        """See `ChannelCode.decode`."""
        return check_crc((llrs > 0).astype(np.uint8), num_info_bits)
