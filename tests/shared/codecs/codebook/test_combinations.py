import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.codecs.codebook.combinations import index_of, members_of, width_of


@pytest.mark.parametrize(("total", "size"), [(5, 0), (5, 1), (5, 5), (8, 3), (0, 0)])
def test_the_subsets_have_the_indices_from_0_on_the_last_one_first(total: int, size: int) -> None:
    subsets = np.array(list(itertools.combinations(range(total), size)), dtype=np.int64)
    index = index_of(subsets, total)
    assert index.tolist() == list(range(math.comb(total, size)))[::-1]
    members, exists = members_of(index, total, size)
    assert np.array_equal(members, subsets)
    assert exists.all()


@given(data=st.data(), total=st.integers(1, 35))
def test_an_index_is_that_of_its_members(data: st.DataObject, total: int) -> None:
    size = data.draw(st.integers(0, total))
    index = np.array([data.draw(st.integers(0, math.comb(total, size) - 1))])
    members, exists = members_of(index, total, size)
    assert exists.all()
    assert members[0].tolist() == sorted(set(members[0].tolist()))
    assert set(members[0].tolist()) <= set(range(total))
    assert index_of(members, total).tolist() == index.tolist()


def test_an_index_beyond_the_last_is_told() -> None:
    members, exists = members_of(np.array([119, 120, 127]), 16, 2)
    assert exists.tolist() == [True, False, False]
    assert members.min() >= 0
    assert members.max() < 16


def test_the_index_is_that_of_the_specification() -> None:
    # TS 38.214, 5.2.2.2.3: i_1,2 = sum of C(N1 N2 - 1 - n_i, L - i)
    members = [1, 4, 9, 14]
    wanted = sum(math.comb(15 - n, 4 - i) for i, n in enumerate(members))
    assert index_of(np.array([members]), 16).tolist() == [wanted]


@pytest.mark.parametrize("count", range(1, 70))
def test_a_width_is_the_logarithm_rounded_up(count: int) -> None:
    assert width_of(count) == math.ceil(math.log2(count))
