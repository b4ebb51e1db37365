import math
from itertools import pairwise

import pytest

from shared.refinement.schedule import abar_of, steps_of


def test_the_cosine_schedule_is_nichol_and_dhariwals_and_leaves_6e_6_at_20_steps() -> None:
    abar = abar_of("cosine", 20)
    wanted = [
        (math.cos((n / 20 + 0.008) / 1.008 * math.pi / 2) / math.cos(0.008 / 1.008 * math.pi / 2)) ** 2
        for n in range(20)
    ]
    assert abar[:20].tolist() == pytest.approx(wanted, rel=1e-12)
    assert float(abar[20]) == pytest.approx(wanted[19] * 0.001)
    assert float(abar[20]) == pytest.approx(6.06e-6, rel=1e-3)


@pytest.mark.parametrize("num_steps", [1, 2, 20, 100])
def test_the_stopped_schedule_falls_from_1_to_two_fifths(num_steps: int) -> None:
    abar = abar_of("stopped", num_steps)
    assert (float(abar[0]), float(abar[-1])) == pytest.approx((1.0, 0.4))
    assert (abar.diff() < 0).all()


@pytest.mark.parametrize("num_steps", [1, 2, 5, 19, 20])
def test_a_sampler_goes_from_the_last_step_to_0_and_never_stands_still(num_steps: int) -> None:
    stations = steps_of(20, num_steps)
    assert (stations[0], stations[-1], len(stations)) == (20, 0, num_steps + 1)
    assert all(n > m for n, m in pairwise(stations))
