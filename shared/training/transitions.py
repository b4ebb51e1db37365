"""Transition matrices of a link between the points of a quantiser, over a range of SNRs, as a training needs them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import InvalidArgumentError
from shared.links import make_link
from shared.links.label import FAMILY, parse_digital_label
from shared.links.transition import count_transitions, transition_probability

SNR_STEP_DB = 1.0
COUNTED_REPORTS = 2000  # reports of 64 indices that a matrix is counted by, where there is no closed form


class Transitions:
    """T of eq. 26 of InvCSINet, in steps of `SNR_STEP_DB`.

    Closed form for uncoded bits over AWGN, whatever the detector; else counted, at the index that is sent and the one
    that the channel code gives back. Reports that are erased do not count: they never reach a decoder.

    Args:
        bits: Bits of an index.
        link: Label of a digital link.
        lowest_db: Es/N0.
        highest_db: Es/N0.
        order: [2^bits] int64, the index of each label on the wire; None where they are the same.

    Attributes:
        matrices: [num_snrs, 2^bits, 2^bits] float32, row sent, column detected.

    Raises:
        InvalidArgumentError: If the link carries no bits, or the code does not take 64 indices of so many.

    Example:
        >>> Transitions(1, "digital:bsc", 0, 10).at(torch.tensor([0.2, 9.9])).shape
        torch.Size([2, 2, 2])
    """

    def __init__(
        self, bits: int, link: str, lowest_db: float, highest_db: float, order: NDArray[np.int64] | None = None
    ) -> None:
        made = make_link(link)
        if not made.label.startswith(FAMILY):
            raise InvalidArgumentError(f"`link` of a training with bit errors must be {FAMILY}; got {link!r}.")
        label = parse_digital_label(made.label)
        closed = label.fading == "awgn" and label.code == "uncoded"
        self.lowest_db = lowest_db
        by_label = [
            transition_probability(bits, snr_db, label.modulation)
            if closed
            else count_transitions(bits, snr_db, made, COUNTED_REPORTS)
            for snr_db in np.arange(lowest_db, highest_db + SNR_STEP_DB, SNR_STEP_DB).tolist()
        ]
        matrices = np.stack([found.matrix for found in by_label])
        if order is not None:
            places = np.argsort(order)  # index -> label
            matrices = matrices[:, places[:, None], places]
        self.matrices = torch.from_numpy(matrices).float()

    def at(self, snr_db: Tensor) -> Tensor:
        """Return [batch, 2^bits, 2^bits], the matrix nearest to each of ``snr_db: [batch]``."""
        return self.matrices[((snr_db - self.lowest_db) / SNR_STEP_DB).round().long()]
