"""Where the UEs stand: on a grid in random order, or at random places, over rectangles of ground.

The order is random, so that any run of consecutive UEs is a random sample of the area.
"""

import numpy as np
from numpy.typing import NDArray

from shared.channels.raytraced.settings import Raytraced
from shared.errors import InvalidArgumentError

MOST_PLACES = 10**7


def places(settings: Raytraced, num_places: int, seed: int) -> NDArray[np.float32]:
    """Return where UEs stand.

    Fewer of them are the first of more. A place of a grid that lies in two rectangles counts once.

    Args:
        settings: Area, grid and height.
        num_places: How many, of a grid at most.
        seed: Seed, in [0, 2^64).

    Returns:
        [num_places, 3] float32, m; all of a grid that has no more.

    Raises:
        InvalidArgumentError: If the grid has more than `MOST_PLACES` places.

    Example:
        >>> from shared.channels.raytraced.settings import settings_of
        >>> places(settings_of("street-3g5", None), 5, seed=1).shape
        (5, 3)
    """
    generator = np.random.Generator(np.random.Philox(key=[seed, 0]))
    if settings.grid_spacing_m is None:
        ground = _random(settings, num_places, generator)
    else:
        grid = _grid(settings, settings.grid_spacing_m)
        ground = grid[generator.permutation(len(grid))[:num_places]]
    height = np.full((len(ground), 1), settings.ue_height_m)
    return np.concatenate([ground, height], axis=1).astype(np.float32)


def _random(settings: Raytraced, num_places: int, generator: np.random.Generator) -> NDArray[np.float64]:
    areas = np.array([rectangle.area_m2 for rectangle in settings.area])
    drawn = generator.random((num_places, 3))  # a row a place: fewer are the first of more
    which = np.searchsorted(np.cumsum(areas) / areas.sum(), drawn[:, 0], side="right").clip(max=len(areas) - 1)
    low = np.array([(r.x_min, r.y_min) for r in settings.area])[which]
    high = np.array([(r.x_max, r.y_max) for r in settings.area])[which]
    random: NDArray[np.float64] = low + drawn[:, 1:] * (high - low)
    return random


def _grid(settings: Raytraced, spacing: float) -> NDArray[np.float64]:
    size = sum(rectangle.area_m2 for rectangle in settings.area) / spacing**2
    if size > MOST_PLACES:
        raise InvalidArgumentError(f"`grid_spacing_m` must leave at most {MOST_PLACES} places; got about {size:.0f}.")
    # Whole numbers of steps from the scene's origin, so that rectangles that overlap share their places.
    steps = [
        np.stack(np.meshgrid(_steps(r.x_min, r.x_max, spacing), _steps(r.y_min, r.y_max, spacing)), axis=-1)
        for r in settings.area
    ]
    return np.unique(np.concatenate([part.reshape(-1, 2) for part in steps]), axis=0) * spacing


def _steps(low: float, high: float, spacing: float) -> NDArray[np.int64]:
    slack = 1e-9  # 0.6 / 0.2 is not 3
    return np.arange(int(np.ceil(low / spacing - slack)), int(np.floor(high / spacing + slack)) + 1)
