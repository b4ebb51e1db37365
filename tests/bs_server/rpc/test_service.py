import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from urllib.request import urlopen

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from grpc_status import rpc_status

from bs_server.app import Running, running
from bs_server.config import Settings
from protos.csi.v1 import feedback_pb2, frame_pb2
from protos.csi.v1.feedback_pb2_grpc import CsiFeedbackStub
from shared.frame import Frame
from shared.model_files import zoo_names
from shared.wire import serde
from ue_client.pipeline import Pipeline

Connected = Callable[..., AbstractAsyncContextManager[grpc.aio.Channel]]
MakeUe = Callable[..., Pipeline]
Eventually = Callable[[Callable[[], object]], Awaitable[None]]
DEADLINE_S = 20.0
NOT_A_MESSAGE = b"\xff\xff\xff\xff"
OVERLOADED = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


def stub_of(channel: grpc.aio.Channel) -> CsiFeedbackStub:
    return CsiFeedbackStub(channel)  # type: ignore[no-untyped-call]  # generated


def frame(ue: Pipeline, session_id: str, sequence: Iterable[int], frame_id: int = 1) -> Frame:
    numbers = np.array(list(sequence))
    return ue.frame(session_id, frame_id, 0, numbers, numbers, snr_db=5.0, truth_by="index")


def message(ue: Pipeline, session_id: str, sequence: Iterable[int], frame_id: int = 1) -> frame_pb2.Frame:
    return serde.frame_to_proto(frame(ue, session_id, sequence, frame_id))


async def opened(channel: grpc.aio.Channel, ue: Pipeline) -> str:
    request = serde.session_request_to_proto(ue.session_request(str(uuid.uuid4())))
    answer = await stub_of(channel).OpenSession(request, timeout=DEADLINE_S)
    assert answer.dataset_held
    return str(answer.session_id)


async def refusal(call: grpc.aio.UnaryUnaryCall) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value


async def counts(service: Running) -> dict[str, float]:
    """Return the base station's metrics by name, their labels summed."""
    url = f"http://127.0.0.1:{service.rest_port}/metrics"
    text = await asyncio.to_thread(lambda: urlopen(url).read().decode())
    found: defaultdict[str, float] = defaultdict(float)
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name.split("{")[0]] += float(value)
    return found


def raw(channel: grpc.aio.Channel, method: str) -> grpc.aio.UnaryUnaryMultiCallable:
    """Return a method that takes bytes."""
    return channel.unary_unary(f"/csi.v1.CsiFeedback/{method}")


async def test_a_session_goes_from_opening_over_frames_to_closing(connected: Connected, make_ue: MakeUe) -> None:
    ue = make_ue()
    async with connected() as channel:
        stub = stub_of(channel)
        session_id = await opened(channel, ue)
        ack = await stub.Report(message(ue, session_id, range(3)), timeout=DEADLINE_S)
        assert (ack.session_id, ack.frame_id, ack.code) == (session_id, 1, 0)
        assert list(ack.duplicate) == [False] * 3
        assert all(0 < nmse < 2 for nmse in ack.nmse)
        stream = stub.StreamReports(
            (message(ue, session_id, range(3 * i, 3 * i + 3), frame_id=i) for i in range(4)), timeout=DEADLINE_S
        )
        acks = {ack.frame_id: ack async for ack in stream}
        assert await stream.code() is grpc.StatusCode.OK
        assert sorted(acks) == [0, 1, 2, 3]
        assert list(acks[0].nmse) == list(ack.nmse)
        assert [list(acks[i].duplicate) for i in range(4)] == [[True] * 3, *[[False] * 3] * 3]
        closed = await stub.CloseSession(feedback_pb2.CloseSessionRequest(session_id=session_id), timeout=DEADLINE_S)
        assert closed.num_reports == 12


@pytest.mark.parametrize("method", ["OpenSession", "Report", "CloseSession"])
async def test_bytes_that_do_not_parse_are_an_invalid_argument(connected: Connected, method: str) -> None:
    async with connected() as channel:
        error = await refusal(raw(channel, method)(NOT_A_MESSAGE, timeout=DEADLINE_S))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.details().startswith("The request must be a csi.v1.")


async def test_bytes_that_do_not_parse_end_a_stream_after_the_frames_before_them(
    connected: Connected, make_ue: MakeUe
) -> None:
    ue = make_ue()
    async with connected() as channel:
        session_id = await opened(channel, ue)
        good = message(ue, session_id, [0]).SerializeToString()
        call = channel.stream_stream("/csi.v1.CsiFeedback/StreamReports")(
            iter([good, NOT_A_MESSAGE, good]), timeout=DEADLINE_S
        )
        acks = []
        with pytest.raises(grpc.aio.AioRpcError) as error:
            acks += [frame_pb2.FrameAck.FromString(ack) async for ack in call]
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        again = await stub_of(channel).Report(message(ue, session_id, [0]), timeout=DEADLINE_S)
        assert list(again.duplicate) == [True]


async def test_every_report_that_arrived_is_counted_once_whenever_its_stream_breaks(
    local: Settings, make_ue: MakeUe, eventually: Callable[..., Awaitable[None]]
) -> None:
    ue = make_ue()
    async with (
        running(replace(local, max_wait_ms=5.0)) as service,
        grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel,
    ):
        session_id = await opened(channel, ue)
        stream = stub_of(channel).StreamReports(iter([message(ue, session_id, [200])]), timeout=DEADLINE_S)

        async def arrived() -> bool:
            return (await counts(service))["csi_received_reports_total"] == 1

        await eventually(arrived)
        stream.cancel()
        for round_ in range(40):
            frames = [message(ue, session_id, range(4 * round_ + i, 4 * round_ + i + 2), frame_id=i) for i in (0, 2)]
            stream = stub_of(channel).StreamReports(iter(frames), timeout=DEADLINE_S)
            await asyncio.sleep(0.0003 * round_)  # from before it is read to after it is stored
            stream.cancel()

        async def settled() -> bool:
            found = await counts(service)
            ends = ("csi_reports_total", "csi_duplicates_total", "csi_refused_reports_total")
            return found["csi_received_reports_total"] == sum(found[name] for name in ends)

        await eventually(settled)


async def test_each_refusal_has_its_status(connected: Connected, make_ue: MakeUe, local: Settings) -> None:
    ue = make_ue()
    async with connected(replace(local, max_wait_ms=50.0)) as channel:
        stub, session_id = stub_of(channel), await opened(channel, ue)
        other_model = serde.session_request_to_proto(ue.session_request(str(uuid.uuid4())))
        other_model.model_sha256 = "f" * 64
        stranger = str(uuid.uuid4())
        late = message(ue, session_id, [0])
        late.deadline_ms = 1
        wrong = message(ue, session_id, [0])
        wrong.snr_db[0] = float("nan")
        calls = [
            (
                stub.OpenSession(other_model, timeout=DEADLINE_S),
                "FAILED_PRECONDITION",
                f"holds, {ue.card.sha256[:12]}...",
            ),
            (stub.Report(message(ue, stranger, [0]), timeout=DEADLINE_S), "NOT_FOUND", stranger),
            (stub.CloseSession(feedback_pb2.CloseSessionRequest(), timeout=DEADLINE_S), "NOT_FOUND", "session_id"),
            (stub.Report(late, timeout=DEADLINE_S), "DEADLINE_EXCEEDED", "ms ago in the queue"),
            (stub.Report(wrong, timeout=DEADLINE_S), "INVALID_ARGUMENT", "`snr_db` must be in [-40, 80]; got [nan]"),
        ]
        for call, status, sentence in calls:
            error = await refusal(call)
            assert (error.code().name, sentence in error.details()) == (status, True), error.details()


async def test_a_client_that_waits_no_longer_leaves_no_report_behind(
    make_ue: MakeUe, local: Settings, eventually: Eventually, may_decode: asyncio.Event
) -> None:
    ue = make_ue()
    async with running(local) as service, grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        session_id = await opened(channel, ue)
        call = stub_of(channel).Report(message(ue, session_id, [0]), timeout=DEADLINE_S)

        async def is_queued() -> bool:
            return (await counts(service))["csi_queued_reports"] == 1

        async def is_refused() -> bool:
            return (await counts(service))["csi_refused_reports_total"] == 1

        await eventually(is_queued)
        call.cancel()
        await eventually(is_refused)
        may_decode.set()
        ack = await stub_of(channel).Report(message(ue, session_id, [0]), timeout=DEADLINE_S)
        assert list(ack.duplicate) == [False]


async def test_an_overloaded_station_says_when_to_try_again(
    connected: Connected, make_ue: MakeUe, local: Settings, may_decode: asyncio.Event
) -> None:
    ue = make_ue()
    async with connected(replace(local, queue_reports=4, max_reports_per_frame=4)) as channel:
        session_id = await opened(channel, ue)
        stream = stub_of(channel).StreamReports(
            (message(ue, session_id, range(4 * i, 4 * i + 4), frame_id=i) for i in range(3)), timeout=DEADLINE_S
        )
        refused = [await stream.read(), await stream.read()]  # the first frame waits in the queue, and fills it
        error = await refusal(stub_of(channel).Report(message(ue, session_id, [50]), timeout=DEADLINE_S))
        may_decode.set()
        first = await stream.read()
        assert [(ack.frame_id, ack.code) for ack in (*refused, first)] == [(1, OVERLOADED), (2, OVERLOADED), (0, 0)]
        assert all(5 <= ack.retry_delay_ms <= 5000 for ack in refused)
        assert await stream.read() is grpc.aio.EOF
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(error)
    retry = RetryInfo()
    assert status.code == OVERLOADED
    assert status.details[0].Unpack(retry)
    assert 5 <= retry.retry_delay.ToMilliseconds() <= 5000


async def test_a_frame_that_finds_no_room_is_refused_before_it_is_read(
    connected: Connected, make_ue: MakeUe, local: Settings, eventually: Eventually, may_decode: asyncio.Event
) -> None:
    ue = make_ue()
    async with connected(replace(local, queue_reports=4, max_reports_per_frame=4)) as channel:
        session_id = await opened(channel, ue)
        waiting = stub_of(channel).Report(message(ue, session_id, range(4)), timeout=DEADLINE_S)
        bad = message(ue, session_id, [4])
        bad.rate[0] = 7

        async def is_full() -> bool:
            found = await refusal(stub_of(channel).Report(bad, timeout=DEADLINE_S))
            return found.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

        await eventually(is_full)
        may_decode.set()
        assert (await waiting).code == 0
        error = await refusal(stub_of(channel).Report(bad, timeout=DEADLINE_S))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_bad_frame_is_refused_and_its_stream_goes_on(connected: Connected, make_ue: MakeUe) -> None:
    ue = make_ue()
    async with connected() as channel:
        session_id = await opened(channel, ue)
        bad = message(ue, session_id, [1], frame_id=1)
        bad.rate[0] = 7
        frames = [message(ue, session_id, [0], frame_id=0), bad, message(ue, session_id, [2], frame_id=2)]
        stream = stub_of(channel).StreamReports(iter(frames), timeout=DEADLINE_S)
        acks = {ack.frame_id: ack async for ack in stream}
        assert await stream.code() is grpc.StatusCode.OK
    assert [acks[i].code for i in range(3)] == [0, grpc.StatusCode.INVALID_ARGUMENT.value[0], 0]
    assert acks[1].session_id == session_id
    assert "`num_bits`" in acks[1].message


async def test_a_stream_that_sends_more_than_may_be_in_flight_gets_every_acknowledgement(
    connected: Connected, make_ue: MakeUe
) -> None:
    ue = make_ue()
    async with connected() as channel:
        session_id = await opened(channel, ue)
        template = message(ue, session_id, [0])

        async def frames() -> AsyncIterator[frame_pb2.Frame]:
            for number in range(300):
                template.frame_id = template.sequence[0] = number
                yield template

        stream = stub_of(channel).StreamReports(frames(), timeout=DEADLINE_S)
        acks = [ack async for ack in stream]
    assert sorted(ack.frame_id for ack in acks) == list(range(300))
    assert {ack.code for ack in acks} == {0}


async def test_a_stream_that_breaks_leaves_no_report_behind(
    make_ue: MakeUe, local: Settings, eventually: Eventually, may_decode: asyncio.Event
) -> None:
    ue = make_ue()
    async with running(local) as service, grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        session_id = await opened(channel, ue)
        stream = stub_of(channel).StreamReports(timeout=DEADLINE_S)
        await stream.write(message(ue, session_id, [0]))
        bad = message(ue, session_id, [1], frame_id=2)
        bad.kind = frame_pb2.RECEIVED_KIND_UNSPECIFIED
        await stream.write(bad)
        assert (await stream.read()).frame_id == 2  # by now the frame before it waits in the queue
        stream.cancel()

        async def both_are_refused() -> bool:
            return (await counts(service))["csi_refused_reports_total"] == 2

        await eventually(both_are_refused)
        may_decode.set()
        ack = await stub_of(channel).Report(message(ue, session_id, [0]), timeout=DEADLINE_S)
        assert list(ack.duplicate) == [False]


async def test_a_message_beyond_the_limit_is_refused(connected: Connected, local: Settings) -> None:
    async with connected(replace(local, max_frame_bytes=10_000)) as channel:
        error = await refusal(raw(channel, "Report")(bytes(10_001), timeout=DEADLINE_S))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_column_is_measured_before_it_is_read(connected: Connected) -> None:
    async with connected() as channel:
        endless = frame_pb2.Frame(kind=frame_pb2.RECEIVED_KIND_LLRS, length=[0] * 65537)
        error = await refusal(stub_of(channel).Report(endless, timeout=DEADLINE_S))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.details() == "A column of a frame must have at most 65536 entries; got 65537."


async def test_a_sentence_does_not_repeat_a_long_argument(connected: Connected, make_ue: MakeUe) -> None:
    long = "x" * 100_000
    ue = make_ue()
    request = serde.session_request_to_proto(ue.session_request(str(uuid.uuid4())))
    requests: list[tuple[str, Message]] = [
        ("Report", message(ue, long, [0])),
        ("CloseSession", feedback_pb2.CloseSessionRequest(session_id=long)),
    ]
    for name in ("session_id", "codec", "model_sha256", "domain", "link", "dataset_sha256"):
        changed = feedback_pb2.OpenSessionRequest()
        changed.CopyFrom(request)
        setattr(changed, name, long)
        requests.append(("OpenSession", changed))
    async with connected() as channel:
        for method, each in requests:
            error = await refusal(raw(channel, method)(each.SerializeToString(), timeout=DEADLINE_S))
            assert error.code().name in ("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION")
            sentence = error.details().replace(", ".join(zoo_names()), "")  # however many models there are
            assert len(sentence) < 260, method
