"""Range coding: what goes in comes out, in the length of the exact coder."""

import math

import constriction
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.coding.arithmetic import FrequencyTable, cumulative_table, encode_symbols
from shared.coding.range_coder import RangeDecoder, RangeEncoder, decode_field, encode_field
from shared.errors import InvalidArgumentError


@st.composite
def messages(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Symbols as (before, own, total)."""
    symbols = []
    for _ in range(draw(st.integers(0, 200))):
        total = draw(st.integers(1, 1 << 16))
        own = draw(st.integers(1, total))
        symbols.append((draw(st.integers(0, total - own)), own, total))
    return symbols


def encoded(symbols: list[tuple[int, int, int]]) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    encoder = RangeEncoder()
    for symbol in symbols:
        encoder.encode(*symbol)
    return encoder.bits()


@given(messages(), st.lists(st.integers(0, 1), max_size=40))
def test_what_is_encoded_is_decoded_whatever_bits_follow(symbols: list[tuple[int, int, int]], tail: list[int]) -> None:
    decoder = RangeDecoder(np.concatenate([encoded(symbols), np.array(tail, dtype=np.uint8)]))
    for before, own, total in symbols:
        assert before <= decoder.target(total) < before + own
        decoder.consume(before, own, total)


@given(messages())
def test_a_message_is_at_most_two_bits_and_its_remainders_longer_than_ideal(
    symbols: list[tuple[int, int, int]],
) -> None:
    ideal = sum(math.log2(total / own) for _, own, total in symbols)
    assert len(encoded(symbols)) <= ideal + 2 + len(symbols) * math.log2(1 / (1 - 2**-8))


@given(st.lists(st.integers(0, 1), max_size=100), st.lists(st.integers(2, 1 << 16), max_size=50))
def test_any_bits_decode_to_symbols(bits: list[int], totals: list[int]) -> None:
    decoder = RangeDecoder(np.array(bits, dtype=np.uint8))
    for total in totals:
        target = decoder.target(total)
        assert 0 <= target < total
        decoder.consume(target, 1, total)


def test_a_carry_goes_back_over_bytes_that_are_all_ones() -> None:
    symbols = [((1 << 16) - 1, 1, 1 << 16)] * 8 + [(1, 1, 2)] * 3
    decoder = RangeDecoder(encoded([(0, 1, 1 << 16), *symbols]))
    decoder.consume(0, 1, 1 << 16)
    for before, own, total in symbols:
        assert before <= decoder.target(total) < before + own
        decoder.consume(before, own, total)


def test_ten_thousand_symbols_are_as_short_as_those_of_the_exact_coder_and_of_constriction() -> None:
    rng = np.random.default_rng(1)
    weights = np.exp(-0.5 * ((np.arange(64) - 32) / 9) ** 2)
    weights /= weights.sum()
    symbols = rng.choice(64, 10_000, p=weights)
    table = FrequencyTable(cumulative_table(np.round(1e6 * weights).astype(np.int64)))
    ours = len(encoded([(*table.interval(symbol), table.total) for symbol in symbols.tolist()]))
    exact = sum(
        len(encode_symbols(part.tolist(), [table] * len(part))) for part in np.split(symbols, 10)
    )  # in parts: the exact coder's work grows with the square
    theirs = constriction.stream.queue.RangeEncoder()
    theirs.encode(
        symbols.astype(np.int32), constriction.stream.model.Categorical(weights.astype(np.float32), perfect=False)
    )
    assert exact - 20 <= ours <= exact + 10  # each part ends with a bit or two
    assert abs(ours - theirs.num_bits()) <= 64  # theirs are words of 32 bits


def test_the_bits_are_pinned() -> None:
    bits = encoded([(3, 2, 10), (0, 7, 8), (65_535, 1, 65_536), (5, 5, 10)])
    assert "".join(map(str, bits.tolist())) == "011110011001100101"


def test_fields_come_back_and_take_their_width() -> None:
    encoder = RangeEncoder()
    encode_field(encoder, 5, 3)
    encode_field(encoder, 65_535, 16)
    assert len(encoder.bits()) == 19
    decoder = RangeDecoder(encoder.bits())
    assert [decode_field(decoder, width) for width in (3, 16)] == [5, 65_535]


def test_a_field_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`value` must be in \[0, 2\^3\); got 8"):
        encode_field(RangeEncoder(), 8, 3)
