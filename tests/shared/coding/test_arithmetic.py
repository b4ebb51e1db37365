"""Arithmetic coding: what goes in comes out, and no bit is wasted."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.coding.arithmetic import (
    TOTAL,
    FrequencyTable,
    cumulative_table,
    decode_symbols,
    encode_symbols,
    require_cumulative,
)
from shared.errors import InvalidArgumentError

COUNTS = st.lists(st.integers(0, 1000), min_size=1, max_size=9)


@st.composite
def messages(draw: st.DrawFn) -> tuple[list[int], list[FrequencyTable]]:
    """Symbols and a table for each."""
    tables = [cumulative_table(np.array(counts)) for counts in draw(st.lists(COUNTS, max_size=20))]
    symbols = [draw(st.integers(0, len(table) - 2)) for table in tables]
    return symbols, [FrequencyTable(table) for table in tables]


@given(messages(), st.lists(st.integers(0, 1), max_size=30))
def test_what_is_encoded_is_decoded_whatever_bits_follow(
    message: tuple[list[int], list[FrequencyTable]], tail: list[int]
) -> None:
    symbols, models = message
    bits = encode_symbols(symbols, models)
    assert decode_symbols(np.concatenate([bits, np.array(tail, dtype=np.uint8)]), models) == symbols


@given(messages())
def test_a_message_is_at_most_two_bits_longer_than_ideal(message: tuple[list[int], list[FrequencyTable]]) -> None:
    symbols, models = message
    ideal = sum(math.log2(TOTAL / model.interval(symbol)[1]) for symbol, model in zip(symbols, models, strict=True))
    assert ideal - 1e-6 <= len(encode_symbols(symbols, models)) <= max(1.0, ideal + 2)


@given(st.lists(st.integers(0, 1), max_size=80), messages())
def test_any_bits_decode_to_symbols(bits: list[int], message: tuple[list[int], list[FrequencyTable]]) -> None:
    models = message[1]
    symbols = decode_symbols(np.array(bits, dtype=np.uint8), models)
    assert len(symbols) == len(models)
    for symbol, model in zip(symbols, models, strict=True):
        assert model.interval(symbol)[1] >= 1


def test_the_mean_length_is_within_two_percent_and_a_bit_of_the_cross_entropy() -> None:
    rng = np.random.default_rng(1)
    true = rng.dirichlet(np.ones(8), size=8)
    counts = np.stack([np.bincount(rng.choice(8, 5000, p=p), minlength=8) for p in true])
    tables = cumulative_table(counts)
    models = [FrequencyTable(table) for table in tables]
    sent = np.stack([rng.choice(8, 2000, p=p) for p in true], axis=1)
    lengths = [len(encode_symbols(row.tolist(), models)) for row in sent]
    frequency = np.take_along_axis(np.diff(tables)[None], sent[:, :, None], axis=2)[:, :, 0]
    cross_entropy = np.log2(TOTAL / frequency).sum(axis=1).mean()
    assert cross_entropy <= np.mean(lengths) <= 1.02 * cross_entropy + 1


@given(st.lists(COUNTS, min_size=1, max_size=1))
def test_a_table_gives_every_symbol_a_frequency(counts: list[list[int]]) -> None:
    table = cumulative_table(np.array(counts))
    require_cumulative(table, "table")
    assert table.shape == (1, len(counts[0]) + 1)


def test_a_table_follows_its_counts() -> None:
    counts = np.array([1, 10, 100, 1000])
    frequency = np.diff(cumulative_table(counts)) / TOTAL
    assert np.abs(frequency - counts / counts.sum()).max() < 1e-4


@pytest.mark.parametrize("table", [[0, 5, 5, TOTAL], [1, TOTAL], [0, 7]])
def test_a_table_that_is_none_is_refused(table: list[int]) -> None:
    with pytest.raises(InvalidArgumentError, match="`cumulative` must increase from 0 to 65536 in every row"):
        FrequencyTable(np.array(table))


def test_more_symbols_than_frequencies_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`counts` must have at most 65536 symbols; got 65537"):
        cumulative_table(np.zeros(TOTAL + 1, dtype=np.int64))


def test_the_bits_are_pinned() -> None:
    models = [FrequencyTable(cumulative_table(np.array([6, 2, 1, 1])))] * 6
    assert "".join(map(str, encode_symbols([0, 3, 1, 0, 0, 2], models))) == "100101000110"
