"""Frames of symbols: there and back, and what no receiver would hand on."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.csi.v1 import frame_pb2
from shared.errors import InvalidArgumentError
from shared.frame import Frame, SimTruth
from shared.types import Received, ReceivedKind
from shared.wire import serde
from shared.wire.payload import pack_noise, pack_received, unpack_received, unpack_sent


def received_of(length: list[int], seed: int) -> Received:
    generator = np.random.default_rng(seed)
    n, width = len(length), max(length)
    arrived = np.arange(width) < np.array(length)[:, None]
    values = generator.standard_normal((n, width, 2)).astype(np.float32).view(np.complex64)[..., 0] * arrived
    no_eff = generator.exponential(size=(n, width)).astype(np.float32) + np.float32(1e-6)
    return Received(ReceivedKind.SYMBOLS, values, np.array(length), no_eff)


def frame_of(received: Received) -> Frame:
    n = len(received.length)
    return Frame(
        session_id="s",
        frame_id=1,
        kind=received.kind,
        ue_id=np.full(n, 5),
        sequence=np.arange(n),
        rate=received.length,
        num_bits=np.zeros_like(received.length),
        snr_db=np.zeros(n, dtype=np.float32),
        length=received.length,
        payload=pack_received(received),
        truth=SimTruth(np.arange(n), None, b""),
        deadline_ms=0,
        no_eff=pack_noise(received),
    )


FRAME = frame_of(received_of([3, 2], 1))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=5), st.integers(0, 2**32 - 1), st.data())
def test_any_choice_of_rows_gives_back_the_symbols_and_their_noise(
    length: list[int], seed: int, data: st.DataObject
) -> None:
    received = received_of(length, seed)
    content = serde.frame_to_proto(frame_of(received)).SerializeToString()
    assert len(content) >= 12 * sum(length)
    frame = serde.frame_from_proto(frame_pb2.Frame.FromString(content))
    rows = np.array(data.draw(st.lists(st.integers(0, len(length) - 1), min_size=1, max_size=6)))
    width = data.draw(st.integers(max(length[row] for row in rows), 25))
    chosen, sent = unpack_received(frame, rows, width), unpack_sent(frame, rows)
    assert chosen.no_eff is not None
    assert received.no_eff is not None
    assert chosen.kind is received.kind
    assert (str(chosen.values.dtype), str(chosen.no_eff.dtype)) == ("complex64", "float32")
    assert chosen.values.shape == chosen.no_eff.shape == (len(rows), width)
    assert np.array_equal(chosen.length, received.length[rows])
    for i, row in enumerate(rows):
        n = length[row]
        assert np.array_equal(chosen.values[i], np.pad(received.values[row, :n], (0, width - n)))
        assert np.array_equal(chosen.no_eff[i], np.pad(received.no_eff[row, :n], (0, width - n), constant_values=1))
    assert sent is not None
    assert (sent.bits.shape, sent.length.tolist()) == ((len(rows), 0), [0] * len(rows))


def test_the_buffers_are_little_endian_report_by_report() -> None:
    received = Received(
        ReceivedKind.SYMBOLS,
        np.array([[1 - 2j, 0], [3, 0.5j]], dtype=np.complex64),
        np.array([1, 2]),
        np.array([[0.25, 9], [1, 2]], dtype=np.float32),
    )
    assert pack_received(received).hex() == "0000803f000000c00000404000000000000000000000003f"
    assert pack_noise(received).hex() == "0000803e0000803f00000040"


def numbers(*values: float) -> bytes:
    return np.array(values, dtype="<f4").tobytes()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"payload": FRAME.payload[:-1]}, "`payload` must hold 40 bytes by `length`; got 39"),
        ({"payload": FRAME.payload + b"\0"}, "`payload` must hold 40 bytes by `length`; got 41"),
        ({"no_eff": FRAME.no_eff[:-1]}, "`no_eff` must hold 20 bytes by `length`; got 19"),
        ({"no_eff": b""}, "`no_eff` must hold 20 bytes by `length`; got 0"),
        ({"length": np.array([3, 3])}, "`payload` must hold 48 bytes"),
        (
            {"length": np.array([3, 0]), "payload": FRAME.payload[:24]},
            "`no_eff` must hold 12 bytes by `length`; got 20",
        ),
        ({"payload": numbers(*[0.0] * 9, np.nan)}, "`payload` must hold finite symbols"),
        ({"payload": numbers(np.inf, *[0.0] * 9)}, "`payload` must hold finite symbols"),
        ({"no_eff": numbers(1, 1, 1, 1, 0)}, "`no_eff` must hold finite numbers above 0"),
        ({"no_eff": numbers(1, 1, 1, 1, -1)}, "`no_eff` must hold finite numbers above 0"),
        ({"no_eff": numbers(1, 1, 1, 1, np.nan)}, "`no_eff` must hold finite numbers above 0"),
        ({"no_eff": numbers(1, 1, 1, 1, np.inf)}, "`no_eff` must hold finite numbers above 0"),
        ({"truth": SimTruth(np.arange(2), None, b"\0")}, "`sent_bits` must hold 0 bytes by `num_bits`; got 1"),
        (
            {"kind": ReceivedKind.LLRS, "payload": bytes(5), "truth": None},
            "`no_eff` must hold 0 bytes by `length`; got 20",
        ),
        (
            {"kind": ReceivedKind.HARD_BITS, "payload": bytes(2), "truth": None},
            "`no_eff` must hold 0 bytes by `length`; got 20",
        ),
    ],
)
def test_what_no_receiver_hands_on_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        replace(FRAME, **changes)


@given(st.data())
def test_any_numbers_of_the_right_size_are_a_frame_or_refused(data: st.DataObject) -> None:
    payload = data.draw(st.binary(min_size=40, max_size=40))
    no_eff = data.draw(st.binary(min_size=20, max_size=20))
    symbols, noise = np.frombuffer(payload, "<f4"), np.frombuffer(no_eff, "<f4")
    fine = np.isfinite(symbols).all() and np.isfinite(noise).all() and (noise > 0).all()
    try:
        replace(FRAME, payload=payload, no_eff=no_eff)
    except InvalidArgumentError:
        assert not fine
    else:
        assert fine


def test_bits_have_no_noise() -> None:
    hard = Received(ReceivedKind.HARD_BITS, np.ones((1, 3), dtype=np.uint8), np.array([3]))
    assert pack_noise(hard) == b""
