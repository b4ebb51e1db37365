"""Draws that are kept are those that would be drawn, whoever wrote to them, and take no more memory than allowed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.experiments.common_random_numbers import KeptDraws
from shared.rng import Randomness, Stage

ue_of = st.integers(0, 2)


def reports(num_reports: int, ue: int = 0, first: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.full(num_reports, ue), np.arange(first, first + num_reports)


@given(
    asked=st.lists(
        st.tuples(
            st.sampled_from(["uniform", "normal"]),
            st.integers(0, 1),
            st.sampled_from([Stage.LINK, Stage.FADING]),
            st.integers(1, 9),
            st.integers(1, 3),
            ue_of,
            st.integers(0, 1),
        ),
        max_size=20,
    ),
    max_bytes=st.sampled_from([0, 100, 2**20]),
)
def test_every_draw_is_that_of_randomness(
    asked: list[tuple[str, int, Stage, int, int, int, int]], max_bytes: int
) -> None:
    kept = KeptDraws(max_bytes)
    for distribution, run, stage, count, num_reports, ue, first in asked:
        which = reports(num_reports, ue, first)
        drawn = getattr(kept.randomness(run, *which), distribution)(stage, count)
        wanted = getattr(Randomness(run, *which), distribution)(stage, count)
        assert drawn.dtype == wanted.dtype
        assert np.array_equal(drawn, wanted)
        drawn[:] = 7  # a link writes to what it drew


def test_what_was_drawn_is_not_drawn_again() -> None:
    kept = KeptDraws()
    for _ in range(3):
        kept.randomness(1, *reports(5)).normal(Stage.LINK, 8)
        kept.randomness(1, *reports(5)).uniform(Stage.FADING, 1)
    assert kept.num_drawn == 2


@pytest.mark.parametrize(("max_bytes", "num_drawn"), [(3 * 64, 3), (2 * 64, 5), (63, 9)])
def test_what_finds_no_room_is_drawn_every_time_and_the_rest_once(max_bytes: int, num_drawn: int) -> None:
    kept = KeptDraws(max_bytes)
    for _ in range(3):
        for ue in range(3):
            kept.randomness(1, *reports(2, ue)).normal(Stage.LINK, 8)  # 64 bytes
    assert kept.num_drawn == num_drawn


def test_some_of_the_reports_draw_their_own() -> None:
    kept = KeptDraws()
    rows = np.array([0, 2])
    drawn = kept.randomness(1, *reports(3)).of(rows).normal(Stage.LINK, 8)
    assert np.array_equal(drawn, Randomness(1, *reports(3)).normal(Stage.LINK, 8)[rows])
