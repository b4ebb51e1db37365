"""Score reconstructions against the truth: NMSE in the data set's domain, SGCS, wrong bits."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.metrics import bit_errors, nmse, sgcs
from shared.receive import Reception
from shared.transforms import from_angular_delay
from shared.types import Domain, Payload


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a batch.

    Attributes:
        nmse: [batch] float64, linear.
        sgcs: [batch] float64.
        bit_errors: [batch] int64, wrong information bits.
    """

    nmse: NDArray[np.float64]
    sgcs: NDArray[np.float64]
    bit_errors: NDArray[np.int64]


def evaluate(reception: Reception, h: Tensor, sent: Payload, domain: Domain) -> Scores:
    """Score a batch.

    Args:
        reception: What the receiver made of the reports.
        h: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64, the true channels.
        sent: The bits as sent.
        domain: Domain of ``h`` and of the reconstruction.
    """
    h_hat = reception.h_hat
    h = h.to(h_hat.device)
    return Scores(
        nmse(h_hat, h).cpu().numpy(),
        sgcs(_to_frequency(h_hat, domain), _to_frequency(h, domain)).cpu().numpy(),
        bit_errors(reception.payload, sent),
    )


def _to_frequency(x: Tensor, domain: Domain) -> Tensor:
    """Transform in double precision: the sums of a large channel overflow in single."""
    return from_angular_delay(x.to(torch.complex128)) if domain == "angular-delay" else x
