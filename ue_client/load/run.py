"""`csi-ue load`: keep a base station busy from several sessions of several processes, and measure it.

    LoadTest: processes (worker.py) --rows--> Tally (tally.py) --> LoadResult

Latency is counted from when a frame was due, not from when it could be sent.
"""

import dataclasses
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any

import numpy as np

from shared.errors import CsiError, InvalidArgumentError, UnavailableError
from ue_client.config import Settings
from ue_client.load.arrivals import Arrivals
from ue_client.load.tally import Tally
from ue_client.load.worker import Done, Job, Plan, Ready, SessionSpec, serve

LEAD_S = 0.1  # between telling the processes and the start
PERCENTILES = {"p50_ms": 50.0, "p90_ms": 90.0, "p95_ms": 95.0, "p99_ms": 99.0, "p99_9_ms": 99.9, "max_ms": 100.0}


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load.

    Attributes:
        sessions: Sessions, in the order of their numbers.
        num_processes: Processes that share them.
        duration_s: Time in which frames are sent, after the warm-up.
        warm_up_s: Time before, in which nothing is counted.
        retries: Whether a frame refused for overload is sent again, after the base station's delay.
        hold_back: Whether a session that was refused for overload sends nothing for that delay; open loop alone.
    """

    sessions: tuple[SessionSpec, ...]
    num_processes: int = 1
    duration_s: float = 10.0
    warm_up_s: float = 0.0
    retries: bool = True
    hold_back: bool = False

    def __post_init__(self) -> None:
        """Refuse processes without a session, and frames that are both sent again and given up."""
        if self.hold_back and self.retries:
            raise InvalidArgumentError("`hold_back` must be left out with `retries`; got both.")
        if not 1 <= self.num_processes <= len(self.sessions):
            raise InvalidArgumentError(
                f"`processes` must be at most `num_sessions`, {len(self.sessions)}; got {self.num_processes}."
            )


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load test measured.

    Attributes:
        arrivals: Label of the arrivals.
        codecs: Models, as they were named.
        link: Label of the link.
        data: Whose channels.
        seed: Of the run.
        truth: Whether truth was sent beside the reports.
        warm_up_s: Time before, which did not count.
        num_processes: Processes.
        num_sessions: Sessions.
        in_flight: Frames in flight a session, closed loop; None where arrivals do not wait.
        reports_per_frame: Reports a frame.
        duration_s: From the end of the warm-up to the last acknowledgement.
        offered_reports_per_s: Reports that were due, over the time in which frames are sent.
        num_reports: Reports stored.
        num_refined: Of those, reports that were refined: a busy base station refines none.
        num_frames: Frames stored, which the percentiles are over.
        num_refused: Reports refused for good, or held back.
        refusals: Of those, how many for which reason: a gRPC status, or ``held_back``: given up without asking.
        num_retries: Frames sent again after a refusal for overload.
        hold_back: Whether sessions obeyed the retry delay of a refusal.
        reports_per_s: Goodput: stored reports over that time, or over ``duration_s`` if it is longer.
        p50_ms: Median time from when a frame was due to its acknowledgement; p90_ms ... max_ms likewise.
        refusal_p99_ms: From when a frame was due to its refusal for good, held back left out; None where none was.
        lateness_p99_ms: From when a frame was due to its first sending: large where this machine cannot send that fast.
        queue_p50_ms: In the base station's queue.
        queue_p99_ms: Likewise.
        mean_batch_size: Reports decoded together, mean over frames.
        batch_sizes: How many frames were decoded in batches of which size.
        sessions: Of each session what it is, what it got and held back, its latency to 1 %; the rest was refused.
        seconds: Of each second what was offered, stored, refused, held back, its latency.
        latency_ms: (percentile, ms) along the distribution.
    """

    arrivals: str
    codecs: tuple[str, ...]
    link: str
    data: str
    seed: int
    truth: bool
    warm_up_s: float
    num_processes: int
    num_sessions: int
    in_flight: int | None
    reports_per_frame: int
    duration_s: float
    offered_reports_per_s: float
    num_reports: int
    num_frames: int
    num_refined: int
    num_refused: int
    refusals: dict[str, int]
    num_retries: int
    hold_back: bool
    reports_per_s: float
    p50_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    p99_9_ms: float | None
    max_ms: float | None
    refusal_p99_ms: float | None
    lateness_p99_ms: float | None
    queue_p50_ms: float | None
    queue_p99_ms: float | None
    mean_batch_size: float | None
    batch_sizes: dict[int, int]
    sessions: list[dict[str, Any]]
    seconds: list[dict[str, Any]]
    latency_ms: list[tuple[float, float]]


class LoadTest:
    """The processes of a load test, their sessions open; a context manager.

    Attributes:
        reports_per_frame: Of every frame, once entered: as asked, or as many as the base station takes.

    Args:
        settings: What all sessions share.
        options: Sessions, processes, times.

    Raises:
        CsiError: On entering, if the settings do not go together, the base station is not there, or refuses a session.
    """

    def __init__(self, settings: Settings, options: LoadOptions) -> None:
        self._settings, self._options = settings, options
        self._workers: list[tuple[multiprocessing.process.BaseProcess, Connection]] = []
        self.reports_per_frame = 0
        self._opened: dict[int, tuple[str, int]] = {}

    def __enter__(self) -> "LoadTest":
        context, count = multiprocessing.get_context("spawn"), self._options.num_processes
        try:
            for number in range(count):
                ours, theirs = context.Pipe()
                plan = Plan(self._settings, self._options.sessions, (number, count))
                process = context.Process(target=serve, args=(theirs, plan), daemon=True)
                process.start()
                theirs.close()
                self._workers.append((process, ours))
            for message in self._messages(until=Ready):
                self.reports_per_frame = message.reports_per_frame
                self._opened |= message.opened
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None:
            for process, connection in self._workers:
                connection.send(None)
                process.join(self._settings.connect_s)
        self._stop()

    def rate_of(self, num_frames: int) -> float:
        """Return the reports/s at which so many frames are due in the duration."""
        return num_frames * self.reports_per_frame / self._options.duration_s

    def run(self, arrivals: Arrivals, progress: Callable[[int, Tally], None] = lambda _, __: None) -> LoadResult:
        """Send, and wait for the last acknowledgement.

        Args:
            arrivals: When.
            progress: Called with the number of reports just stored, and the sums so far.

        Raises:
            CsiError: If the base station goes away, or stores nothing.
        """
        options, tally = self._options, Tally(self._options.sessions, self._options.warm_up_s)
        start_s = time.monotonic() + LEAD_S
        job = Job(arrivals, options.warm_up_s + options.duration_s, start_s, options.retries, options.hold_back)
        for _, connection in self._workers:
            connection.send(job)
        for message in self._messages(until=Done):
            if isinstance(message, np.ndarray):
                progress(tally.add(message), tally)
        return self._result(arrivals, tally)

    def _messages(self, until: type) -> Iterator[Any]:
        """Yield what the processes say until each has said that it is done.

        Raises:
            CsiError: What went wrong in one of them.
        """
        waiting = {connection for _, connection in self._workers}
        while waiting:
            for connection in wait(waiting):
                if not isinstance(connection, Connection):
                    raise TypeError(f"wait must return connections; got {type(connection).__name__}.")
                try:
                    message = connection.recv()
                except EOFError:
                    raise UnavailableError("A process of the load test ended unexpectedly.") from None
                if isinstance(message, CsiError):
                    raise message
                if isinstance(message, until):
                    waiting.discard(connection)
                yield message

    def _stop(self) -> None:
        for process, connection in self._workers:
            connection.close()
            process.terminate()
            process.join()
        self._workers.clear()

    def _result(self, arrivals: Arrivals, tally: Tally) -> LoadResult:
        options = self._options
        if not tally.stored:
            reasons = ", ".join(f"{count} reports {reason}" for reason, count in tally.refused.items())
            raise UnavailableError(f"The base station stored no report; refused: {reasons or 'none, none was due'}.")
        num_frames = tally.batch_sizes.total()
        of_batches = sum(size * count for size, count in tally.batch_sizes.items())
        return LoadResult(
            arrivals=arrivals.label,
            codecs=tuple(dict.fromkeys(spec.codec for spec in options.sessions)),
            link=self._settings.link,
            data=self._settings.data,
            seed=self._settings.seed,
            truth=self._settings.truth,
            warm_up_s=options.warm_up_s,
            num_processes=options.num_processes,
            num_sessions=len(options.sessions),
            in_flight=None if arrivals.is_open else self._settings.in_flight,
            reports_per_frame=self.reports_per_frame,
            duration_s=round(tally.last_s, 3),
            offered_reports_per_s=round(tally.offered / options.duration_s, 1),
            num_reports=tally.stored,
            num_frames=num_frames,
            num_refined=tally.refined,
            num_refused=tally.refused.total(),
            refusals=dict(tally.refused),
            num_retries=tally.retries,
            hold_back=options.hold_back,
            reports_per_s=round(tally.stored / max(tally.last_s, options.duration_s), 1),
            **{name: tally.latency.ms(percentile) for name, percentile in PERCENTILES.items()},
            refusal_p99_ms=tally.refusal.ms(99.0),
            lateness_p99_ms=tally.lateness.ms(99.0),
            queue_p50_ms=tally.queue.ms(50.0),
            queue_p99_ms=tally.queue.ms(99.0),
            mean_batch_size=round(of_batches / num_frames, 2),
            batch_sizes=dict(sorted(tally.batch_sizes.items())),
            sessions=[
                dataclasses.asdict(one.spec)
                | dict(zip(("session_id", "rate"), self._opened[number], strict=True))
                | {"offered": one.offered, "stored": one.stored, "held_back": one.held_back}
                | {"p50_ms": one.latency.ms(50.0), "p99_ms": one.latency.ms(99.0)}
                for number, one in enumerate(tally.sessions)
            ],
            seconds=[dataclasses.asdict(second) for second in tally.seconds()],
            latency_ms=tally.latency.percentiles(),
        )
