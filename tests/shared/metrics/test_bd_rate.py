import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.metrics import bd_rate

Curve = list[tuple[float, float]]
CURVE: Curve = [(32, -2.6), (64, -5.0), (128, -9.3), (512, -20.0)]


@given(
    steps=st.lists(st.tuples(st.floats(0.01, 3), st.floats(0.1, 10)), min_size=3, max_size=8), factor=st.floats(0.1, 10)
)
def test_a_codec_that_always_needs_a_multiple_of_the_bits_has_that_rate(
    steps: list[tuple[float, float]], factor: float
) -> None:
    log_rate, nmse_db = np.cumsum(steps, axis=0).T
    curve = [(2.0**a, -b) for a, b in zip(log_rate, nmse_db, strict=True)]
    assert bd_rate(curve, [(rate * factor, x) for rate, x in curve]) == pytest.approx(factor - 1, rel=1e-9, abs=1e-9)


def test_straight_lines_of_other_slopes_have_the_distance_of_their_middles() -> None:
    # log10 rate = -x / 10 over [-30, 0] and -x / 20 + 0.3 over [-40, -10]; in common [-30, -10], middle at -20 dB
    steep: Curve = [(10 ** (-x / 10), x) for x in (0.0, -13.0, -22.0, -30.0)]
    flat: Curve = [(10 ** (-x / 20 + 0.3), x) for x in (-10.0, -24.0, -40.0)]
    assert bd_rate(steep, flat) == pytest.approx(10 ** (1.3 - 2.0) - 1)


def test_there_and_back_is_no_change_and_order_does_not_count() -> None:
    other: Curve = [(40, -3.0), (90, -8.0), (300, -14.0), (600, -17.0)]
    there, back = bd_rate(CURVE, other), bd_rate(other, CURVE)
    assert (1 + there) * (1 + back) == pytest.approx(1)
    assert bd_rate(CURVE[::-1], other) == there


def test_the_interpolation_stays_between_the_points_where_a_cubic_would_not() -> None:
    knee: Curve = [(10, 0.0), (1000, -0.1), (1010, -10.0), (1020, -20.0)]
    level: Curve = [(1000, 0.0), (1001, -10.0), (1002, -20.0)]
    assert bd_rate(level, knee) < 0.02  # nowhere above 1,020 bits


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        (CURVE[:2], "`other` must have at least 3 points; got 2"),
        ([(32, -30.0), (64, -31.0), (128, -32.0)], r"they span \[-20, -2.6\] and \[-32, -30\] dB"),
        ([(32, -20.0), (64, -21.0), (128, -32.0)], "they span"),
        ([(32, -2.0), (64, -3.0), (128, -2.5)], "`other` must have an NMSE that falls with the rate"),
        ([(32, -2.0), (32, -3.0), (128, -4.0)], "`other` must have an NMSE that falls with the rate"),
        ([(32, -2.0), (64, -2.0), (128, -4.0)], "`other` must have an NMSE that falls with the rate"),
        ([(0, -2.0), (64, -3.0), (128, -4.0)], "`other` must have finite values and positive rates"),
        ([(32, -2.0), (64, math.nan), (128, -4.0)], "`other` must have finite values and positive rates"),
        ([(32, -2.0), (64, -3.0), (128, -math.inf)], "`other` must have finite values and positive rates"),
    ],
)
def test_curves_without_an_answer_are_refused(curve: Curve, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        bd_rate(CURVE, curve)
