import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from shared.metrics import mean_interval, to_db, wilson_interval


@given(count=st.integers(1, 10**7), share=st.floats(0, 1))
def test_the_wilson_interval_is_that_of_scipy(count: int, share: float) -> None:
    events = round(share * count)
    interval = wilson_interval(events, count)
    wanted = stats.binomtest(events, count).proportion_ci(method="wilson")
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((wanted.low, wanted.high), rel=1e-9, abs=1e-15)


def test_the_interval_of_a_mean_is_students() -> None:
    samples = np.random.default_rng(1).exponential(size=12) + 1
    interval = mean_interval(float(samples.mean()), float(np.square(samples).sum()), 12)
    wanted = stats.t.interval(0.95, 11, loc=samples.mean(), scale=stats.sem(samples))
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx(wanted)


def test_the_interval_of_a_positive_mean_does_not_reach_below_zero() -> None:
    interval = mean_interval(1.0, 4.0, 2)
    assert interval is not None
    assert interval.low == 0
    assert interval.high == pytest.approx(1 + 12.706205)  # t of one degree of freedom at 97.5 %, times sqrt(2 / 2)


def test_the_interval_of_a_similarity_does_not_reach_above_one() -> None:
    interval = mean_interval(0.9, 1.64, 2, highest=1.0)  # 0.8 and 1
    assert interval is not None
    assert interval.low == 0
    assert interval.high == 1


def test_the_interval_of_a_loss_may_reach_below_zero() -> None:
    interval = mean_interval(0.5, 2.5, 2, lowest=-math.inf)  # -0.5 and 1.5
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.5 - 12.706205, 0.5 + 12.706205))


def test_too_few_samples_have_no_interval() -> None:
    assert mean_interval(1.0, 1.0, 1) is None
    assert wilson_interval(0, 0) is None


def test_decibels_of_a_power_ratio() -> None:
    assert to_db(100) == pytest.approx(20)
    assert to_db(0.5) == pytest.approx(-3.0103, abs=1e-4)
    assert to_db(0.0) is None
