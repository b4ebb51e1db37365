r"""The polar code of 5G uplink control information, by Sionna, with its CRC and list decoding (extra `radio`).

    k bits -> CRC of 6 or 11 bits -> polar code of 2^m <= 1024 bits -> rate matching -> n = ceil(k / R) bits
    LLRs -> the 8 likeliest paths -> the likeliest whose CRC holds

``R`` is k / n: the CRC is paid for out of the rate. One code word a report: TS 38.212 cuts a payload in two where both
k >= 360 and n >= 1088. Sionna takes no n above 1088 whatever k is, so that at 1/5 k = 218 ... 359 are left out too,
which the standard does not cut. Below 12 bits 5G has another code. For 12 ... 19 bits Sionna leaves out the three
parity-check bits of clause 5.3.1.2, so those code words are not the standard's.

Source: 3GPP TS 38.212, clauses 5.3.1, 5.4.1, 6.3.1; list size: V. Bioglio, C. Condo, I. Land, "Design of polar codes in
5G New Radio", IEEE Commun. Surv. Tutor. 23, 2021.
"""

import contextlib
import io
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.coding.channel_code import DecodedBits
from shared.coding.sionna_blocks import DEVICE, MAX_BLOCKS, PRECISION, coded_length, decoded, encoded, require_sionna

LIST_SIZE = 8
PART_BITS = 2048  # mother code bits decoded at once: a part of 1024-bit words has two reports

# rate -> the least and the most information bits: k + CRC <= n for all between, n <= 1088 and no cut. At 2/3 20 bits
# and their CRC of 11 do not fit in n = 30; 12 ... 19 and their CRC of 6 would, but a range has no hole.
RATES: dict[str, tuple[int, int]] = {
    "1/5": (12, 217),
    "1/3": (12, 362),
    "1/2": (12, 543),
    "2/3": (21, 724),
    "3/4": (31, 815),
    "5/6": (51, 905),
}


class PolarCode:
    """The polar code at one rate.

    Example:
        >>> PolarCode("1/2").num_coded_bits(64)
        128
    """

    interleaved = False

    def __init__(self, rate: str) -> None:
        self.label = f"polar-{rate}"
        require_sionna(f"`channel_code` {self.label}")
        self._rate = Fraction(rate)
        self._range = RATES[rate]

    def num_coded_bits(self, num_info_bits: int) -> int:
        """See `ChannelCode.num_coded_bits`."""
        return coded_length(self.label, self._rate, self._range, num_info_bits)

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `ChannelCode.encode`."""
        encoder, _ = self._sionna(bits.shape[1])
        return encoded(encoder, bits)

    def decode(self, llrs: NDArray[np.float32], num_info_bits: int) -> DecodedBits:
        """See `ChannelCode.decode`."""
        encoder, decoder = self._sionna(num_info_bits)
        bits_and_crc = decoded(decoder, llrs, float(self._rate), PART_BITS // encoder.n_polar)
        return DecodedBits(bits_and_crc[:, :-1], bits_and_crc[:, -1].astype(np.bool_))

    def _sionna(self, num_info_bits: int) -> tuple[Any, Any]:
        return sionna_polar(num_info_bits, self.num_coded_bits(num_info_bits))


@lru_cache(maxsize=MAX_BLOCKS)
def sionna_polar(num_info_bits: int, num_coded_bits: int) -> tuple[Any, Callable[[Tensor], Tensor]]:
    """Return Sionna's encoder and decoder of one code word, for `encoded` and `decoded` of `sionna_blocks`.

    Args:
        num_info_bits: Bits of the report, the CRC not among them.
        num_coded_bits: Bits on the air.

    Returns:
        The decoder's output is [batch, num_info_bits + 1]: the last column is the CRC's verdict.
    """
    from sionna.phy.fec.polar import Polar5GDecoder, Polar5GEncoder  # noqa: PLC0415  (heavy extra)

    with contextlib.redirect_stdout(io.StringIO()):  # it prints that the parity-check bits are left out
        encoder = Polar5GEncoder(num_info_bits, num_coded_bits, "uplink", precision=PRECISION, device=DEVICE)
    decoder = Polar5GDecoder(encoder, "SCL", LIST_SIZE, return_crc_status=True, precision=PRECISION, device=DEVICE)

    def decode(llrs: Tensor) -> Tensor:
        bits, crc_ok = decoder(llrs)
        return torch.cat([bits, crc_ok[:, None]], dim=1)

    return encoder, decode
