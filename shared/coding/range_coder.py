r"""Range coding: symbols and their integer frequencies <-> bits, in time that grows as their number.

    [low, low + range) of 2^32  --frequency / total-->  narrowed; bytes that are settled go out, a carry goes back
    end: the shortest bits whose whole interval lies inside, as in `shared.coding.arithmetic`

Whole numbers of 32 bits, so encoder and decoder agree on every machine. The code is prefix-free: bits that follow
change nothing. Beside the exact coder it loses the remainder of range / total, at most 0.006 of a bit a symbol; in turn
the work grows with the number of symbols, not with its square.

Source: G. N. N. Martin, "Range encoding: an algorithm for removing redundancy from a digitised message", Video & Data
Recording Conference, 1979.
"""

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgumentError

TOP = 1 << 32
LEAST_RANGE = 1 << 24  # below this a byte is settled, up to a carry
MOST_TOTAL = 1 << 16  # so that every frequency keeps a range of at least 2^8
BYTE = 0xFF


class RangeEncoder:
    """Writes symbols one after the other.

    Example:
        >>> encoder = RangeEncoder()
        >>> for bit in (1, 0, 1):
        ...     encoder.encode(before=bit, own=1, total=2)
        >>> encoder.bits().tolist()
        [1, 0, 1]
    """

    def __init__(self) -> None:
        self._low, self._range = 0, TOP
        self._settled = bytearray()

    def encode(self, before: int, own: int, total: int) -> None:
        """Narrow the interval to that of a symbol.

        Args:
            before: Sum of the frequencies before the symbol.
            own: Its frequency, at least 1.
            total: Sum of all, at most `MOST_TOTAL`.
        """
        unit = self._range // total
        self._low += before * unit
        self._range = own * unit if before + own < total else self._range - before * unit
        if self._low >= TOP:
            self._low -= TOP
            _carry(self._settled)
        while self._range < LEAST_RANGE:
            self._settled.append(self._low >> 24)
            self._low = (self._low << 8) & (TOP - 1)
            self._range <<= 8

    def bits(self) -> NDArray[np.uint8]:
        """Return the code of all symbols so far: [length] uint8, each 0 or 1."""
        settled, length = bytearray(self._settled), 0
        while True:  # at most 9 bits: the range has 2^24 of 2^32
            unit = TOP >> length
            value = -(-self._low // unit) * unit
            if value + unit <= self._low + self._range:
                break
            length += 1
        if value >= TOP:
            value -= TOP
            _carry(settled)
        tail = np.array([value >> shift & 1 for shift in range(31, 31 - length, -1)], dtype=np.uint8)
        return np.concatenate([np.unpackbits(np.frombuffer(settled, dtype=np.uint8)), tail])


class RangeDecoder:
    """Reads what a `RangeEncoder` wrote; any bits give symbols, zeros stand for bits that are missing.

    Args:
        bits: [length] uint8, each 0 or 1.

    Example:
        >>> decoder = RangeDecoder(np.array([1, 0, 1], dtype=np.uint8))
        >>> symbols = []
        >>> for _ in range(3):
        ...     symbols.append(decoder.target(total=2))
        ...     decoder.consume(before=symbols[-1], own=1, total=2)
        >>> symbols
        [1, 0, 1]
    """

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        self._bytes = np.packbits(bits).tobytes() + bytes(4)
        self._next, self._range = 4, TOP
        self._code = int.from_bytes(self._bytes[:4], "big")  # how far the bits lie above the encoder's low

    def target(self, total: int) -> int:
        """Return the number in 0 ... total - 1 that the next symbol's interval holds."""
        return min(self._code // (self._range // total), total - 1)

    def consume(self, before: int, own: int, total: int) -> None:
        """Pass over the symbol that `target` told, see `RangeEncoder.encode`."""
        unit = self._range // total
        self._code -= before * unit
        self._range = own * unit if before + own < total else self._range - before * unit
        while self._range < LEAST_RANGE:
            read = self._bytes[self._next] if self._next < len(self._bytes) else 0
            self._code = (self._code << 8) | read
            self._next += 1
            self._range <<= 8


def encode_field(encoder: RangeEncoder, value: int, width: int) -> None:
    """Write an unsigned number of ``width`` bits, 1 ... 16, as it is.

    Raises:
        InvalidArgumentError: If it has more.
    """
    if not 0 <= value < 1 << width:
        raise InvalidArgumentError(f"`value` must be in [0, 2^{width}); got {value}.")
    encoder.encode(value, 1, 1 << width)


def decode_field(decoder: RangeDecoder, width: int) -> int:
    """Invert `encode_field`."""
    value = decoder.target(1 << width)
    decoder.consume(value, 1, 1 << width)
    return value


def _carry(settled: bytearray) -> None:
    """Add one to the number that the bytes are; there is room, because the code is a number below 1."""
    place = len(settled) - 1
    while settled[place] == BYTE:
        settled[place] = 0
        place -= 1
    settled[place] += 1
