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


@given(seed=st.integers(0, 2**32), block_m=st.floats(4, 9), gap_m=st.floats(0, 1.5))
def test_no_two_splits_come_nearer_than_the_gap(seed: int, block_m: float, gap_m: float) -> None:
    positions = spread(1000, seed)
    split = split_by_area(positions, STREET, [700, 100, 200], block_m, gap_m, seed)
    for number in range(3):
        mine, others = positions[split == number], positions[(split != number) & (split != LEFT_OUT)]
        assert np.min(cKDTree(others).query(mine)[0]) >= gap_m


def test_the_splits_have_their_shares_and_only_earlier_ones_lose_to_the_gap() -> None:
    positions = spread(20_000, 1)
    whole = split_by_area(positions, STREET, [700, 100, 200], 5.0, 0.0, seed=7)
    assert np.abs(np.bincount(whole) / 20_000 - (0.7, 0.1, 0.2)).max() < 0.01  # of 162 blocks
    gapped = split_by_area(positions, STREET, [700, 100, 200], 5.0, 1.0, seed=7)
    assert ((gapped == 2) == (whole == 2)).all()
    kept = gapped != LEFT_OUT
    assert (gapped[kept] == whole[kept]).all()
    assert 0.7 < kept.mean() < 0.95


def test_a_split_is_of_whole_blocks_and_even_a_small_one_gets_one() -> None:
    ground = np.stack(np.meshgrid(np.arange(0.25, 40, 0.5), np.arange(0.25, 20, 0.5)), axis=-1).reshape(-1, 2)
    split = split_by_area(ground, (Rectangle(0, 40, 0, 20),), [97, 1, 2], 10.0, 0.0, seed=1)
    blocks = split.reshape(2, 20, 4, 20).transpose(0, 2, 1, 3).reshape(8, 400)
    assert (blocks == blocks[:, :1]).all()
    assert np.bincount(blocks[:, 0]).tolist() == [6, 1, 1]


def test_a_split_without_ues_and_a_place_off_the_ground_are_refused() -> None:
    with pytest.raises(
        InvalidArgumentError, match="`block_m` and `gap_m` must leave each split some UEs; got 5 and 50"
    ):
        split_by_area(spread(100, 1), STREET, [50, 50], 5.0, 50.0, seed=1)
    with pytest.raises(InvalidArgumentError, match="`positions` must lie in the rectangles"):
        split_by_area(np.array([[0.0, 99.0]]), STREET, [1], 5.0, 2.0, seed=1)
