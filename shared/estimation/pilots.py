"""The QPSK pilots of CSI-RS.

Gold sequence c(n) of length 31 -> r(m) = (1 - 2 c(2m)) / sqrt(2) + j (1 - 2 c(2m + 1)) / sqrt(2)

Source: 3GPP TS 38.211, clauses 5.2.1 (sequence) and 7.4.1.5.2 (pilots; here slot 0, symbol 0, scrambling id 0).
"""

import numpy as np
from numpy.typing import NDArray

C_INIT = 1 << 10  # clause 7.4.1.5.2: 2^10 (14 slot + symbol + 1) (2 id + 1) + id
WARM_UP = 1600  # clause 5.2.1: N_C, values that are left out


def gold_sequence(length: int, c_init: int) -> NDArray[np.uint8]:
    """Return the pseudo-random bits of clause 5.2.1.

    Args:
        length: Bits.
        c_init: Start of the second register, below 2^31.

    Returns:
        [length] uint8, each 0 or 1.

    Example:
        >>> gold_sequence(8, C_INIT).tolist()
        [0, 0, 1, 0, 0, 0, 1, 1]
    """
    first = [1] + [0] * 30
    second = [(c_init >> i) & 1 for i in range(31)]
    for n in range(WARM_UP + length - 31):
        first.append(first[n + 3] ^ first[n])
        second.append(second[n + 3] ^ second[n + 2] ^ second[n + 1] ^ second[n])
    return np.array(first[WARM_UP:], dtype=np.uint8) ^ np.array(second[WARM_UP:], dtype=np.uint8)


def csi_rs_symbols(num_tx_ant: int, num_subcarriers: int) -> NDArray[np.complex128]:
    """Return one pilot of unit power for each antenna port on each subcarrier that has pilots.

    Returns:
        [num_tx_ant, num_subcarriers] complex128, QPSK.
    """
    bits = gold_sequence(2 * num_tx_ant * num_subcarriers, C_INIT).astype(np.float64)
    symbols = ((1 - 2 * bits[::2]) + 1j * (1 - 2 * bits[1::2])) / np.sqrt(2)
    return np.asarray(symbols.reshape(num_subcarriers, num_tx_ant).T)
