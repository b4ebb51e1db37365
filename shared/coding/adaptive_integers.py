r"""Whole numbers of a distribution that nobody knows beforehand <-> bits: counts learned on both sides, no table.

    value -> is it 0 | sign | length of |value| in bits, unary | its bits below the first
                              each decision by counts of its own, of what went before

    P(decision = 1) = (2 n_1 + 1) / (2 n + 2)

Numbers near each other share decisions, so that a thousand numbers suffice to learn a bell over tens of thousands of
levels; bits below the `MODELLED` first ones are as good as uniform and are written as they are. Encoder and decoder are
one walk, which cannot drift apart.

Sources: D. Marpe, H. Schwarz, T. Wiegand, "Context-based adaptive binary arithmetic coding in the H.264/AVC video
compression standard", IEEE Trans. Circuits Syst. Video Technol. 13(7), 2003 (decisions in place of symbols); R.
Krichevsky, V. Trofimov, "The performance of universal encoding", IEEE Trans. Inf. Theory 27(2), 1981 (the estimate).
"""

from collections.abc import Iterable

from shared.coding.range_coder import MOST_TOTAL, RangeDecoder, RangeEncoder

MAX_LENGTH = 24  # of a magnitude, in bits
MODELLED = 2  # bits below a magnitude's first that are counted


class _Counts:
    """What a decision was so far; each outcome counts 2, and 1 before the first."""

    __slots__ = ("ones", "zeros")

    def __init__(self) -> None:
        self.zeros, self.ones = 1, 1

    def add(self, bit: int) -> None:
        if bit:
            self.ones += 2
        else:
            self.zeros += 2
        if self.zeros + self.ones > MOST_TOTAL:
            self.zeros, self.ones = (self.zeros + 1) // 2, (self.ones + 1) // 2


class AdaptiveIntegers:
    """The counts of one kind of numbers, the same at encoder and decoder.

    Args:
        signed: Whether there are negative ones.

    Example:
        >>> encoder = RangeEncoder()
        >>> AdaptiveIntegers().encode(encoder, [0, -3, 17])
        >>> AdaptiveIntegers().decode(RangeDecoder(encoder.bits()), 3)
        [0, -3, 17]
    """

    def __init__(self, signed: bool = True) -> None:
        self._signed = signed
        self._zero, self._negative = _Counts(), _Counts()
        self._longer = [_Counts() for _ in range(MAX_LENGTH)]
        self._below = [[_Counts() for _ in range(1 << MODELLED)] for _ in range(MAX_LENGTH + 1)]

    def encode(self, encoder: RangeEncoder, values: Iterable[int]) -> None:
        """Write numbers, each below 2^24 in magnitude."""
        for value in values:
            self._walk(_Writer(encoder), value)

    def decode(self, decoder: RangeDecoder, count: int) -> list[int]:
        """Read as many numbers; any bits give some."""
        reader = _Reader(decoder)
        return [self._walk(reader, 0) for _ in range(count)]

    def _walk(self, coder: "_Writer | _Reader", value: int) -> int:
        """Code one number, decision by decision: a writer is told each, a reader tells it."""
        if not coder.decide(self._zero, int(value != 0)):
            return 0
        negative = coder.decide(self._negative, int(value < 0)) if self._signed else 0
        magnitude, length = abs(value), 1
        while length < MAX_LENGTH and coder.decide(self._longer[length], int(magnitude >> length > 0)):
            length += 1
        found = 1
        for place in range(length - 2, -1, -1):
            bit = magnitude >> place & 1
            modelled = length - 2 - place < MODELLED
            counts = self._below[length][found] if modelled else None
            found = found << 1 | coder.decide(counts, bit)
        return -found if negative else found


class _Writer:
    """Decisions -> encoder."""

    def __init__(self, encoder: RangeEncoder) -> None:
        self._encoder = encoder

    def decide(self, counts: _Counts | None, bit: int) -> int:
        if counts is None:
            self._encoder.encode(bit, 1, 2)
            return bit
        zeros, ones = counts.zeros, counts.ones
        self._encoder.encode(zeros if bit else 0, ones if bit else zeros, zeros + ones)
        counts.add(bit)
        return bit


class _Reader:
    """Decoder -> decisions; the bit that a writer is told is not looked at."""

    def __init__(self, decoder: RangeDecoder) -> None:
        self._decoder = decoder

    def decide(self, counts: _Counts | None, bit: int) -> int:
        zeros, ones = (1, 1) if counts is None else (counts.zeros, counts.ones)
        bit = int(self._decoder.target(zeros + ones) >= zeros)
        self._decoder.consume(zeros if bit else 0, ones if bit else zeros, zeros + ones)
        if counts is not None:
            counts.add(bit)
        return bit
