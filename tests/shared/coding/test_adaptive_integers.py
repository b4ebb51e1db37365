"""Whole numbers of an unknown distribution: they come back, and soon cost what their entropy says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.coding.adaptive_integers import AdaptiveIntegers
from shared.coding.range_coder import RangeDecoder, RangeEncoder

MOST = 2**24 - 1


def bits_of(values: list[int], signed: bool = True) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    encoder = RangeEncoder()
    AdaptiveIntegers(signed).encode(encoder, values)
    return encoder.bits()


@given(st.lists(st.integers(-MOST, MOST) | st.integers(-3, 3), max_size=100), st.lists(st.integers(0, 1), max_size=20))
def test_numbers_come_back_whatever_bits_follow(values: list[int], tail: list[int]) -> None:
    bits = np.concatenate([bits_of(values), np.array(tail, dtype=np.uint8)])
    assert AdaptiveIntegers().decode(RangeDecoder(bits), len(values)) == values


@given(st.lists(st.integers(0, MOST), max_size=100))
def test_numbers_without_a_sign_come_back(values: list[int]) -> None:
    assert AdaptiveIntegers(signed=False).decode(RangeDecoder(bits_of(values, False)), len(values)) == values


@given(st.lists(st.integers(0, 1), max_size=200))
def test_any_bits_decode_to_numbers(bits: list[int]) -> None:
    found = AdaptiveIntegers().decode(RangeDecoder(np.array(bits, dtype=np.uint8)), 20)
    assert all(abs(value) <= MOST for value in found)


def test_counts_that_are_shared_learn_from_both() -> None:
    encoder, counts = RangeEncoder(), AdaptiveIntegers()
    counts.encode(encoder, [1, -2])
    counts.encode(encoder, [3])
    decoder, counts = RangeDecoder(encoder.bits()), AdaptiveIntegers()
    assert counts.decode(decoder, 2) + counts.decode(decoder, 1) == [1, -2, 3]


@pytest.mark.parametrize(("deviation", "law"), [(20, "normal"), (300, "laplace"), (5000, "normal")])
def test_five_thousand_numbers_cost_two_percent_more_than_their_entropy(deviation: float, law: str) -> None:
    rng = np.random.default_rng(1)
    values = np.rint(getattr(rng, law)(0, deviation, 5000)).astype(int).tolist()
    entropy = np.log2(deviation) + (0.5 * np.log2(2 * np.pi * np.e) if law == "normal" else np.log2(2 * np.e))
    assert len(bits_of(values)) / 5000 == pytest.approx(entropy, rel=0.02)


def test_zeros_alone_cost_next_to_nothing() -> None:
    assert len(bits_of([0] * 100_000)) < 30


def test_the_bits_are_pinned() -> None:
    assert (
        "".join(map(str, bits_of([0, 1, -1, 7, -300, 2, 0, 0, 5]).tolist()))
        == "0110011110000001011111111110100101101100111011001111101"
    )
