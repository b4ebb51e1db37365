r"""When the frames of a load test are due.

    closed             no times: each session keeps frames in flight, the next one goes when one is acknowledged
    constant:2000      2,000 reports/s, evenly
    poisson:2000       exponential gaps: many UEs that know nothing of each other
    burst:2000:256     256 reports at once, bursts evenly
    trace:times.txt    a frame at each time of a file, s from the start, ascending, one a line

    500..4000 in the place of a rate is a ramp over the whole time, 500,1000,2000 are steps of equal length.

A process u_1, u_2, ... of one frame per unit becomes one of r(t) frames/s by t_k = R^-1(u_k), R(t) = int_0^t r: evenly
spaced u_k, exponential gaps, or many equal u_k.

Open-loop arrivals do not wait for the base station, so that a slow one does not lower the load that it is measured by
("coordinated omission"; G. Tene, "How not to measure latency", 2013).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shared.errors import DataFileError, InvalidArgumentError

CHUNK = 8192  # frames whose times are made at once
MAX_RATE = 1e9
WANTED = "closed, constant:RATE, poisson:RATE, burst:RATE:REPORTS or trace:FILE, RATE 2000, 500..4000 or 500,1000,2000"


@dataclass(frozen=True, slots=True)
class Rate:
    """Reports per second over the time of a test.

    Attributes:
        values: Of each step; of a ramp the first and the last.
        ramp: Whether it grows evenly between two values.
    """

    values: tuple[float, ...]
    ramp: bool = False

    @property
    def mean(self) -> float:
        """Over the whole time."""
        return sum(self.values) / len(self.values)

    def due_s(self, u: NDArray[np.float64], duration_s: float, reports_per_frame: int) -> NDArray[np.float64]:
        """Return when frames are due.

        Args:
            u: [n] float64, numbers of frames that are due before each; at most those of the whole time.
            duration_s: The whole time.
            reports_per_frame: Of each frame.

        Returns:
            [n] float64, s from the start.

        Example:
            >>> Rate((100.0, 300.0), ramp=True).due_s(np.array([0.0, 150.0, 400.0]), 2.0, 1)
            array([0., 1., 2.])
            >>> Rate((100.0, 300.0)).due_s(np.array([50.0, 250.0]), 2.0, 1)
            array([0.5, 1.5])
        """
        frames_per_s = np.array(self.values) / reports_per_frame
        if self.ramp:
            first, slope = frames_per_s[0], (frames_per_s[1] - frames_per_s[0]) / duration_s
            below = first + np.sqrt(first**2 + 2 * slope * u)
            ramped: NDArray[np.float64] = np.divide(2 * u, below, out=np.zeros_like(u), where=below > 0)
            return ramped
        edges = np.linspace(0, duration_s, len(frames_per_s) + 1)
        due: NDArray[np.float64] = np.interp(u, np.concatenate([[0], np.cumsum(frames_per_s) * edges[1]]), edges)
        return due


@dataclass(frozen=True, slots=True)
class Arrivals:
    """An arrival process.

    Attributes:
        kind: Which.
        rate: Offered load; None where nothing is scheduled by it.
        burst_reports: Reports at once.
        times_s: Of a trace.
        label: As it was asked for.
    """

    kind: Literal["closed", "constant", "poisson", "burst", "trace"]
    rate: Rate | None = None
    burst_reports: int = 1
    times_s: tuple[float, ...] = ()
    label: str = "closed"

    @property
    def is_open(self) -> bool:
        """Whether frames are due at times."""
        return self.kind != "closed"

    def due_s(self, duration_s: float, reports_per_frame: int, seed: int) -> Iterator[NDArray[np.float64]]:
        """Yield when frames are due, in order, chunk by chunk.

        Args:
            duration_s: Nothing is due from then on.
            reports_per_frame: Of each frame.
            seed: Of the Poisson process.

        Yields:
            [n] float64, s from the start.
        """
        if self.rate is None:
            times = np.array(self.times_s)
            yield times[times < duration_s]
            return
        rng = np.random.default_rng(seed)
        num_frames = self.rate.mean / reports_per_frame * duration_s
        at_once = max(1, round(self.burst_reports / reports_per_frame)) if self.kind == "burst" else 1
        last, first = 0.0, 0
        while True:
            if self.kind == "poisson":
                u = last + np.cumsum(rng.exponential(size=CHUNK))
                last = float(u[-1])
            else:
                u = (np.arange(first, first + CHUNK) // at_once * at_once).astype(np.float64)
                first += CHUNK
            due = u[u < num_frames]
            yield self.rate.due_s(due, duration_s, reports_per_frame)
            if len(due) < CHUNK:
                return


def parse_arrivals(text: str) -> Arrivals:
    """Return the arrivals of a label.

    Raises:
        InvalidArgumentError: If it is none.
        DataFileError: If a trace is no file of ascending times.

    Example:
        >>> parse_arrivals("poisson:500..4000").rate
        Rate(values=(500.0, 4000.0), ramp=True)
    """
    kind, _, rest = text.partition(":")
    match kind:
        case "closed" if not rest and text == "closed":
            return Arrivals("closed")
        case "constant":
            return Arrivals("constant", _rate(rest, text), label=text)
        case "poisson":
            return Arrivals("poisson", _rate(rest, text), label=text)
        case "burst":
            rate, _, reports = rest.rpartition(":")
            if not reports.isdecimal() or int(reports) < 1:
                raise _refused(text)
            return Arrivals("burst", _rate(rate, text), int(reports), label=text)
        case "trace" if rest:
            return Arrivals("trace", times_s=_times(Path(rest)), label=f"trace:{Path(rest).name}")
    raise _refused(text)


def _rate(text: str, label: str) -> Rate:
    try:
        values = tuple(float(part) for part in text.split(".." if ".." in text else ","))
    except ValueError:
        raise _refused(label) from None
    if not all(math.isfinite(value) and 0 <= value <= MAX_RATE for value in values) or not sum(values):
        raise InvalidArgumentError(f"`arrivals` must have rates in [0, {MAX_RATE:g}], not all 0; got {label!r}.")
    ramp = ".." in text
    if ramp and len(values) != 2:
        raise _refused(label)
    return Rate(values, ramp)


def _times(path: Path) -> tuple[float, ...]:
    if not path.is_file():
        raise DataFileError(f"`arrivals` must name a file of times; '{path}' is not there.")
    try:
        times = tuple(float(line) for line in path.read_text().split())
    except (ValueError, UnicodeDecodeError):
        raise DataFileError(f"`arrivals` must name a file of times in seconds, one a line; '{path}' is not.") from None
    if not times or not all(math.isfinite(time) and time >= 0 for time in times) or list(times) != sorted(times):
        raise DataFileError(f"`arrivals` must name a file of times from 0 on, ascending; '{path}' is not.")
    return times


def _refused(label: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"`arrivals` must be {WANTED}; got {label!r}.")
