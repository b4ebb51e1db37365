"""The largest load that a base station carries: trials of a load test, doubled or halved, then bisected."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from shared.errors import InvalidArgumentError
from ue_client.load.arrivals import Arrivals, Rate
from ue_client.load.run import LoadResult, LoadTest

Criterion: TypeAlias = Literal["stored", "p99"]  # what a load must hold to be carried
LEAST_GOODPUT = 0.99  # of what is offered, for a rate to be carried
PRECISION = 1.05  # of a capacity
LEAST_FRAMES, FIRST_FRAMES = 20, 100  # of a trial
FIRST_RATE = 100.0  # reports/s, of the search, at least
TRIAL_OVER_BOUND = 20  # duration of a trial over the bound on p99


def first_rate(test: LoadTest) -> float:
    """Return the reports/s that a search begins with unless told."""
    return max(FIRST_RATE, test.rate_of(FIRST_FRAMES))


@dataclass(frozen=True, slots=True)
class Capacity:
    """The largest load that a base station carries.

    Attributes:
        reports_per_s: What the largest load that was carried offered; the bracket is 5 % wide. None if it carries none
            that the trials are long enough for.
        p99_ms: The bound on the 99th percentile of the latency.
        limited_by_sender: Whether this machine was late with sending where the load was not carried any more: then it
            is the sender's capacity, and the base station may have more.
        trials: Every load that was tried, in that order.
        missed: Of each trial what its load misses to be carried; nothing where it is.
    """

    reports_per_s: float | None
    p99_ms: float
    limited_by_sender: bool
    trials: list[LoadResult]
    missed: list[tuple[Criterion, ...]]


def find_capacity(
    test: LoadTest,
    first: Arrivals,
    p99_ms: float,
    told: Callable[[LoadResult, tuple[Criterion, ...]], None] = lambda _, __: None,
) -> Capacity:
    """Search the largest offered load that is carried: 99 % of it stored, p99 within a bound.

    A load is doubled while it is carried, or halved until it is; then the interval is halved down to 5 %. The first
    load is offered once before, uncounted. A trial should be 20 times the bound or longer: a load of 5 % too much is
    late by a twentieth of the trial at its end.

    Args:
        test: The load test, entered.
        first: The first load, of one rate, ``constant`` or ``poisson``.
        p99_ms: The bound.
        told: Called after each trial with its result and what the load misses to be carried.

    Raises:
        InvalidArgumentError: If the first arrivals have no rate.
        CsiError: As `LoadTest.run`.
    """
    trials: list[LoadResult] = []
    missed: list[tuple[Criterion, ...]] = []

    def carried(rate: float) -> bool:
        result = test.run(dataclasses.replace(first, rate=Rate((rate,)), label=f"{first.kind}:{rate:.0f}"))
        trials.append(result)
        missed.append(_missed(result, p99_ms))
        told(result, missed[-1])
        return not missed[-1]

    if first.rate is None:
        raise InvalidArgumentError(f"`first` must be arrivals of a rate; got {first.label!r}.")
    test.run(first)
    low, high = 0.0, first.rate.mean
    if carried(high):
        low, high = high, 2 * high
        while carried(high):
            low, high = high, 2 * high
    else:
        while high / 2 >= test.rate_of(LEAST_FRAMES):
            if carried(high / 2):
                low = high / 2
                break
            high /= 2
    while low and high / low > PRECISION:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if carried(middle) else (low, middle)
    failed = [trial for trial, why in zip(trials, missed, strict=True) if why]
    late = bool(failed) and (failed[-1].lateness_p99_ms or 0.0) > p99_ms / 2
    carried_by = [trial.offered_reports_per_s for trial, why in zip(trials, missed, strict=True) if not why]
    return Capacity(carried_by[-1] if low else None, p99_ms, late, trials, missed)


def _missed(result: LoadResult, p99_ms: float) -> tuple[Criterion, ...]:
    held = {
        "stored": result.num_reports >= LEAST_GOODPUT * (result.num_reports + result.num_refused),
        "p99": result.p99_ms is not None and result.p99_ms <= p99_ms,
    }
    return tuple(name for name in get_args(Criterion) if not held[name])
