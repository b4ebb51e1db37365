"""Score reconstructions against the truth: NMSE in the data set's domain, SGCS, rho, wrong bits, the downlink's worth.

The base station and an offline run share this file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.metrics import bit_errors, nmse, rho
from shared.metrics.directions import layer_directions
from shared.metrics.downlink import Downlink, beam_downlink
from shared.metrics.rho import NUM_FFT
from shared.metrics.sgcs import direction_similarity
from shared.transforms import from_angular_delay
from shared.types import Domain, Payload


@dataclass(frozen=True, slots=True)
class DownlinkScores:
    """`shared.metrics.downlink.Downlink` on the host.

    Attributes:
        bler: [batch, num_snr] float64, probability of a block error.
        spectral_efficiency: [batch, num_snr] float64, bit/s/Hz.
        bler_perfect: As ``bler``, precoded from the truth.
        spectral_efficiency_perfect: As ``spectral_efficiency``, precoded from the truth.
    """

    bler: NDArray[np.float64]
    spectral_efficiency: NDArray[np.float64]
    bler_perfect: NDArray[np.float64]
    spectral_efficiency_perfect: NDArray[np.float64]

    def part(self, rows: slice) -> "DownlinkScores":
        """Return the scores of some reports."""
        return DownlinkScores(
            self.bler[rows],
            self.spectral_efficiency[rows],
            self.bler_perfect[rows],
            self.spectral_efficiency_perfect[rows],
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a batch.

    Attributes:
        nmse: [batch] float64, linear.
        sgcs: [batch] float64.
        rho: [batch] float64; None outside the angular-delay domain, or for more delay taps than its FFT has.
        bit_errors: [batch] int64, wrong information bits; they mean nothing in a report that was erased.
        downlink: None unless asked for.
    """

    nmse: NDArray[np.float64]
    sgcs: NDArray[np.float64]
    rho: NDArray[np.float64] | None
    bit_errors: NDArray[np.int64]
    downlink: DownlinkScores | None

    def part(self, start: int, end: int) -> "Scores":
        """Return the scores of reports ``start ... end - 1``."""
        rows = slice(start, end)
        return Scores(
            self.nmse[rows],
            self.sgcs[rows],
            None if self.rho is None else self.rho[rows],
            self.bit_errors[rows],
            None if self.downlink is None else self.downlink.part(rows),
        )


def evaluate(
    h_hat: Tensor,
    decided: Payload,
    h: Tensor,
    sent: Payload,
    domain: Domain,
    downlink_snr_db: Sequence[float] = (),
) -> Scores:
    """Score a batch.

    Args:
        h_hat: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64, the reconstructions.
        decided: The information bits after channel decoding.
        h: Same shape as ``h_hat``, the true channels.
        sent: The information bits as sent.
        domain: Domain of ``h`` and ``h_hat``.
        downlink_snr_db: SNRs at which the downlink is scored.
    """
    h = h.to(h_hat.device)
    in_frequency = _to_frequency(h, domain)
    # Once for SGCS and downlink: with several receive antennas, each is a decomposition a subcarrier.
    v_hat, v = (layer_directions(x, 1, x.shape[-1]) for x in (_to_frequency(h_hat, domain), in_frequency))
    return Scores(
        nmse(h_hat, h).cpu().numpy(),
        direction_similarity(v_hat, v).mean(dim=(1, 2)).cpu().numpy(),
        rho(h_hat, h).cpu().numpy() if domain == "angular-delay" and h.shape[-1] <= NUM_FFT else None,
        bit_errors(decided, sent),
        _on_host(beam_downlink(v_hat, v, in_frequency, downlink_snr_db)) if downlink_snr_db else None,
    )


def _on_host(scores: Downlink) -> DownlinkScores:
    return DownlinkScores(
        scores.bler.cpu().numpy(),
        scores.spectral_efficiency.cpu().numpy(),
        scores.bler_perfect.cpu().numpy(),
        scores.spectral_efficiency_perfect.cpu().numpy(),
    )


def _to_frequency(x: Tensor, domain: Domain) -> Tensor:
    """Transform in double precision: the sums of a large channel overflow in single."""
    return from_angular_delay(x.to(torch.complex128)) if domain == "angular-delay" else x
