"""Every message there and back, over everything that hypothesis can think of."""

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, get_args

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from protos.csi.v1 import feedback_pb2, frame_pb2
from shared.errors import InvalidArgumentError
from shared.frame import Frame, FrameAck, SessionGrant, SessionRequest, SimTruth
from shared.scoring import MAX_NUM_SUBBANDS, MAX_NUM_UE, MCS_INDICES, Scoring
from shared.types import CsiShape, Domain, Fallback, ReceivedKind
from shared.wire import serde

uint32, uint64, int63 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1)
T = TypeVar("T", bound=np.generic)

text = st.text(max_size=8)
float32 = st.floats(width=32, allow_nan=False)
finite = st.floats(allow_nan=False)
finite32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
positive32 = st.floats(0, exclude_min=True, width=32, allow_infinity=False)


def same(a: object, b: object) -> bool:
    """Compare records field by field, arrays by dtype and value."""
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and a == b


@st.composite
def truths(draw: st.DrawFn, num_bits: list[int]) -> SimTruth | None:
    n, kind = len(num_bits), draw(st.sampled_from(["none", "index", "h"]))
    if kind == "none":
        return None
    num_bytes = sum(-(-number // 8) for number in num_bits)
    sent_bits = draw(st.binary(min_size=num_bytes, max_size=num_bytes))
    if kind == "index":
        return SimTruth(np.array(draw(st.lists(uint32, min_size=n, max_size=n))), None, sent_bits)
    num_complex = draw(st.integers(1, 3))
    parts = draw(st.lists(float32, min_size=2 * n * num_complex, max_size=2 * n * num_complex))
    h = np.array(parts, dtype=np.float32).view(np.complex64).reshape(n, num_complex)
    shares = draw(st.none() | st.lists(st.floats(0, 1), min_size=n, max_size=n))
    return SimTruth(None, h, sent_bits, None if shares is None else np.array(shares))


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    identities = draw(st.lists(st.tuples(uint32, int63), min_size=1, max_size=4, unique=True))
    n = len(identities)
    rates = draw(st.lists(st.integers(0, 20), min_size=n, max_size=n))
    lengths = draw(st.lists(st.integers(0, 20), min_size=n, max_size=n))
    kind = draw(st.sampled_from(ReceivedKind))
    num_bits = draw(st.just(rates) | st.lists(st.integers(0, 20), min_size=n, max_size=n))  # of fixed length, or not
    num_bits = [0] * n if kind is ReceivedKind.SYMBOLS else num_bits
    num_bytes = sum(lengths) if kind is ReceivedKind.LLRS else sum(-(-length // 8) for length in lengths)
    payload, no_eff = draw(st.binary(min_size=num_bytes, max_size=num_bytes)), b""
    if kind is ReceivedKind.SYMBOLS:
        parts = draw(st.lists(finite32, min_size=2 * sum(lengths), max_size=2 * sum(lengths)))
        noise = draw(st.lists(positive32, min_size=sum(lengths), max_size=sum(lengths)))
        payload, no_eff = np.array(parts, dtype="<f4").tobytes(), np.array(noise, dtype="<f4").tobytes()
    return Frame(
        session_id=draw(text),
        frame_id=draw(uint64),
        kind=kind,
        ue_id=np.array([ue for ue, _ in identities]),
        sequence=np.array([sequence for _, sequence in identities]),
        rate=np.array(rates),
        num_bits=np.array(num_bits),
        snr_db=np.array(draw(st.lists(st.floats(-40, 80, width=32), min_size=n, max_size=n)), dtype=np.float32),
        length=np.array(lengths),
        payload=payload,
        truth=draw(truths(num_bits)),
        deadline_ms=draw(uint32),
        no_eff=no_eff,
    )


@st.composite
def acks(draw: st.DrawFn) -> FrameAck:
    def column(elements: st.SearchStrategy[float], dtype: type[T]) -> NDArray[T]:
        return np.array(draw(st.lists(elements, max_size=3)), dtype=dtype)

    def flags(n: int) -> NDArray[np.bool_]:
        return np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=np.bool_)

    return FrameAck(
        session_id=draw(text),
        frame_id=draw(uint64),
        code=draw(st.integers(0, 16)),
        message=draw(text),
        retry_delay_ms=draw(uint32),
        duplicate=column(st.booleans(), np.bool_),
        fallback=(fallback := column(st.booleans(), np.bool_)),
        erased=flags(len(fallback)),
        crc_failed=flags(len(fallback)),
        num_steps=np.array(draw(st.lists(uint32, min_size=len(fallback), max_size=len(fallback))), dtype=np.int64),
        nmse=column(st.floats(allow_nan=False), np.float64),
        sgcs=column(st.floats(allow_nan=False), np.float64),
        bit_errors=column(uint32, np.int64),
        queue_ms=column(float32, np.float32),
        decode_ms=column(float32, np.float32),
        total_ms=draw(float32),
        batch_size=column(uint32, np.int64),
    )


shapes = st.builds(CsiShape, st.sampled_from(get_args(Domain)), uint32, uint32, uint32)


@given(frames())
def test_a_frame_comes_back_from_the_wire(frame: Frame) -> None:
    content = serde.frame_to_proto(frame).SerializeToString()
    assert same(serde.frame_from_proto(frame_pb2.Frame.FromString(content)), frame)


@given(acks())
def test_an_acknowledgement_comes_back_from_the_wire(ack: FrameAck) -> None:
    content = serde.frame_ack_to_proto(ack).SerializeToString()
    assert same(serde.frame_ack_from_proto(frame_pb2.FrameAck.FromString(content)), ack)


estimators = st.text(min_size=1, max_size=8)
downlinks = st.lists(st.floats(-40, 80), min_size=1, max_size=8, unique_by=lambda snr_db: round(snr_db, 4)).map(sorted)
scorings = st.builds(
    Scoring,
    downlinks.map(tuple),
    st.integers(1, MAX_NUM_UE),
    st.none() | st.sampled_from(MCS_INDICES),
    st.integers(0, MAX_NUM_SUBBANDS),
)


@given(
    st.builds(
        SessionRequest,
        *(uint32, text, text, text, shapes, text, text, estimators, st.none() | finite, scorings),
        st.sampled_from(get_args(Fallback)),
        st.text(min_size=1, max_size=8),
        int63,
        st.booleans(),
    )
)
def test_a_session_request_comes_back_from_the_wire(request: SessionRequest) -> None:
    content = serde.session_request_to_proto(request).SerializeToString()
    assert serde.session_request_from_proto(feedback_pb2.OpenSessionRequest.FromString(content)) == request


@given(st.builds(SessionGrant, text, st.booleans(), uint32, text))
def test_a_session_grant_comes_back_from_the_wire(grant: SessionGrant) -> None:
    content = serde.session_grant_to_proto(grant).SerializeToString()
    assert serde.session_grant_from_proto(feedback_pb2.OpenSessionResponse.FromString(content)) == grant


def parse(content: bytes) -> None:
    """Parse bytes from the wire; only what the service maps to a status may be raised."""
    try:
        frame = serde.frame_from_proto(frame_pb2.Frame.FromString(content))
    except (DecodeError, InvalidArgumentError):
        return
    assert frame.num_reports >= 1


@given(st.binary(max_size=200))
def test_random_bytes_are_a_frame_or_refused(content: bytes) -> None:
    parse(content)


@given(frame=frames(), flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4))
def test_a_damaged_frame_is_a_frame_or_refused(frame: Frame, flips: list[tuple[int, int]]) -> None:
    content = bytearray(serde.frame_to_proto(frame).SerializeToString())
    for position, flip in flips:
        content[position % len(content)] ^= flip
    parse(bytes(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": 0}, r"`kind` must be 1 \(HARD_BITS\), 2 \(LLRS\), 3 \(SYMBOLS\); got 0"),
        ({"kind": 9}, "`kind` must be .*; got 9"),
        ({"sequence": [2**63]}, "`sequence` must be at most"),
        ({"sequence": []}, "`sequence` must have one entry a report"),
        ({"ue_id": []}, "`ue_id` must name at least one report"),
        ({"length": [2**32 - 1]}, "`payload` must hold 536870912 bytes"),
        ({"num_bits": [3, 3]}, "`num_bits` must have one entry a report, 1; got 2"),
        (
            {"num_bits": [9], "truth": {"dataset_index": [1], "sent_bits": b"\0"}},
            "must hold 2 bytes by `num_bits`; got 1",
        ),
        ({"kind": 3, "payload": bytes(24), "no_eff": bytes(12), "num_bits": [3]}, "`num_bits` of symbols must be 0"),
        ({"truth": {}}, "`truth` must hold either"),
        ({"truth": {"h": bytes(12), "sent_bits": b"\0"}}, r"`truth.h` must hold 1 channels of complex64; got 12 bytes"),
        ({"truth": {"h": bytes(8), "sent_bits": b""}}, "`sent_bits` must hold 1 bytes"),
        ({"truth": {"dataset_index": [1, 2], "sent_bits": b"\0"}}, "`truth` must have one entry a report, 1; got 2"),
    ],
)
def test_a_message_that_contradicts_itself_is_refused(changes: dict[str, object], message: str) -> None:
    valid: dict[str, object] = {"kind": 1, "ue_id": [1], "sequence": [1], "rate": [3], "snr_db": [0.0], "length": [3]}
    proto = frame_pb2.Frame(**(valid | {"payload": b"\0"} | changes))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match=message):
        serde.frame_from_proto(proto)


@pytest.mark.parametrize(
    ("kind", "num_bits", "sent"),
    [
        (ReceivedKind.HARD_BITS, [9, 3], []),
        (ReceivedKind.LLRS, [9, 3], []),
        (ReceivedKind.LLRS, [9, 4], [9, 4]),
        (ReceivedKind.SYMBOLS, [0, 0], []),
    ],
)
def test_a_frame_says_how_many_bits_its_reports_have_only_where_their_rate_does_not(
    kind: ReceivedKind, num_bits: list[int], sent: list[int]
) -> None:
    """So that what older UEs send, and what older base stations are sent, stays the same byte for byte."""
    nothing, rate = np.zeros(2, dtype=np.int64), np.array([9, 3])
    snr_db = nothing.astype(np.float32)
    frame = Frame("s", 1, kind, nothing, np.arange(2), rate, np.array(num_bits), snr_db, nothing, b"", None, 0)
    message = serde.frame_to_proto(frame)
    assert list(message.num_bits) == sent
    assert serde.frame_from_proto(message).num_bits.tolist() == num_bits


def test_a_domain_that_is_not_ours_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`domain` must be angular-delay or spatial-frequency; got 'time'"):
        serde.session_request_from_proto(feedback_pb2.OpenSessionRequest(domain="time"))


def test_a_fallback_that_is_not_ours_is_refused() -> None:
    message = feedback_pb2.OpenSessionRequest(domain="angular-delay", fallback="next")
    with pytest.raises(InvalidArgumentError, match="`fallback` must be mean or last; got 'next'"):
        serde.session_request_from_proto(message)


def test_a_ue_that_names_no_estimator_estimates_perfectly() -> None:
    request = serde.session_request_from_proto(feedback_pb2.OpenSessionRequest(domain="angular-delay"))
    assert (request.estimator, request.cnr_db, request.fallback) == ("perfect", None, "mean")
    assert (request.refinement, request.run) == ("never", 0)


def test_what_is_not_refined_takes_no_byte_of_request_and_acknowledgement() -> None:
    shape = CsiShape("angular-delay", 1, 32, 32)
    never = SessionRequest(1, "s", "klt", "a", shape, "ideal", "")
    message = serde.session_request_to_proto(never)
    assert {field.name for field, _ in message.ListFields()}.isdisjoint({"refinement", "run", "variable_length"})
    ack = FrameAck.refused("s", 1, 8, "full")
    flags, steps = np.zeros(2, dtype=np.bool_), np.array([0, 0])
    for num_steps, sent in ((steps, []), (np.array([0, 3]), [0, 3])):
        told = replace(ack, fallback=flags, erased=flags, crc_failed=flags, num_steps=num_steps)
        assert list(serde.frame_ack_to_proto(told).num_steps) == sent
        assert told.refined.tolist() == [False, bool(sent)]


def test_a_run_that_the_store_cannot_keep_is_refused() -> None:
    message = feedback_pb2.OpenSessionRequest(domain="angular-delay", refinement="always", run=2**63)
    with pytest.raises(
        InvalidArgumentError, match="`run` must be at most 9223372036854775807; got 9223372036854775808"
    ):
        serde.session_request_from_proto(message)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"downlink_snr_db": range(70)}, "`downlink_snr_db` must be at most 16 increasing numbers"),
        ({"downlink_snr_db": [1.0, float("nan")]}, "`downlink_snr_db` must be"),
        ({"downlink_snr_db": [1.0], "downlink_num_ue": 65}, r"`downlink_num_ue` must be in \[1, 64\]; got 65"),
        ({"downlink_num_ue": 2}, "`downlink_snr_db` must be given"),
        ({"downlink_snr_db": [1.0], "downlink_mcs": 2}, r"`downlink_mcs` must be in \[3, 27\]; got 2"),
    ],
)
def test_a_request_of_what_cannot_be_scored_is_refused(fields: dict[str, Any], sentence: str) -> None:
    message = feedback_pb2.OpenSessionRequest(domain="angular-delay", **fields)
    with pytest.raises(InvalidArgumentError, match=sentence):
        serde.session_request_from_proto(message)


@pytest.mark.parametrize("fallback", [[], [False, True, True]])
def test_a_base_station_that_knows_no_erasure_and_no_crc_flags_nothing(fallback: list[bool]) -> None:
    ack = serde.frame_ack_from_proto(frame_pb2.FrameAck(fallback=fallback))
    for flags in (ack.erased, ack.crc_failed, ack.refined):
        assert flags.dtype == np.bool_
        assert flags.tolist() == [False] * len(fallback)
