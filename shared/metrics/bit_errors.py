"""Bit errors of a batch of reports, counted from the bits that arrived."""

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgumentError
from shared.types import Payload

SHOWN = 8  # lengths, in a sentence


def bit_errors(decided: Payload, sent: Payload) -> NDArray[np.int64]:
    """Count the wrong information bits of each report, over its own length; one with any is a block error.

    Args:
        decided: Bits after channel decoding.
        sent: Bits that the encoder made.

    Returns:
        [batch] int64.

    Raises:
        InvalidArgumentError: If the lengths differ.
    """
    if not np.array_equal(decided.length, sent.length):
        wanted, found = decided.length.tolist()[:SHOWN], sent.length.tolist()[:SHOWN]
        raise InvalidArgumentError(f"`sent` must have the lengths of `decided`, {wanted}; got {found}.")
    width = int(sent.length.max(initial=0))  # either may be wider, by reports that are not compared
    return np.asarray((decided.bits[:, :width] != sent.bits[:, :width]).sum(axis=1, dtype=np.int64))
