from dataclasses import replace

import numpy as np
import pytest

from shared.channels.raytraced import settings_of
from shared.channels.raytraced.places import places
from shared.channels.raytraced.settings import Rectangle
from shared.errors import InvalidArgumentError

TWO = replace(
    settings_of(None, "munich"), area=(Rectangle(0.0, 6.0, 0.0, 2.0), Rectangle(5.0, 7.0, 1.0, 3.0)), ue_height_m=1.5
)
ON_GRID = replace(TWO, grid_spacing_m=0.2)


def test_a_grid_holds_each_place_of_its_rectangles_once_borders_included() -> None:
    found = places(ON_GRID, 10**6, seed=1)
    assert len(found) == 31 * 11 + 11 * 11 - 6 * 6
    assert (found[:, 2] == 1.5).all()
    steps = found[:, :2] / 0.2
    assert np.abs(steps - steps.round()).max() < 1e-4
    assert len(np.unique(steps.round(), axis=0)) == len(found)


@pytest.mark.parametrize("settings", [TWO, ON_GRID])
def test_fewer_places_are_the_first_of_more_and_a_seed_is_one_order(settings: object) -> None:
    assert isinstance(settings, type(TWO))
    many = places(settings, 300, seed=1)
    assert np.array_equal(many[:40], places(settings, 40, seed=1))
    assert not np.array_equal(many[:40], places(settings, 40, seed=2))


def test_random_places_are_uniform_over_the_area() -> None:
    found = places(TWO, 20_000, seed=3)
    second = found[:, 1] > 2.0  # half of the second rectangle, which has a quarter of the area
    share, error = 4 / 16 / 2, np.sqrt(0.125 * 0.875 / 20_000)
    assert abs(second.mean() - share) < 4 * error
    first = found[found[:, 0] < 5.0]
    assert np.abs(first[:, :2].mean(axis=0) - (2.5, 1.0)).max() < 4 * 5 / np.sqrt(12 * len(first))


def test_a_grid_of_too_many_places_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`grid_spacing_m` must leave at most 10000000 places; got about"):
        places(replace(TWO, area=(Rectangle(0, 1e4, 0, 1e4),), grid_spacing_m=0.1), 10, seed=1)
