"""Sums over rows that are written out."""

import numpy as np
import pytest

from ue_client.load.tally import Latency, Tally
from ue_client.load.worker import ROW, SessionSpec, turns_of

SESSIONS = (SessionSpec("klt", 128, 10.0), SessionSpec("klt", 128, 0.0))
#        session, due, done, sent, code, attempts, reports, refined, queue_ms, batch_size
STORED = (0, 1.0, 1.010, 1.001, 0, 1, 8, 3, 2.0, 32.0)
LATER = (1, 2.5, 2.600, 2.500, 0, 3, 4, 0, 50.0, 8.0)
REFUSED = (1, 2.9, 3.100, 2.901, 8, 1, 8, 0, np.nan, np.nan)
HELD_BACK = (1, 2.9, 2.95, 2.95, 8, 0, 8, 0, np.nan, np.nan)
EARLY = (0, 0.4, 0.410, 0.400, 0, 1, 8, 0, 2.0, 32.0)


def tally_of(*rows: tuple[float, ...]) -> Tally:
    tally = Tally(SESSIONS, warm_up_s=0.5)
    tally.add(np.array(list(rows), dtype=ROW))
    return tally


def test_stored_and_refused_reports_are_told_apart() -> None:
    tally = tally_of(STORED, LATER, REFUSED, EARLY)
    assert (tally.offered, tally.stored, tally.refined, tally.retries) == (20, 12, 3, 2)
    assert tally.refused == {"resource_exhausted": 8}
    assert tally.batch_sizes == {32: 1, 8: 1}
    assert tally.last_s == pytest.approx(2.6)


def test_latency_is_from_when_a_frame_was_due() -> None:
    tally = tally_of(STORED, LATER, REFUSED)
    assert tally.latency.ms(50.0) == pytest.approx(10, rel=1e-3)
    assert tally.latency.ms(100.0) == pytest.approx(100, rel=1e-3)
    assert tally.lateness.ms(100.0) == pytest.approx(1.0, rel=1e-3)
    assert tally.queue.ms(100.0) == pytest.approx(50, rel=1e-3)
    assert tally.refusal.ms(100.0) == pytest.approx(200, rel=1e-3)
    assert tally_of(STORED, HELD_BACK).refusal.ms(100.0) is None


def test_what_was_held_back_is_a_refusal_of_its_own_and_was_never_sent() -> None:
    tally = tally_of(STORED, LATER, REFUSED, HELD_BACK)
    assert tally.refused == {"resource_exhausted": 8, "held_back": 8}
    second = tally.seconds()[1]
    assert (tally.offered, tally.retries, second.refused, second.held_back) == (28, 2, 16, 8)
    assert [one.held_back for one in tally.sessions] == [0, 8]
    without, beside = tally_of(STORED), tally_of(STORED, HELD_BACK)
    assert beside.lateness.ms(100.0) == without.lateness.ms(100.0)
    assert beside.last_s == without.last_s
    assert tally_of((1, 0.4, 0.401, 0.401, *HELD_BACK[4:])).refused == {}  # in the warm-up


def test_what_was_due_in_the_warm_up_does_not_count() -> None:
    assert tally_of(EARLY).offered == 0


def test_each_session_and_each_second_has_its_own() -> None:
    tally = tally_of(STORED, LATER, REFUSED)
    assert [(one.offered, one.stored) for one in tally.sessions] == [(8, 8), (12, 4)]
    seconds = tally.seconds()
    assert [(one.second, one.offered, one.stored, one.refused) for one in seconds] == [(0, 8, 8, 0), (2, 12, 4, 8)]
    assert [one.p99_ms for one in seconds] == [pytest.approx(10), pytest.approx(100)]


def test_percentiles_of_the_histogram_are_those_of_the_values() -> None:
    values = np.random.default_rng(1).lognormal(2, 1, 20_000)
    latency = Latency()
    for part in np.split(values, 10):
        latency.add(part)
    for percentile in (50.0, 99.0, 99.9):
        assert latency.ms(percentile) == pytest.approx(np.percentile(values, percentile), rel=0.01)
    assert Latency().ms(99.0) is None


def test_sessions_take_turns_by_weight() -> None:
    turns = turns_of(tuple(SessionSpec("klt", None, 0.0, weight) for weight in (10, 1, 1)))
    assert np.bincount(turns).tolist() == [10, 1, 1]
