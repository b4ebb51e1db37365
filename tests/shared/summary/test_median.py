import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.summary.median import add_counts, count_bins, median_of


@given(st.lists(st.lists(st.floats(1e-12, 1e6) | st.just(0.0), max_size=20), max_size=4))
def test_the_median_of_parts_together_is_that_of_all(parts: list[list[float]]) -> None:
    everything = [nmse for part in parts for nmse in part]
    found = median_of(add_counts([count_bins(np.array(part)) for part in parts]))
    if everything:
        assert found == pytest.approx(float(np.median(everything)), rel=1.2e-3)  # 0.005 dB
    else:
        assert found is None


def test_what_is_no_number_does_not_count_and_infinity_is_the_largest() -> None:
    assert median_of(count_bins(np.array([np.nan]))) is None
    assert median_of(count_bins(np.array([np.nan, 1.0]))) == 1.0
    assert median_of(count_bins(np.array([np.inf, 1.0, np.inf]))) == pytest.approx(1e308)
