r"""The bit interleaver between an LDPC code and its modulation: rows in, columns out, one column a symbol.

    coded bits e_0 e_1 ... --rows-->  e_0      e_1      ...  e_(S-1)
                                      e_S      e_(S+1)  ...  e_(2S-1)     bits_per_symbol rows of S = whole symbols
                                      ...                                 column j = the bits of symbol j

The first row holds the systematic bits and goes to the first bits of the symbols, which QAM protects best. Coded bits
left over beyond whole symbols (5G has none) follow in order, in the last symbol.

Source: 3GPP TS 38.212, clause 5.4.2.2.
"""

import numpy as np
from numpy.typing import NDArray


def sending_order(num_bits: int, bits_per_symbol: int) -> NDArray[np.int64]:
    """Return which coded bit is sent at each place.

    Args:
        num_bits: Coded bits of a report.
        bits_per_symbol: Bits of a symbol.

    Returns:
        [num_bits] int64, a permutation.

    Example:
        >>> sending_order(9, 4).tolist()
        [0, 2, 4, 6, 1, 3, 5, 7, 8]
    """
    order = np.arange(num_bits)
    whole = num_bits - num_bits % bits_per_symbol
    order[:whole] = order[:whole].reshape(bits_per_symbol, -1).T.ravel()
    return order
