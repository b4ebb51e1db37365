"""What a load test counted, from the rows of its processes."""

from collections import Counter
from dataclasses import dataclass, field

import grpc
import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from ue_client.load.worker import SessionSpec

LONGEST_US = 3_600_000_000
SETTLED_S = 2.0  # after which no row of a second is expected any more
CODES = {code.value[0]: code.name.lower() for code in grpc.StatusCode}


class Latency:
    """Latencies in an HDR histogram: any percentile to three digits, in bounded memory.

    Args:
        digits: Kept of each value.

    Example:
        >>> latency = Latency()
        >>> latency.add(np.array([1.0, 2.0, 3.0, 100.0]))
        >>> latency.ms(50.0), latency.ms(100.0)
        (2.0, 100.031)
    """

    def __init__(self, digits: int = 3) -> None:
        self._histogram = HdrHistogram(1, LONGEST_US, digits)

    def add(self, values_ms: NDArray[np.floating]) -> None:
        """Count some, [n] in ms."""
        micros = np.clip(np.rint(values_ms.astype(np.float64) * 1000), 1, LONGEST_US).astype(np.int64)
        for value, count in zip(*(part.tolist() for part in np.unique(micros, return_counts=True)), strict=True):
            self._histogram.record_value(value, count)

    def ms(self, percentile: float) -> float | None:
        """Return a percentile, ms; None where nothing was counted."""
        if not self._histogram.get_total_count():
            return None
        return float(round(self._histogram.get_value_at_percentile(percentile) / 1000, 3))

    def percentiles(self) -> list[tuple[float, float]]:
        """Return (percentile, ms) along the distribution, finer towards its end."""
        return [
            (item.percentile_level_iterated_to, round(item.value_iterated_to / 1000, 3))
            for item in self._histogram.get_percentile_iterator(5)
        ]


@dataclass(slots=True)
class Second:
    """One second of a load test.

    Attributes:
        second: From the start, warm-up left out.
        offered: Reports that were due.
        stored: Reports acknowledged.
        refused: Reports refused for good, or held back.
        held_back: Of those, the latter.
        p50_ms: Of the frames acknowledged in it.
        p99_ms: Likewise.
    """

    second: int
    offered: int = 0
    stored: int = 0
    refused: int = 0
    held_back: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass(slots=True)
class OfSession:
    """What one session got.

    Attributes:
        spec: What it sends.
        offered: Reports that were due.
        stored: Reports acknowledged.
        held_back: Reports that were never sent.
        latency: Of its frames.
    """

    spec: SessionSpec
    offered: int = 0
    stored: int = 0
    held_back: int = 0
    latency: Latency = field(default_factory=lambda: Latency(digits=2))


class Tally:
    """Sums over rows.

    Args:
        sessions: All sessions.
        warm_up_s: Frames due earlier do not count.
    """

    def __init__(self, sessions: tuple[SessionSpec, ...], warm_up_s: float) -> None:
        self.offered = self.stored = self.refined = self.retries = 0
        self.refused: Counter[str] = Counter()
        self.latency, self.refusal, self.lateness, self.queue = Latency(), Latency(), Latency(), Latency()
        self.batch_sizes: Counter[int] = Counter()
        self.sessions = [OfSession(spec) for spec in sessions]
        self.last_s = 0.0
        self._warm_up_s = warm_up_s
        self._seconds: dict[int, Second] = {}
        self._open: dict[int, list[NDArray[np.floating]]] = {}

    def add(self, rows: NDArray[np.void]) -> int:
        """Add rows; return how many reports of them are stored."""
        rows = rows[rows["due_s"] >= self._warm_up_s]
        if not len(rows):
            return 0
        stored = rows[rows["code"] == 0]
        self.offered += int(rows["reports"].sum())
        sent = rows[rows["attempts"] > 0]
        self.retries += int(sent["attempts"].sum()) - len(sent)
        self.stored += int(stored["reports"].sum())
        self.refined += int(stored["refined"].sum())
        self.last_s = max(self.last_s, float(sent["done_s"].max(initial=0.0)) - self._warm_up_s)
        refused = sent[sent["code"] != 0]
        for code in np.unique(refused["code"]).tolist():
            self.refused[CODES.get(code, str(code))] += int(refused["reports"][refused["code"] == code].sum())
        if len(sent) < len(rows):
            self.refused["held_back"] += _held_back(rows)
        latency_ms = 1000 * (stored["done_s"] - stored["due_s"])
        self.latency.add(latency_ms)
        self.refusal.add(1000 * (refused["done_s"] - refused["due_s"]))
        self.lateness.add(1000 * (sent["sent_s"] - sent["due_s"]))
        self.queue.add(stored["queue_ms"])
        sizes, counts = np.unique(np.rint(stored["batch_size"]).astype(int), return_counts=True)
        self.batch_sizes.update(dict(zip(sizes.tolist(), counts.tolist(), strict=True)))
        for number in np.unique(rows["session"]).tolist():
            self._add_session(number, rows[rows["session"] == number])
        self._add_seconds(rows)
        return int(stored["reports"].sum())

    def _add_session(self, number: int, rows: NDArray[np.void]) -> None:
        session, stored = self.sessions[number], rows[rows["code"] == 0]
        session.offered += int(rows["reports"].sum())
        session.stored += int(stored["reports"].sum())
        session.held_back += _held_back(rows)
        session.latency.add(1000 * (stored["done_s"] - stored["due_s"]))

    def _add_seconds(self, rows: NDArray[np.void]) -> None:
        due = (rows["due_s"] - self._warm_up_s).astype(int)
        done = (rows["done_s"] - self._warm_up_s).astype(int)
        for second in np.unique(due).tolist():
            self._second(second).offered += int(rows["reports"][due == second].sum())
        for second in np.unique(done).tolist():
            of = rows[done == second]
            stored = of[of["code"] == 0]
            entry = self._second(second)
            entry.stored += int(stored["reports"].sum())
            entry.refused += int(of["reports"].sum() - stored["reports"].sum())
            entry.held_back += _held_back(of)
            self._open.setdefault(second, []).append(1000 * (stored["done_s"] - stored["due_s"]))
        self._settle(self.last_s - SETTLED_S)

    def _second(self, second: int) -> Second:
        return self._seconds.setdefault(second, Second(second))

    def _settle(self, until_s: float) -> None:
        """Take the percentiles of seconds that are over."""
        for second in [second for second in self._open if second + 1 <= until_s]:
            values = np.concatenate(self._open.pop(second))
            if len(values):
                entry = self._second(second)
                entry.p50_ms, entry.p99_ms = (round(float(value), 3) for value in np.percentile(values, [50, 99]))

    def seconds(self) -> list[Second]:
        """Return the seconds in order, when all rows are in."""
        self._settle(np.inf)
        return [self._seconds[second] for second in sorted(self._seconds)]


def _held_back(rows: NDArray[np.void]) -> int:
    """Return how many reports were never sent."""
    return int(rows["reports"][rows["attempts"] == 0].sum())
