"""Share a bit budget among quantised fields: reverse water-filling in whole bits.

Each bit goes where it takes the most distortion away (marginal analysis, Fox 1966), which is reverse water-filling with
the measured distortion of real quantisers in place of ``sigma^2 2^(-2 b)``.
"""

import numpy as np
from numpy.typing import NDArray


def allocate(distortion: NDArray[np.float64], num_bits: int) -> NDArray[np.uint8]:
    """Give out bits one at a time.

    Args:
        distortion: [num_fields, max_width + 1], mean squared error of each field at 0 ... max_width bits.
        num_bits: Bits to give out, at most ``num_fields * max_width``.

    Returns:
        [num_bits + 1, num_fields] uint8: row ``b`` is the allocation of ``b`` bits.

    Raises:
        ValueError: If the fields cannot hold that many bits.
    """
    num_fields, columns = distortion.shape
    if num_bits > num_fields * (columns - 1):
        raise ValueError(f"`num_bits` must be at most {num_fields * (columns - 1)}; got {num_bits}.")
    gain = np.hstack([distortion[:, :-1] - distortion[:, 1:], np.full((num_fields, 1), -np.inf)])
    widths = np.zeros((num_bits + 1, num_fields), dtype=np.uint8)
    for budget in range(1, num_bits + 1):
        widths[budget] = widths[budget - 1]
        best = int(np.argmax(gain[np.arange(num_fields), widths[budget]]))
        widths[budget, best] += 1
    return widths
