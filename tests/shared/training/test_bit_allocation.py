from itertools import product

import numpy as np
import pytest

from shared.training.bit_allocation import allocate

# The second field is not convex: its first bit alone is worth little.
DISTORTION = np.array([[8.0, 3.0, 1.0, 0.5], [5.0, 4.9, 0.4, 0.1], [1.0, 0.3, 0.1, 0.05]])
FIELDS = np.arange(3)


def test_no_other_sharing_of_any_budget_leaves_less_distortion() -> None:
    table, error = allocate(DISTORTION, 9)
    sharings = np.array(list(product(range(4), repeat=3)))
    for budget, widths in enumerate(table):
        assert widths.sum() == budget
        possible = sharings[sharings.sum(axis=1) == budget]
        least = DISTORTION[FIELDS, possible].sum(axis=1).min()
        assert DISTORTION[FIELDS, widths].sum() == pytest.approx(least)
        assert error[budget] == pytest.approx(least)


def test_more_bits_than_the_fields_can_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="`num_bits` must be at most 9; got 10"):
        allocate(DISTORTION, 10)
