import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.coding.bits import bits_to_fields, by_value, fields_to_bits, pack, stack_rows, unpack, unpack_rows
from shared.errors import InvalidArgumentError

widths_of_fields = st.lists(st.integers(0, 62), max_size=12)
lengths_of_reports = st.lists(st.integers(0, 40), max_size=6)


@given(widths=widths_of_fields, batch=st.integers(0, 3), data=st.data())
def test_fields_come_back_from_their_bits(widths: list[int], batch: int, data: st.DataObject) -> None:
    values = [[data.draw(st.integers(0, 2**width - 1)) for width in widths] for _ in range(batch)]
    fields = np.array(values, dtype=np.int64).reshape(batch, len(widths))
    bits = fields_to_bits(fields, np.array(widths, dtype=np.int64))
    assert bits.shape == (batch, sum(widths))
    assert np.array_equal(bits_to_fields(bits, np.array(widths, dtype=np.int64)), fields)


def test_a_field_is_written_most_significant_bit_first_and_one_of_width_zero_is_not_sent() -> None:
    bits = fields_to_bits(np.array([[6, 0, 1]]), np.array([4, 0, 2]))
    assert bits.tolist() == [[0, 1, 1, 0, 0, 1]]


@pytest.mark.parametrize("fields", [[[8, 0]], [[-1, 0]], [[0, 1]], [[0]]])
def test_a_field_that_does_not_fit_its_width_is_refused(fields: list[list[int]]) -> None:
    with pytest.raises(InvalidArgumentError, match="`fields`"):
        fields_to_bits(np.array(fields), np.array([3, 0]))


@pytest.mark.parametrize("num_bits", [0, 6, 8])
def test_bits_of_another_number_than_the_widths_say_are_refused(num_bits: int) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`bits` must be \[batch, 7\]"):
        bits_to_fields(np.zeros((2, num_bits), dtype=np.uint8), np.array([3, 4]))


@given(lengths=lengths_of_reports, seed=st.integers(0, 2**32 - 1))
def test_ragged_reports_come_back_from_their_bytes(lengths: list[int], seed: int) -> None:
    length = np.array(lengths, dtype=np.int64)
    bits = np.random.default_rng(seed).integers(0, 2, (len(length), max(lengths, default=0)), dtype=np.uint8)
    bits[np.arange(bits.shape[1]) >= length[:, None]] = 0
    buffer = pack(bits, length)
    assert len(buffer) == sum(-(-n // 8) for n in lengths)
    assert np.array_equal(unpack(buffer, length), bits)


def test_a_report_is_packed_most_significant_bit_first_and_padded_to_whole_bytes() -> None:
    bits = np.array([[1, 0, 0, 0, 0, 0, 0, 0, 1], [1, 1, 0, 0, 0, 0, 0, 0, 0]], dtype=np.uint8)
    assert pack(bits, np.array([9, 2])) == bytes([0x80, 0x80, 0xC0])


def test_bits_that_were_set_in_the_padding_do_not_reach_the_reports() -> None:
    assert unpack(b"\xff\xff", np.array([3, 5])).tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]


@pytest.mark.parametrize("num_bytes", [0, 2, 4])
def test_a_buffer_of_another_size_than_the_lengths_say_is_refused(num_bytes: int) -> None:
    with pytest.raises(InvalidArgumentError, match="`payload` must hold 3 bytes"):
        unpack(bytes(num_bytes), np.array([9, 2]))


@given(lengths=st.lists(lengths_of_reports.filter(bool), min_size=1, max_size=4), seed=st.integers(0, 2**32 - 1))
def test_reports_of_several_arrays_stand_under_each_other_with_zeros_beyond(
    lengths: list[list[int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.integers(1, 5, (len(length), max(length))) for length in lengths]
    stacked = stack_rows(parts)
    assert stacked.shape == (sum(map(len, parts)), max(map(max, lengths)))
    for part in parts:
        ours, stacked = stacked[: len(part)], stacked[len(part) :]
        assert np.array_equal(ours[:, : part.shape[1]], part)
        assert not ours[:, part.shape[1] :].any()


@given(lengths=lengths_of_reports)
def test_every_report_has_its_length_once(lengths: list[int]) -> None:
    found = {row: length for length, rows in by_value(np.array(lengths, dtype=np.int64)) for row in rows.tolist()}
    assert [found[row] for row in range(len(lengths))] == lengths


def test_a_flat_buffer_is_laid_out_one_padded_row_a_report() -> None:
    rows = unpack_rows(np.arange(1, 5, dtype=np.uint8), np.array([1, 0, 3]))
    assert rows.tolist() == [[1, 0, 0], [0, 0, 0], [2, 3, 4]]
