"""Share a bit budget among quantised fields: reverse water-filling in whole bits, with measured distortions.

Dynamic programming over the fields: the least total error of every budget at once, whatever the shape of the distortion
curves. (Giving each bit where it takes the most error away is optimal for convex curves only, and those of heavy-tailed
fields are not.)

Source: Y. Shoham and A. Gersho, "Efficient bit allocation for an arbitrary set of quantizers", IEEE Trans. ASSP 36(9),
1988, states the problem.
"""

import numpy as np
from numpy.typing import NDArray


def allocate(distortion: NDArray[np.float64], num_bits: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Find the best allocation of every budget up to ``num_bits``.

    Args:
        distortion: [num_fields, max_width + 1], mean squared error of each field at 0 ... max_width bits.
        num_bits: Largest budget, at most ``num_fields * max_width``.

    Returns:
        [num_bits + 1, num_fields] uint8, row ``b`` the widths that spend ``b`` bits with the least total error; and
        [num_bits + 1] float64, that error.

    Raises:
        ValueError: If the fields cannot hold that many bits.
    """
    num_fields, num_widths = distortion.shape
    if num_bits > num_fields * (num_widths - 1):
        raise ValueError(f"`num_bits` must be at most {num_fields * (num_widths - 1)}; got {num_bits}.")
    error = np.full(num_bits + 1, np.inf)
    error[0] = 0.0
    choice = np.empty((num_fields, num_bits + 1), dtype=np.uint8)
    for field in range(num_fields):
        candidates = np.full((num_widths, num_bits + 1), np.inf)
        for width in range(min(num_widths, num_bits + 1)):
            candidates[width, width:] = error[: num_bits + 1 - width] + distortion[field, width]
        choice[field] = candidates.argmin(axis=0)
        error = candidates.min(axis=0)
    widths = np.empty((num_bits + 1, num_fields), dtype=np.uint8)
    left = np.arange(num_bits + 1)
    for field in reversed(range(num_fields)):
        widths[:, field] = choice[field, left]
        left = left - widths[:, field]
    return widths, error
