"""Pictures made for tests: a smooth gradient, a disc and a bar."""

import numpy as np

from shared.experiments.picture import Picture


def synthetic_picture(width: int = 20, height: int = 16, num_colours: int = 3, shift: float = 0.0) -> Picture:
    """Return a picture of some size; ``shift`` moves what is on it."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    layers = [100 + 60 * x, 120 + 50 * y, 90 + 40 * x * y]
    disc, bar = (x - shift) ** 2 + y**2 < 0.3, abs(x + y - shift) < 0.2
    colours = [np.where(disc, 220 - 60 * n, np.where(bar, 40 + 50 * n, layer)) for n, layer in enumerate(layers)]
    return Picture(np.stack(colours[:num_colours], axis=2).astype(np.uint8))
