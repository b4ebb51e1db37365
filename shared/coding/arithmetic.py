r"""Arithmetic coding in whole numbers: symbols and their integer frequencies <-> the fewest bits, with no end mark.

    symbol i, model i  ->  [low, low + width) / denominator, narrowed by cumulative / total, frequency / total
    bits: the shortest b_1 ... b_L whose whole interval [0.b, 0.b + 2^-L) lies inside

The numbers are Python's, of any length, so nothing is rounded: encoder and decoder agree on every machine, and a short
payload wastes nothing on renormalising. The code is prefix-free: bits that follow change nothing, so a length on the
wire is framing. A payload has 1.06 bits more than its ideal length log2(1/p) on average, 2 at most.

The work grows with the square of the number of symbols: 32 symbols take some tens of microseconds, 10,000 a second.

Source: J. Rissanen, G. G. Langdon, "Arithmetic coding", IBM J. Res. Develop. 23(2), 1979.
"""

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgumentError

TOTAL_BITS = 16
TOTAL = 1 << TOTAL_BITS  # of a table's frequencies


class SymbolModel(Protocol):
    """Frequencies of the next symbol, in whole numbers."""

    @property
    def total(self) -> int:
        """Sum of all frequencies."""

    def interval(self, symbol: int) -> tuple[int, int]:
        """Return the sum of the frequencies before ``symbol``, and its own, at least 1."""

    def symbol(self, target: int) -> int:
        """Return the symbol whose interval holds ``target``, 0 ... total - 1."""


class FrequencyTable:
    """Frequencies that stay as they are.

    Args:
        cumulative: [num_symbols + 1] int64, increasing from 0 to `TOTAL`.

    Example:
        >>> table = FrequencyTable(cumulative_table(np.array([3, 1])))
        >>> table.interval(1), table.symbol(0)
        ((49151, 16385), 0)
    """

    total = TOTAL

    def __init__(self, cumulative: NDArray[np.int64]) -> None:
        require_cumulative(cumulative, "cumulative")
        self._cumulative = cumulative.tolist()
        self._array = cumulative

    def interval(self, symbol: int) -> tuple[int, int]:
        """See `SymbolModel.interval`."""
        low = self._cumulative[symbol]
        return low, self._cumulative[symbol + 1] - low

    def symbol(self, target: int) -> int:
        """See `SymbolModel.symbol`."""
        return int(self._array.searchsorted(target, side="right")) - 1


def cumulative_table(counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Scale counts to frequencies that sum to `TOTAL`, none below 1, and add them up.

    Args:
        counts: [..., num_symbols] of each symbol, not negative; all 0 means all alike.

    Returns:
        [..., num_symbols + 1] int64.

    Raises:
        InvalidArgumentError: If there are more symbols than `TOTAL`.

    Example:
        >>> cumulative_table(np.array([0, 5, 5])).tolist()
        [0, 1, 32768, 65536]
    """
    num_symbols = counts.shape[-1]
    if num_symbols > TOTAL:
        raise InvalidArgumentError(f"`counts` must have at most {TOTAL} symbols; got {num_symbols}.")
    weights = np.where(counts.sum(axis=-1, keepdims=True) > 0, counts, 1).astype(np.float64)
    share = np.cumsum(weights, axis=-1) / weights.sum(axis=-1, keepdims=True)
    ends = np.rint(share * (TOTAL - num_symbols)).astype(np.int64) + np.arange(1, num_symbols + 1)
    return np.concatenate([np.zeros_like(ends[..., :1]), ends], axis=-1)


def require_cumulative(cumulative: NDArray[np.int64], name: str) -> None:
    """Raise unless every row, [..., num_symbols + 1], increases from 0 to `TOTAL`.

    Raises:
        InvalidArgumentError: Naming ``name``.
    """
    ends = cumulative[..., 0], cumulative[..., -1]
    if (ends[0] != 0).any() or (ends[1] != TOTAL).any() or (np.diff(cumulative, axis=-1) < 1).any():
        raise InvalidArgumentError(f"`{name}` must increase from 0 to {TOTAL} in every row; it does not.")


def encode_symbols(symbols: Iterable[int], models: Iterable[SymbolModel]) -> NDArray[np.uint8]:
    """Encode symbols, each by its own model.

    Args:
        symbols: The symbols.
        models: As many.

    Returns:
        [length] uint8, each 0 or 1; at least one bit.

    Example:
        >>> fair = FrequencyTable(cumulative_table(np.array([1, 1])))
        >>> encode_symbols([1, 0, 1], [fair] * 3).tolist()
        [1, 0, 1]
    """
    low, width, denominator = 0, 1, 1
    for symbol, model in zip(symbols, models, strict=True):
        before, own = model.interval(symbol)
        low, width, denominator = low * model.total + before * width, width * own, denominator * model.total
    length = max(1, denominator.bit_length() - width.bit_length() - 1)
    while True:
        value = -((-low << length) // denominator)  # the first multiple of 2^-length from low on
        if (value + 1) * denominator <= (low + width) << length:
            return np.array([int(digit) for digit in f"{value:0{length}b}"], dtype=np.uint8)
        length += 1


def decode_symbols(bits: NDArray[np.uint8], models: Iterable[SymbolModel]) -> list[int]:
    """Invert `encode_symbols`; any bits give symbols, zeros stand for bits that are missing.

    Args:
        bits: [length] uint8, each 0 or 1.
        models: One a symbol; each is asked for its symbol before the next is drawn, so that they may adapt.
    """
    denominator = 1 << len(bits)
    position = int("".join(map(str, bits.tolist())) or "0", 2)  # within the interval so far, over the denominator
    symbols = []
    for model in models:
        target = position * model.total // denominator
        symbol = model.symbol(target)
        before, own = model.interval(symbol)
        position, denominator = position * model.total - before * denominator, denominator * own
        symbols.append(symbol)
    return symbols
