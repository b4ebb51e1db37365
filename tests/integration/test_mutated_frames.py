"""Thousands of frames that nobody should send, through a real base station."""

import logging
import math
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.message import DecodeError

from protos.csi.v1 import frame_pb2
from protos.csi.v1.feedback_pb2_grpc import CsiFeedbackStub
from shared.channels import ChannelSet
from shared.experiments.demo import BaseStationProcess, start_base_station
from shared.model_files import load_model
from shared.wire import serde
from ue_client.pipeline import Pipeline, TruthBy, make_pipeline

NUM_ROUNDS = int(os.environ.get("CSILINK_TEST_ROUNDS", "1"))  # make soak: 605, a million frames
SEED, NUM_FRAMES, GIANT_EVERY = 7, 2000, 167  # odd: giants go by unary calls and by streams
GIANT_ROUNDS = 10  # of which one has giants, which take more time than all others
FRAMES_PER_STREAM = 50
AT_A_TIME = 4  # calls, or streams
DEADLINE_S = 20.0
MAX_GROWTH_KB = 300_000
ALLOWED = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}
NAMES = {status.value[0]: status.name for status in grpc.StatusCode}
SESSIONS = (
    ("klt", "digital:bsc", 128),
    ("klt", "digital:soft", 64),
    ("angular-topk", "digital:hard", 33),
    ("klt", "digital:soft:qpsk:erasure-0.5", 96),
)

log = logging.getLogger(__name__)
Mutation = Callable[[random.Random, frame_pb2.Frame], None]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseStationProcess]:
    station = start_base_station(tmp_path_factory.mktemp("target"))
    yield station
    station.stop()


@pytest.fixture(scope="module")
def channel(target: BaseStationProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{target.grpc_port}") as channel:
        yield channel


@pytest.fixture(scope="module")
def valid_frames(channel: grpc.Channel, indoor: ChannelSet) -> list[frame_pb2.Frame]:
    """Frames of open sessions: both kinds of values, every way of truth."""
    frames = []
    stub = CsiFeedbackStub(channel)  # type: ignore[no-untyped-call]  # generated
    for codec, link, rate in SESSIONS:
        ue: Pipeline = make_pipeline(load_model(codec), indoor, link, rate, run=1)
        session_id = str(uuid.uuid4())
        stub.OpenSession(serde.session_request_to_proto(ue.session_request(session_id)), timeout=DEADLINE_S)
        ways: tuple[TruthBy | None, ...] = (None, "index", "channel")
        for frame_id, truth_by in enumerate(ways):
            sequence = np.arange(3) + 3 * frame_id
            frame = ue.frame(session_id, frame_id, 0, sequence, sequence, 5.0, truth_by)
            frames.append(serde.frame_to_proto(frame))
    return frames


def pick(rng: random.Random, column: object, value: object) -> None:
    """Put a value somewhere into a column."""
    if len(column):  # type: ignore[arg-type]
        column[rng.randrange(len(column))] = value  # type: ignore[arg-type,index]


def resize(rng: random.Random, column: object) -> None:
    """Empty a column, shorten it, or make it longer."""
    choice = rng.randrange(3)
    if choice == 0:
        del column[:]  # type: ignore[attr-defined]
    elif choice == 1:
        del column[-1:]  # type: ignore[attr-defined]
    else:
        column.extend([rng.randrange(5) for _ in range(rng.choice([1, 300]))])  # type: ignore[attr-defined]


def any_column(rng: random.Random, frame: frame_pb2.Frame) -> object:
    return getattr(frame, rng.choice(["ue_id", "sequence", "rate", "num_bits", "snr_db", "length"]))


def channels(rng: random.Random, frame: frame_pb2.Frame) -> None:
    number = rng.choice([0.0, math.nan, math.inf, 1e-45, 1e38, 3e38])
    frame.truth.h = np.full(1024 * len(frame.ue_id), number, dtype="<c8").tobytes()
    if rng.random() < 0.7:
        del frame.truth.dataset_index[:]


MUTATIONS: list[Mutation] = [
    lambda rng, frame: setattr(frame, "session_id", rng.choice(["", str(uuid.UUID(int=4)), "x" * 100_000, "\0"])),
    lambda rng, frame: setattr(frame, "frame_id", rng.choice([0, 2**64 - 1])),
    lambda rng, frame: setattr(frame, "kind", rng.choice([0, 1, 2, 3, -1, 2**31 - 1])),
    lambda rng, frame: setattr(frame, "deadline_ms", rng.choice([1, 2**32 - 1])),
    lambda rng, frame: resize(rng, any_column(rng, frame)),
    lambda rng, frame: pick(rng, frame.ue_id, rng.choice([1, 2**32 - 1])),
    lambda rng, frame: pick(rng, frame.sequence, rng.choice([0, 1, 2**63 - 1, 2**63, 2**64 - 1])),
    lambda rng, frame: pick(rng, frame.rate, rng.choice([0, 1, 31, 32, 1024, 1025, 65536, 2**31, 2**32 - 1])),
    lambda rng, frame: frame.num_bits.extend(rng.choice([0, 1, 128, 2**31, 2**32 - 1]) for _ in frame.ue_id),
    lambda rng, frame: pick(rng, frame.length, rng.choice([0, 1, 31, 32, 1024, 65536, 2**31, 2**32 - 1])),
    lambda rng, frame: pick(rng, frame.snr_db, rng.choice([math.nan, math.inf, -math.inf, -41.0, 1e38, -40.0, 80.0])),
    lambda rng, frame: setattr(frame, "payload", rng.choice([b"", frame.payload[:-1], frame.payload + b"\0"])),
    lambda rng, frame: setattr(frame, "payload", rng.randbytes(len(frame.payload))),
    lambda rng, frame: setattr(frame.truth, "sent_bits", rng.randbytes(rng.choice([0, 1, 48, 100_000]))),
    lambda rng, frame: setattr(frame.truth, "h", rng.randbytes(rng.choice([1, 7, 24, 3 * 8192, 3 * 8192 + 8]))),
    lambda rng, frame: frame.truth.dataset_index.append(rng.choice([0, 2400, 2**31, 2**32 - 1])),
    lambda rng, frame: pick(rng, frame.truth.dataset_index, rng.choice([2399, 2400, 2**31, 2**32 - 1])),
    lambda rng, frame: frame.ClearField("truth"),
    channels,
]


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Flip, cut, repeat or insert bytes."""
    data = bytearray(content)
    choice = rng.randrange(4)
    start = rng.randrange(len(data))
    if choice == 0:
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] ^= rng.randint(1, 255)
    elif choice == 1:
        del data[start:]
    elif choice == 2:
        data[start:start] = data[start : start + rng.randint(1, 64)]
    else:
        data[start:start] = rng.randbytes(rng.randint(1, 16))
    return bytes(data)


def giant(rng: random.Random, frame: frame_pb2.Frame) -> None:
    """Fill the message to just below the limit of 16 MiB with one or all columns."""
    if rng.random() < 0.5:
        n = 1_500_000
        for name in ("ue_id", "sequence", "rate", "snr_db", "length"):
            getattr(frame, name)[:] = range(n) if name == "sequence" else [0] * n
        frame.payload = frame.truth.sent_bits = b""
    elif rng.random() < 0.5:
        frame.ue_id[:] = [0] * 12_000_000
    else:
        frame.payload = bytes(15_000_000)
        frame.length[0] = 8 * 15_000_000


def mutants(valid_frames: list[frame_pb2.Frame], seed: int) -> Iterator[bytes]:
    rng, any_giants = random.Random(seed), (seed - SEED) % GIANT_ROUNDS == 0
    for number in range(NUM_FRAMES):
        frame = frame_pb2.Frame()
        frame.CopyFrom(rng.choice(valid_frames))
        if any_giants and number % GIANT_EVERY == 1:
            giant(rng, frame)
            yield frame.SerializeToString()
            continue
        choice = rng.random()
        if choice < 0.1:
            yield rng.randbytes(rng.randint(0, 500))
        elif choice < 0.4:
            yield damaged(rng, frame.SerializeToString())
        else:
            for mutation in rng.choices(MUTATIONS, k=rng.choice([1, 1, 2, 3])):
                mutation(rng, frame)
            yield frame.SerializeToString()


def parses(content: bytes) -> bool:
    try:
        frame_pb2.Frame.FromString(content)
    except DecodeError:
        return False
    return True


def report(channel: grpc.Channel, content: bytes) -> str:
    """Send bytes by a unary call; return the name of the status."""
    try:
        ack = channel.unary_unary("/csi.v1.CsiFeedback/Report")(content, timeout=DEADLINE_S)
    except grpc.RpcError as error:
        return str(error.code().name)
    assert frame_pb2.FrameAck.FromString(ack).code == 0
    return "OK"


def stream(channel: grpc.Channel, contents: list[bytes]) -> tuple[list[str], str]:
    """Send bytes by a stream; return the names of the frames' codes, and of the stream's status."""
    call = channel.stream_stream("/csi.v1.CsiFeedback/StreamReports")(iter(contents), timeout=DEADLINE_S)
    codes = []
    try:
        for ack in call:
            codes.append(NAMES[frame_pb2.FrameAck.FromString(ack).code])
    except grpc.RpcError:
        pass
    return codes, call.code().name


def resident_kb(station: BaseStationProcess) -> int:
    lines = Path(f"/proc/{station.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_no_frame_brings_the_base_station_down_or_makes_it_hang_or_fail_inside(
    target: BaseStationProcess, channel: grpc.Channel, valid_frames: list[frame_pb2.Frame]
) -> None:
    for frame in valid_frames:
        assert report(channel, frame.SerializeToString()) == "OK"
    before_kb = resident_kb(target)
    seen: Counter[str] = Counter()

    def by_call(content: bytes) -> list[str]:
        start_s = time.monotonic()
        status = report(channel, content)
        assert time.monotonic() - start_s < DEADLINE_S / 2, f"{status} after too long: {content[:200]!r}"
        assert status in ALLOWED, f"{status}: {content[:200]!r}"
        return [status]

    def by_stream(contents: list[bytes]) -> list[str]:
        good, bad = [c for c in contents if parses(c)], [c for c in contents if not parses(c)]
        start_s = time.monotonic()
        codes, status = stream(channel, [*good, *bad[:1]])
        assert time.monotonic() - start_s < DEADLINE_S / 2
        assert (len(codes), status) == (len(good), "INVALID_ARGUMENT" if bad else "OK")
        assert set(codes) <= ALLOWED
        return codes

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for seed in range(SEED, SEED + NUM_ROUNDS):
            contents = list(mutants(valid_frames, seed))
            streamed = contents[1::2]
            streams = [
                streamed[start : start + FRAMES_PER_STREAM] for start in range(0, len(streamed), FRAMES_PER_STREAM)
            ]
            for statuses in (*pool.map(by_call, contents[::2]), *pool.map(by_stream, streams)):
                seen.update(statuses)
    log.info("%d frames: %s", seen.total(), dict(seen))
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND"} <= set(seen), seen
    assert min(seen["OK"], seen["INVALID_ARGUMENT"]) > 100, seen  # neither harmless nor all stopped at the door
    assert target.process.poll() is None
    for number, frame in enumerate(valid_frames):
        again = frame_pb2.Frame()
        again.CopyFrom(frame)
        again.sequence[:] = [10_000 + 3 * number + i for i in range(3)]
        assert report(channel, again.SerializeToString()) == "OK"
    summary = target.get("/v1/metrics/summary")
    assert sum(group["num_reports"] for group in summary["groups"]) >= 3 * len(valid_frames)
    assert resident_kb(target) - before_kb < MAX_GROWTH_KB
    assert [line for line in target.log.read_text().splitlines() if '"level": "error"' in line] == []


def test_a_refused_frame_does_not_stay_in_memory(
    target: BaseStationProcess, channel: grpc.Channel, valid_frames: list[frame_pb2.Frame]
) -> None:
    frame = frame_pb2.Frame()
    frame.CopyFrom(valid_frames[0])
    frame.payload = bytes(15_000_000)
    content = frame.SerializeToString()
    before_kb = resident_kb(target)
    for _ in range(20):
        assert report(channel, content) == "INVALID_ARGUMENT"
        assert stream(channel, [content, content[:-1]]) == (["INVALID_ARGUMENT"], "INVALID_ARGUMENT")
    assert resident_kb(target) - before_kb < MAX_GROWTH_KB
