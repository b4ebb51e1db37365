import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from shared.channels.raytraced.area_split import LEFT_OUT, split_by_area
from shared.channels.raytraced.settings import Rectangle
from shared.errors import InvalidArgumentError

STREET = (Rectangle(0.0, 90.0, -15.0, 15.0), Rectangle(33.6, 62.0, -58.0, -15.0))


def spread(num_ues: int, seed: int) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    first = generator.random(num_ues) < 0.7
    low = np.where(first[:, None], (0.0, -15.0), (33.6, -58.0))
    high = np.where(first[:, None], (90.0, 15.0), (62.0, -15.0))
    positions: NDArray[np.float64] = low + generator.random((num_ues, 2)) * (high - low)
    return positions


@given(seed=st.integers(0, 2**32), gap_m=st.floats(0, 3))
def test_no_two_splits_come_nearer_than_the_gap(seed: int, gap_m: float) -> None:
    positions = spread(1000, seed)
    split = split_by_area(positions, STREET, [700, 100, 200], gap_m, seed)
    for number in range(3):
        mine, others = positions[split == number], positions[(split != number) & (split != LEFT_OUT)]
        assert np.min(cKDTree(others).query(mine)[0]) >= gap_m


def test_the_splits_have_their_shares_and_only_earlier_ones_lose_to_the_gap() -> None:
    positions = spread(20_000, 1)
    whole = split_by_area(positions, STREET, [700, 100, 200], 0.0, seed=7)
    assert np.abs(np.bincount(whole) / 20_000 - (0.7, 0.1, 0.2)).max() < 1e-3
    gapped = split_by_area(positions, STREET, [700, 100, 200], 2.0, seed=7)
    assert ((gapped == 2) == (whole == 2)).all()
    kept = gapped != LEFT_OUT
    assert (gapped[kept] == whole[kept]).all()
    assert 0.85 < kept.mean() < 0.95  # three borders, two metres each, in 90 and in 43 m


@pytest.mark.parametrize("seed", range(5))
def test_each_split_is_a_stretch_of_street_and_the_first_lies_on_both_sides(seed: int) -> None:
    line = np.stack([np.linspace(0, 99.9, 1000), np.zeros(1000)], axis=1)
    split = split_by_area(line, (Rectangle(0, 100, -1, 1),), [7, 1, 2], 0.0, seed)
    order = split[np.concatenate([[0], np.flatnonzero(np.diff(split)) + 1])]
    assert order.tolist() == [0, 1, 2, 0]


def test_a_split_without_ues_and_a_place_off_the_ground_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`gap_m` must leave each split by area some UEs; got 50: \[0, "):
        split_by_area(spread(100, 1), STREET, [50, 50], 50.0, seed=1)
    with pytest.raises(InvalidArgumentError, match="`positions` must lie in the rectangles"):
        split_by_area(np.array([[0.0, 99.0]]), STREET, [1], 2.0, seed=1)
