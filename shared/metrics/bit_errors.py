"""Bit errors of a batch of reports, counted from the bits that arrived."""

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgumentError
from shared.types import Payload


def bit_errors(decided: Payload, sent: Payload) -> NDArray[np.int64]:
    """Count the wrong information bits of each report; a report with at least one is a block error.

    Args:
        decided: Bits after channel decoding.
        sent: Bits that the encoder made.

    Returns:
        [batch] int64.

    Raises:
        InvalidArgumentError: If the lengths differ.
    """
    if decided.bits.shape != sent.bits.shape or (decided.length != sent.length).any():
        raise InvalidArgumentError(
            f"`sent` must have the shape of `decided`, {decided.bits.shape}; got {sent.bits.shape}."
        )
    return np.asarray((decided.bits != sent.bits).sum(axis=1, dtype=np.int64))
