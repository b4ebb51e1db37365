"""One process of a load test: opens its sessions, then sends when it is told to.

    parent --Plan--> worker --Ready-->  parent --Job--> worker --rows, rows, ... Done--> parent --Job or None--> ...

Frames are encoded beforehand: what is measured is the base station and the wire, not the encoder. All processes make
the same times and take those of their sessions, so that together they are one arrival process.
"""

import asyncio
import dataclasses
import signal
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from shared.channels import load_channels
from shared.errors import CsiError
from shared.frame import Frame
from ue_client.app import make_pipelines, truth_by
from ue_client.config import Settings
from ue_client.load.arrivals import Arrivals
from ue_client.pipeline import Pipeline
from ue_client.sender import MAX_ATTEMPTS, RESOURCE_EXHAUSTED, Delivery, Sender

POOL_FRAMES = 16  # different frames that a session sends round and round, under new sequence numbers
UNBOUNDED = 2**20  # frames in flight, where arrivals do not wait
FLUSH_S = 0.2
AT_ONCE = 16  # frames handed on before others may run

ROW = np.dtype(
    [
        ("session", "u4"),
        ("due_s", "f8"),  # from the start of the job
        ("done_s", "f8"),
        ("sent_s", "f8"),
        ("code", "i2"),  # google.rpc.Code
        ("attempts", "u2"),  # 0: held back
        ("reports", "u4"),
        ("refined", "u4"),
        ("queue_ms", "f4"),  # mean over the frame
        ("batch_size", "f4"),  # mean over the frame
    ]
)


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What one session of a load test sends.

    Attributes:
        codec: As `shared.codecs.load_codec` takes it.
        rate: Information bits of a report; None for the default.
        snr_db: SNR of the feedback link.
        weight: Frames that it sends while one of weight 1 sends one.
    """

    codec: str
    rate: int | None
    snr_db: float
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load test is.

    Attributes:
        settings: What all sessions share.
        sessions: All of them.
        share: (i, P): this process has sessions i, i + P, ...
    """

    settings: Settings
    sessions: tuple[SessionSpec, ...]
    share: tuple[int, int]

    @property
    def own_sessions(self) -> dict[int, SessionSpec]:
        """Those of this process, by number."""
        return {number: self.sessions[number] for number in range(self.share[0], len(self.sessions), self.share[1])}


@dataclass(frozen=True, slots=True)
class Job:
    """What to send.

    Attributes:
        arrivals: When.
        duration_s: For how long.
        start_s: `time.monotonic` at its begin, which all processes of a machine share.
        retries: Whether a frame refused for overload is sent again.
        hold_back: Whether a session that was refused for overload sends nothing for the delay that it was told.
    """

    arrivals: Arrivals
    duration_s: float
    start_s: float
    retries: bool
    hold_back: bool


@dataclass(frozen=True, slots=True)
class Done:
    """The last frame of a job is acknowledged."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The sessions are open.

    Attributes:
        reports_per_frame: Of every frame.
        opened: Number of a session -> its id, and its rate where none was asked for, too.
    """

    reports_per_frame: int
    opened: dict[int, tuple[str, int]]


@dataclass(slots=True)
class _Session:
    """An open session and the frames that it sends round and round."""

    number: int
    pool: list[Frame]
    due_s: dict[int, float] = field(default_factory=dict)  # frame id -> when it was due
    sent: int = 0
    silent_until_s: float = 0.0  # by `time.monotonic`

    def next_frame(self, due_s: float) -> Frame:
        frame, frame_id = self.pool[self.sent % len(self.pool)], self.sent
        sequence = np.arange(frame_id * frame.num_reports, (frame_id + 1) * frame.num_reports)
        self.sent += 1
        self.due_s[frame_id] = due_s
        return dataclasses.replace(frame, frame_id=frame_id, sequence=sequence)


def serve(connection: Connection, plan: Plan) -> None:
    """Run one process: what `multiprocessing` starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business
    try:
        asyncio.run(_serve(connection, plan))
    except CsiError as error:
        connection.send(error)
    except (EOFError, BrokenPipeError):
        pass  # the parent is gone


async def _serve(connection: Connection, plan: Plan) -> None:
    settings, pipelines = plan.settings, _pipelines(plan)
    sender = Sender(settings.bs, settings.seed + plan.share[0], settings.access)
    try:
        await sender.connect(settings.connect_s)
        sessions = [
            _Session(number, await _pool(settings, sender, pipelines[spec.codec, spec.rate], spec.snr_db))
            for number, spec in plan.own_sessions.items()
        ]
        first = {session.number: session.pool[0] for session in sessions}
        opened = {number: (frame.session_id, int(frame.rate[0])) for number, frame in first.items()}
        connection.send(Ready(sessions[0].pool[0].num_reports, opened))
        while (job := await asyncio.to_thread(connection.recv)) is not None:
            await _run(connection, sender, sessions, plan, job)
            connection.send(Done())
        for session in sessions:
            await sender.close_session(session.pool[0].session_id)
    finally:
        await sender.close()


def _pipelines(plan: Plan) -> dict[tuple[str, int | None], Pipeline]:
    """Return the pipelines of this process, by codec and rate."""
    channels, pipelines = load_channels(plan.settings.data), {}
    for codec, rate in {(spec.codec, spec.rate) for spec in plan.own_sessions.values()}:
        settings = dataclasses.replace(plan.settings, codecs=(codec,), rate=rate)
        (pipelines[codec, rate],) = make_pipelines(settings, channels)
    return pipelines


async def _pool(settings: Settings, sender: Sender, pipeline: Pipeline, snr_db: float) -> list[Frame]:
    """Open a session and encode the frames that it sends."""
    session_id = str(uuid.uuid4())
    grant = await sender.open_session(pipeline.session_request(session_id))
    size = min(settings.reports_per_frame, grant.max_reports_per_frame)
    by, pool = truth_by(settings, grant), []
    for frame_id in range(POOL_FRAMES):
        sequence = np.arange(frame_id * size, (frame_id + 1) * size)
        index = sequence % len(pipeline.channels.h)
        pool.append(
            pipeline.frame(session_id, frame_id, settings.ue_id, sequence, index, snr_db, by, settings.deadline_ms)
        )
    return pool


async def _run(connection: Connection, sender: Sender, sessions: list[_Session], plan: Plan, job: Job) -> None:
    rows: list[tuple[float, ...]] = []
    for session in sessions:
        session.silent_until_s = 0.0  # of the job before

    def flush() -> None:
        if rows:
            connection.send(np.array(rows, dtype=ROW))
            rows.clear()

    async def flush_often() -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            flush()

    async def drive(session: _Session, frames: AsyncIterator[Frame], in_flight: int) -> None:
        attempts = MAX_ATTEMPTS if job.retries else 1
        async for delivery in sender.send(frames, in_flight, attempts):
            rows.append(_row(session, delivery, job))
            if job.hold_back and delivery.ack.code == RESOURCE_EXHAUSTED:
                told_s = time.monotonic() + delivery.ack.retry_delay_ms / 1000
                session.silent_until_s = max(session.silent_until_s, told_s)

    flusher = asyncio.create_task(flush_often())
    try:
        if job.arrivals.is_open:
            queues = {session.number: asyncio.Queue[float | None]() for session in sessions}
            sources = [drive(one, _when_due(queues[one.number], one, rows, job), UNBOUNDED) for one in sessions]
            await asyncio.gather(_schedule(queues, plan, sessions[0].pool[0].num_reports, job), *sources)
        else:
            in_flight = plan.settings.in_flight
            await asyncio.gather(*(drive(session, _while_time(session, job), in_flight) for session in sessions))
    finally:
        flusher.cancel()
    flush()


async def _schedule(queues: dict[int, "asyncio.Queue[float | None]"], plan: Plan, num_reports: int, job: Job) -> None:
    """Hand frames to their sessions when they are due, those of this process."""
    turns, rng = turns_of(plan.sessions), np.random.default_rng(plan.settings.seed + 1)
    count = handed_on = 0
    for due in job.arrivals.due_s(job.duration_s, num_reports, plan.settings.seed):
        if job.arrivals.kind == "poisson":  # each session's are a Poisson process too
            numbers = rng.choice(turns, len(due))
        else:
            numbers = np.resize(np.roll(turns, -count % len(turns)), len(due))
        count += len(due)
        for number, due_s in zip(numbers.tolist(), due.tolist(), strict=True):
            if number not in queues:
                continue
            if (delay_s := job.start_s + due_s - time.monotonic()) > 0:
                await asyncio.sleep(delay_s)
            elif handed_on % AT_ONCE == 0:  # late: others must run, too
                await asyncio.sleep(0)
            handed_on += 1
            queues[number].put_nowait(due_s)
    for queue in queues.values():
        queue.put_nowait(None)


async def _when_due(
    queue: "asyncio.Queue[float | None]", session: _Session, rows: list[tuple[float, ...]], job: Job
) -> AsyncIterator[Frame]:
    """Yield frames as they are due; those that are held back get their row instead."""
    while (due_s := await queue.get()) is not None:
        if (now_s := time.monotonic()) >= session.silent_until_s:
            yield session.next_frame(due_s)
        else:
            at_s, num_reports = now_s - job.start_s, session.pool[0].num_reports
            rows.append((session.number, due_s, at_s, at_s, RESOURCE_EXHAUSTED, 0, num_reports, 0, np.nan, np.nan))


async def _while_time(session: _Session, job: Job) -> AsyncIterator[Frame]:
    await asyncio.sleep(max(0.0, job.start_s - time.monotonic()))
    while time.monotonic() < job.start_s + job.duration_s:
        yield session.next_frame(np.nan)


def turns_of(sessions: tuple[SessionSpec, ...]) -> NDArray[np.int64]:
    """Return whose turn it is, over and over: each session as often as its weight, spread evenly.

    Example:
        >>> turns_of((SessionSpec("klt", 64, 10.0, 3), SessionSpec("klt", 64, 10.0))).tolist()
        [0, 0, 1, 0]
    """
    turns = [
        ((turn + 0.5) / spec.weight, number) for number, spec in enumerate(sessions) for turn in range(spec.weight)
    ]
    return np.array([number for _, number in sorted(turns)])


def _row(session: _Session, delivery: Delivery, job: Job) -> tuple[float, ...]:
    ack, frame = delivery.ack, delivery.frame
    done_s = time.monotonic() - job.start_s
    sent_s = done_s - delivery.latency_s
    due_s = session.due_s.pop(frame.frame_id)
    stored = ack.code == 0
    return (
        session.number,
        sent_s if np.isnan(due_s) else due_s,
        done_s,
        sent_s,
        ack.code,
        delivery.num_attempts,
        frame.num_reports,
        int(ack.refined.sum()) if stored else 0,
        float(ack.queue_ms.mean()) if stored else np.nan,
        float(ack.batch_size.mean()) if stored else np.nan,
    )
