"""Transition matrices of a link between the points of a quantiser, a fade and an SNR for each report, in a training."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import InvalidArgumentError
from shared.links import make_link
from shared.links.fading import uplink_channels
from shared.links.label import FAMILY, parse_digital_label
from shared.links.transition import count_transitions, transition_probability

SNR_STEP_DB = 1.0
FADES_DB = -20.0, 15.0  # deepest and best that is told apart
COUNTED_REPORTS = 2000  # reports of 64 indices that a matrix is counted by, where there is no closed form


class Transitions:
    """T of eq. 26 of InvCSINet, in steps of `SNR_STEP_DB`.

    Uncoded bits: the closed form over AWGN, whatever the detector, at the SNR that the fade of a report leaves it: one
    gain a report, as the link has over Rayleigh; over the uplink, of its subcarriers the mean. With a channel code:
    counted at the index that is sent and the one that is decoded, in the reports whose CRC holds, for no other reaches
    a decoder; fades and errors of a report's indices are then taken as independent, which they are not. Reports that
    are erased do not count either.

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
        >>> Transitions(1, "digital:bsc", 0, 10).draw(torch.tensor([0.2, 9.9]), torch.Generator()).shape
        torch.Size([2, 2, 2])
    """

    def __init__(
        self, bits: int, link: str, lowest_db: float, highest_db: float, order: NDArray[np.int64] | None = None
    ) -> None:
        made = make_link(link)
        if not made.label.startswith(FAMILY):
            raise InvalidArgumentError(f"`link` of a training with bit errors must be {FAMILY}; got {link!r}.")
        label = parse_digital_label(made.label)
        coded = label.code != "uncoded"
        self.fading = "awgn" if coded else label.fading
        deepest, best = (0.0, 0.0) if self.fading == "awgn" else FADES_DB
        self.lowest_db = lowest_db + deepest
        by_label = [
            count_transitions(bits, snr_db, made, COUNTED_REPORTS)
            if coded
            else transition_probability(bits, snr_db, label.modulation)
            for snr_db in np.arange(self.lowest_db, highest_db + best + SNR_STEP_DB, SNR_STEP_DB).tolist()
        ]
        matrices = np.stack([found.matrix for found in by_label])
        if order is not None:
            places = np.argsort(order)  # index -> label
            matrices = matrices[:, places[:, None], places]
        self.matrices = torch.from_numpy(matrices).float()

    def draw(self, snr_db: Tensor, generator: torch.Generator) -> Tensor:
        """Return [batch, 2^bits, 2^bits], for each report at ``snr_db: [batch]`` that of the SNR its fade leaves it."""
        if self.fading == "rayleigh":
            uniform = torch.rand(snr_db.shape, generator=generator).clamp_min(1e-9)
            snr_db = snr_db + 10 * torch.log10(-uniform.log())
        elif self.fading == "uplink":
            gain = torch.from_numpy(np.square(np.abs(uplink_channels())).sum(axis=1)).float().mean(dim=1)
            snr_db = snr_db + 10 * torch.log10(gain[torch.randint(len(gain), snr_db.shape, generator=generator)])
        nearest = ((snr_db - self.lowest_db) / SNR_STEP_DB).round().long()
        return self.matrices[nearest.clamp(0, len(self.matrices) - 1)]
