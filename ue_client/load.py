"""`csi-ue load`: keep a base station busy from several sessions, closed loop, and measure it.

Each session keeps ``in_flight`` frames unacknowledged for the duration. Frames are encoded beforehand: what is measured
is the base station and the wire, not the encoder.
"""

import asyncio
import dataclasses
import time
import uuid
from array import array
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import numpy as np

from shared.channels import load_channels
from shared.errors import UnavailableError
from shared.frame import Frame, SessionGrant
from ue_client.app import make_pipelines, truth_by
from ue_client.config import Settings
from ue_client.pipeline import Pipeline
from ue_client.sender import Delivery, Sender

POOL_FRAMES = 16  # different frames that a session sends round and round, under new sequence numbers


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load test measured.

    Attributes:
        codecs: Names of the models.
        num_sessions: Sessions.
        in_flight: Frames in flight a session.
        reports_per_frame: Reports a frame.
        duration_s: From the first frame to the last acknowledgement.
        num_reports: Reports stored.
        num_refined: Of those, reports that were refined: a busy base station refines none.
        num_refused: Reports refused for good.
        num_retries: Frames sent again after a refusal for overload.
        reports_per_s: Stored reports over duration.
        p50_ms: Median time from sending a frame to its acknowledgement.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile.
        mean_batch_size: Reports decoded together, mean over reports.
    """

    codecs: tuple[str, ...]
    num_sessions: int
    in_flight: int
    reports_per_frame: int
    duration_s: float
    num_reports: int
    num_refined: int
    num_refused: int
    num_retries: int
    reports_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    mean_batch_size: float


async def load(
    settings: Settings, num_sessions: int, duration_s: float, snr_db: float, progress: Callable[[int], None]
) -> LoadResult:
    """Run a load test.

    Args:
        settings: Settings; the sessions take the codecs in turn.
        num_sessions: Sessions, each with a stream of its own.
        duration_s: Time in which frames are sent.
        snr_db: SNR of the feedback link.
        progress: Called with the number of reports just acknowledged.

    Raises:
        CsiError: If the settings do not go together, or the base station is not there, refuses a session, or goes away.
    """
    pipelines = make_pipelines(settings, load_channels(settings.data))
    sender = Sender(settings.bs, settings.seed)
    total = _Total()
    try:
        await sender.connect(settings.connect_s)
        sessions = [await _open(settings, sender, pipelines[i % len(pipelines)], snr_db) for i in range(num_sessions)]
        start_s = time.monotonic()

        async def drive(pool: list[Frame]) -> None:
            async for delivery in sender.send(_rounds(pool, start_s + duration_s), settings.in_flight):
                total.add(delivery)
                progress(delivery.frame.num_reports)

        await asyncio.gather(*(drive(pool) for pool in sessions))
        elapsed_s = time.monotonic() - start_s
        for pool in sessions:
            await sender.close_session(pool[0].session_id)
    finally:
        await sender.close()
    return _result(settings, num_sessions, elapsed_s, total)


async def _open(settings: Settings, sender: Sender, pipeline: Pipeline, snr_db: float) -> list[Frame]:
    """Open a session and encode the frames that it sends."""
    session_id = str(uuid.uuid4())
    grant: SessionGrant = await sender.open_session(pipeline.session_request(session_id))
    size = min(settings.reports_per_frame, grant.max_reports_per_frame)
    pool = []
    for frame_id in range(POOL_FRAMES):
        sequence = np.arange(frame_id * size, (frame_id + 1) * size)
        index = sequence % len(pipeline.channels.h)
        by = truth_by(settings, grant)
        pool.append(
            pipeline.frame(session_id, frame_id, settings.ue_id, sequence, index, snr_db, by, settings.deadline_ms)
        )
    return pool


async def _rounds(pool: list[Frame], until_s: float) -> AsyncIterator[Frame]:
    frame_id = 0
    while time.monotonic() < until_s:
        frame = pool[frame_id % len(pool)]
        sequence = np.arange(frame_id * frame.num_reports, (frame_id + 1) * frame.num_reports)
        yield dataclasses.replace(frame, frame_id=frame_id, sequence=sequence)
        frame_id += 1


@dataclass(slots=True)
class _Total:
    """Sums over the deliveries of a load test, and the latency of each."""

    num_reports: int = 0
    num_refined: int = 0
    num_refused: int = 0
    num_retries: int = 0
    sum_batch_size: int = 0
    latency_ms: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, delivery: Delivery) -> None:
        self.num_retries += delivery.num_attempts - 1
        if delivery.ack.code:
            self.num_refused += delivery.frame.num_reports
            return
        self.num_reports += delivery.frame.num_reports
        self.num_refined += int(delivery.ack.refined.sum())
        self.sum_batch_size += int(delivery.ack.batch_size.sum())
        self.latency_ms.append(1000 * delivery.latency_s)


def _result(settings: Settings, num_sessions: int, elapsed_s: float, total: _Total) -> LoadResult:
    if not total.num_reports:
        raise UnavailableError(f"The base station stored no report; {total.num_refused} were refused.")
    p50, p95, p99 = np.percentile(total.latency_ms, [50, 95, 99])
    return LoadResult(
        codecs=settings.codecs,
        num_sessions=num_sessions,
        in_flight=settings.in_flight,
        reports_per_frame=settings.reports_per_frame,
        duration_s=round(elapsed_s, 3),
        num_reports=total.num_reports,
        num_refined=total.num_refined,
        num_refused=total.num_refused,
        num_retries=total.num_retries,
        reports_per_s=round(total.num_reports / elapsed_s, 1),
        p50_ms=round(float(p50), 3),
        p95_ms=round(float(p95), 3),
        p99_ms=round(float(p99), 3),
        mean_batch_size=round(total.sum_batch_size / total.num_reports, 2),
    )
