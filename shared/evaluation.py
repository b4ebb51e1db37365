"""Score reconstructions against the truth: NMSE in the data set's domain, SGCS, rho, wrong bits, and what is asked for.

The base station and an offline run share this file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.directions import layer_directions, precoder_directions
from shared.metrics import bit_errors, nmse, nmse_full_from_loss, rho, sgcs_per_layer_and_subband, zero_forcing_downlink
from shared.metrics.downlink import Downlink, beam_downlink
from shared.metrics.rho import NUM_FFT
from shared.metrics.sgcs import direction_similarity
from shared.scoring import DEFAULT_SCORING, Scoring
from shared.transforms import from_angular_delay
from shared.types import Domain, Payload

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a batch.

    Attributes:
        nmse: [batch] float64, linear; NaN of a precoder, which has none.
        sgcs: [batch] float64.
        rho: [batch] float64; None of a precoder, outside the angular-delay domain, or for more delay taps than its FFT
            has.
        bit_errors: [batch] int64, wrong information bits; they mean nothing in a report that was erased.
        nmse_full: [batch] float64, NMSE against the uncropped channel, linear; NaN where the crop loss is not known,
            and of a precoder.
        downlink: On the host; None unless asked for.
        sgcs_subbands: [batch, num_layers, num_subbands] float64, num_layers = min(num_rx_ant, num_tx_ant); None unless
            asked for.
    """

    nmse: Column
    sgcs: Column
    rho: Column | None
    bit_errors: NDArray[np.int64]
    nmse_full: Column
    downlink: Downlink | None
    sgcs_subbands: Column | None

    def part(self, start: int, end: int) -> "Scores":
        """Return the scores of reports ``start ... end - 1``."""
        rows = slice(start, end)
        return Scores(
            self.nmse[rows],
            self.sgcs[rows],
            None if self.rho is None else self.rho[rows],
            self.bit_errors[rows],
            self.nmse_full[rows],
            None if self.downlink is None else self.downlink.map(lambda column: column[rows]),
            None if self.sgcs_subbands is None else self.sgcs_subbands[rows],
        )


def join_scores(parts: Sequence[Scores]) -> Scores:
    """Put the scores of at least one batch together, in order; all were scored alike."""
    return Scores(
        np.concatenate([part.nmse for part in parts]),
        np.concatenate([part.sgcs for part in parts]),
        _join_known([part.rho for part in parts]),
        np.concatenate([part.bit_errors for part in parts]),
        np.concatenate([part.nmse_full for part in parts]),
        _join_downlinks([part.downlink for part in parts if part.downlink is not None]),
        _join_known([part.sgcs_subbands for part in parts]),
    )


def _join_known(parts: Sequence[Column | None]) -> Column | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def _join_downlinks(parts: Sequence[Downlink]) -> Downlink | None:
    if not parts:
        return None
    coded = [part.bler_coded for part in parts if part.bler_coded is not None]
    coded_perfect = [part.bler_coded_perfect for part in parts if part.bler_coded_perfect is not None]
    return Downlink(
        torch.cat([part.bler for part in parts]),
        torch.cat([part.spectral_efficiency for part in parts]),
        torch.cat([part.bler_perfect for part in parts]),
        torch.cat([part.spectral_efficiency_perfect for part in parts]),
        torch.cat(coded) if coded else None,
        torch.cat(coded_perfect) if coded_perfect else None,
    )


def evaluate(
    h_hat: Tensor,
    decided: Payload,
    h: Tensor,
    sent: Payload,
    domain: Domain,
    scoring: Scoring = DEFAULT_SCORING,
    crop_loss: Column | None = None,
    output: Literal["channel", "precoder"] = "channel",
) -> Scores:
    """Score a batch.

    Args:
        h_hat: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64, the reconstructions.
        decided: The information bits after channel decoding.
        h: Same shape as ``h_hat``, the true channels.
        sent: The information bits as sent.
        domain: Domain of ``h`` and ``h_hat``.
        scoring: What is scored besides. The batch holds whole groups of ``downlink_num_ue`` reports.
        crop_loss: [batch] float64, share of each whole channel's energy that the crop left out, NaN where it is not
            known; None: of no report.
        output: What ``h_hat`` is, by the codec's card. A precoder's scale and phase mean nothing, so it has no NMSE and
            no rho; its directions are what SGCS and downlink take.
    """
    # In double precision, once for all that follows: the sums of a large channel overflow in single.
    h_hat, h = h_hat.to(torch.complex128), h.to(h_hat.device, torch.complex128)
    f_hat, f = _to_frequency(h_hat, domain), _to_frequency(h, domain)
    # Once for SGCS and downlink: with several receive antennas, each is a decomposition a subcarrier.
    of_channel, v = output == "channel", layer_directions(f, 1, f.shape[-1])
    v_hat = layer_directions(f_hat, 1, f.shape[-1]) if of_channel else precoder_directions(f_hat)
    of_report = nmse(h_hat, h).cpu() if of_channel else torch.full((len(h),), torch.nan, dtype=torch.float64)
    return Scores(
        of_report.numpy(),
        direction_similarity(v_hat, v).mean(dim=(1, 2)).cpu().numpy(),
        rho(h_hat, h).cpu().numpy() if of_channel and domain == "angular-delay" and h.shape[-1] <= NUM_FFT else None,
        bit_errors(decided, sent),
        np.full(len(h), np.nan)
        if crop_loss is None
        else nmse_full_from_loss(of_report, torch.from_numpy(crop_loss)).numpy(),
        _downlink(f_hat, f, v_hat, v, scoring),
        _subbands(f_hat, f, scoring, output),
    )


def _downlink(f_hat: Tensor, f: Tensor, v_hat: Tensor, v: Tensor, scoring: Scoring) -> Downlink | None:
    snr_db, num_ue, mcs = scoring.downlink_snr_db, scoring.downlink_num_ue, scoring.downlink_mcs
    if not snr_db:
        return None
    if num_ue == 1:
        return beam_downlink(v_hat, v, f, snr_db, mcs).map(Tensor.cpu)
    return zero_forcing_downlink(f_hat, f, snr_db, num_ue, mcs).map(Tensor.cpu)


def _subbands(f_hat: Tensor, f: Tensor, scoring: Scoring, output: Literal["channel", "precoder"]) -> Column | None:
    if not scoring.num_subbands:
        return None
    num_layers = min(f.shape[1], f.shape[2])
    if output == "channel":
        similarity = sgcs_per_layer_and_subband(f_hat, f, num_layers, scoring.num_subbands)
    else:  # each row is a layer's, as it was reported: a decomposition would make them orthogonal
        rows = [f_hat[:, layer : layer + 1] for layer in range(num_layers)]
        reported = [layer_directions(row, 1, scoring.num_subbands) for row in rows]
        similarity = direction_similarity(
            torch.cat(reported, dim=2), layer_directions(f, num_layers, scoring.num_subbands)
        )
    column: Column = similarity.cpu().numpy()
    return column


def _to_frequency(x: Tensor, domain: Domain) -> Tensor:
    return from_angular_delay(x) if domain == "angular-delay" else x
