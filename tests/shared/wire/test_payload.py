from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.coding.bits import pack
from shared.frame import Frame, SimTruth
from shared.types import Received, ReceivedKind
from shared.wire.payload import pack_received, unpack_received, unpack_sent

BITS = (ReceivedKind.HARD_BITS, ReceivedKind.LLRS)  # symbols: test_symbols.py


def frame(**changes: Any) -> Frame:
    """Return a frame of two reports, 9 and 3 bits, with some fields changed."""
    valid = Frame(
        session_id="s",
        frame_id=1,
        kind=ReceivedKind.HARD_BITS,
        ue_id=np.array([5, 5]),
        sequence=np.array([0, 1]),
        rate=np.array([9, 3]),
        num_bits=np.array([9, 3]),
        snr_db=np.array([0, 10], dtype=np.float32),
        length=np.array([9, 3]),
        payload=b"\x80\x80\xe0",
        truth=SimTruth(np.array([4, 7]), None, b"\x80\x01\xff"),
        deadline_ms=0,
    )
    return replace(valid, **changes)


def test_the_bits_that_were_received_and_sent_are_those_of_the_rows_asked_for() -> None:
    both = unpack_received(frame(), np.array([0, 1]), width=9)
    assert both.values.tolist() == [[1, 0, 0, 0, 0, 0, 0, 0, 1], [1, 1, 1, 0, 0, 0, 0, 0, 0]]
    sent = unpack_sent(frame(), np.array([1]))
    assert sent is not None
    assert (sent.bits.tolist(), sent.length.tolist()) == ([[1, 1, 1]], [3])
    assert unpack_sent(frame(truth=None), np.array([1])) is None


@given(
    lengths=st.lists(st.integers(0, 20), min_size=1, max_size=5),
    kind=st.sampled_from(BITS),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_any_choice_of_rows_gives_back_what_was_packed(
    lengths: list[int], kind: ReceivedKind, seed: int, data: st.DataObject
) -> None:
    length, n = np.array(lengths), len(lengths)
    num_bits = np.array(data.draw(st.lists(st.integers(1, 40), min_size=n, max_size=n)))
    generator = np.random.default_rng(seed)
    bits = generator.integers(0, 2, (n, max(lengths)), dtype=np.uint8)
    sent = np.arange(max(lengths)) < length[:, None]
    hard = bits * sent
    llrs = (sent * np.where(hard == 1, 9, -9)).astype(np.int8)
    received = Received(kind, hard if kind is ReceivedKind.HARD_BITS else llrs, length)
    info = generator.integers(0, 2, (n, num_bits.max()), dtype=np.uint8) * (
        np.arange(num_bits.max()) < num_bits[:, None]
    )
    whole = frame(
        kind=kind,
        ue_id=np.zeros(n, np.int64),
        sequence=np.arange(n),
        rate=np.full(n, 8),
        num_bits=num_bits,
        length=length,
        snr_db=np.zeros(n, np.float32),
        payload=pack_received(received),
        truth=SimTruth(np.arange(n), None, pack(info, num_bits)),
    )
    rows = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=6)))
    width = data.draw(st.integers(int(length[rows].max()), 25))
    chosen, sent_bits = unpack_received(whole, rows, width), unpack_sent(whole, rows)
    wanted = np.pad(received.values[rows], ((0, 0), (0, 25)))[:, :width]  # zero where a report is shorter, or erased
    assert chosen.values.dtype == received.values.dtype
    assert np.array_equal(chosen.values, wanted)
    assert np.array_equal(chosen.length, length[rows])
    assert sent_bits is not None
    assert np.array_equal(sent_bits.bits, info[rows, : num_bits[rows].max()])
    assert np.array_equal(sent_bits.length, num_bits[rows])


@pytest.mark.parametrize("kind", BITS)
def test_reports_that_were_all_erased_are_as_wide_as_those_that_were_not(kind: ReceivedKind) -> None:
    empty = frame(kind=kind, length=np.array([0, 0]), payload=b"")
    received = unpack_received(empty, np.array([0, 1]), width=9)
    assert received.values.tolist() == [[0] * 9] * 2
    assert received.length.tolist() == [0, 0]
