r"""The LDPC code of 5G, by Sionna, around a CRC of uplink control information (extra `radio`).

    k bits -> CRC of 6 or 11 bits -> base graph, lifted -> rate matching (redundancy version 0) -> n = ceil(k / R) bits
    LLRs -> 20 iterations of belief propagation -> bits -> CRC

``R`` is k / n, as for the polar code: the CRC is paid for out of the rate. In 5G this code carries data, with CRCs of
16 and 24 bits; here a report has the CRC of its size (`shared.coding.crc`), whatever the code. One code block a report.

Sionna chooses the base graph by k + CRC and (k + CRC) / n where clause 7.2.2 goes by k and the target rate, so at 2/3
most k from 282 to 2198 have base graph 1 instead of 2, as have k = 3814 ... 3824 at 1/3 to 2/3 and 282 ... 292 at 3/4
and 5/6. The bit interleaver of clause 5.4.2.2 is the link's (`shared.links.interleaving`).

Source: 3GPP TS 38.212, clauses 5.3.2, 5.4.2.1.
"""

from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.coding.channel_code import DecodedBits
from shared.coding.crc import append_crc, check_crc, num_crc_bits
from shared.coding.sionna_blocks import DEVICE, MAX_BLOCKS, PRECISION, coded_length, decoded, encoded, require_sionna

NUM_ITERATIONS = 20
PART = 64  # reports decoded at once; more are no faster

# rate -> the least and the most information bits: (k + CRC) / n <= 948/1024 (clause 5.4.2.1), and one code block
# (clause 5.2.2: 8448 bits with the CRC, 3840 below the rate 1/4)
RATES: dict[str, tuple[int, int]] = {
    "1/5": (12, 3829),
    "1/3": (12, 8437),
    "1/2": (12, 8437),
    "2/3": (29, 8437),
    "3/4": (46, 8437),
    "5/6": (96, 8437),
}


class LdpcCode:
    """The LDPC code at one rate.

    Example:
        >>> LdpcCode("1/3").num_coded_bits(64)
        192
    """

    interleaved = True

    def __init__(self, rate: str) -> None:
        self.label = f"ldpc-{rate}"
        require_sionna(f"`channel_code` {self.label}")
        self._rate = Fraction(rate)
        self._range = RATES[rate]

    def num_coded_bits(self, num_info_bits: int) -> int:
        """See `ChannelCode.num_coded_bits`."""
        return coded_length(self.label, self._rate, self._range, num_info_bits)

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `ChannelCode.encode`."""
        encoder, _ = self._sionna(bits.shape[1])
        return encoded(encoder, append_crc(bits))

    def decode(self, llrs: NDArray[np.float32], num_info_bits: int) -> DecodedBits:
        """See `ChannelCode.decode`."""
        _, decoder = self._sionna(num_info_bits)
        return check_crc(decoded(decoder, llrs, float(self._rate), PART), num_info_bits)

    def _sionna(self, num_info_bits: int) -> tuple[Any, Any]:
        return sionna_ldpc(num_info_bits + num_crc_bits(num_info_bits), self.num_coded_bits(num_info_bits))


@lru_cache(maxsize=MAX_BLOCKS)
def sionna_ldpc(num_bits: int, num_coded_bits: int) -> tuple[Any, Any]:  # Sionna ships no types
    """Return Sionna's encoder and decoder of one code block, for `encoded` and `decoded` of `sionna_blocks`.

    Args:
        num_bits: Bits of the block, the CRC among them.
        num_coded_bits: Bits on the air.
    """
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder  # noqa: PLC0415  (heavy extra)

    encoder = LDPC5GEncoder(num_bits, num_coded_bits, precision=PRECISION, device=DEVICE)
    return encoder, LDPC5GDecoder(encoder, num_iter=NUM_ITERATIONS, precision=PRECISION, device=DEVICE)
