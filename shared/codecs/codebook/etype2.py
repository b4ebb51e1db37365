r"""Enhanced Type II of Release 16: a few beams and a few taps, and the strongest coefficients of each beam at each tap.

    h_est -> directions -> beams, taps, coefficients (`etype2_search`) -> their indices (`etype2_format`) -> bits
    h_hat <- conj of the layers' precoders <-------- W <----------------- the same indices <-------------- bits

    W_s = [sum_i v_m(i) p1_0 sum_f y_s,f p2_i,f phi_i,f ; sum_i v_m(i) p1_1 sum_f y_s,f p2_i+L,f phi_i+L,f] / sqrt(N1 gamma_s)
    y_s,f = e^{j 2 pi s n3(f) / N3},  gamma_s such that W_s has unit norm

A rate is the most bits that a report may have: both sides take the parameter combination of the most bits within it. A
report then has as many as its number of nonzero coefficients needs, which it says itself.

Source: 3GPP TS 38.214, 5.2.2.2.5, for N2 = 1, one and two layers; R = 1 up to 19 subbands, 2 above.
"""  # noqa: E501  (a formula)

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.codecs.base import DecodeContext, EncodeContext, require_length
from shared.codecs.codebook.beams import OVERSAMPLING, dft_beams
from shared.codecs.codebook.etype2_format import (
    PHASE_WIDTH,
    Etype2Format,
    Etype2Report,
    etype2_formats,
    read_reports,
    write_reports,
)
from shared.codecs.codebook.etype2_search import differential_amplitude, etype2_search, reference_amplitude
from shared.codecs.codebook.layers import broadside, channels_of, directions_of
from shared.codecs.codebook.model import format_within, require_rates, settings_of
from shared.model_files import ModelFile
from shared.types import Payload, Reconstruction

CANCELLED = 1e-9  # norm of a precoder that is the rounding of zero; the least amplitude of a coefficient is 2^-7


def etype2_precoders(report: Etype2Report, form: Etype2Format, device: torch.device) -> Tensor:
    """Return the precoders that reports mean.

    Returns:
        [batch, num_subbands, rank, 2 num_ant] complex128, unit norm; zero in a subband in which the coefficients of
        each beam cancel.
    """

    def on_device(values: NDArray[np.int64] | NDArray[np.bool_]) -> Tensor:
        return torch.from_numpy(values).to(device)

    polarisation = torch.arange(2, device=device).repeat_interleave(form.num_beams)
    strongest = on_device(report.strongest // form.num_beams)
    reference = reference_amplitude(on_device(report.reference))
    of_polarisation = torch.where(polarisation == strongest[..., None], 1.0, reference[..., None])
    amplitude = differential_amplitude(on_device(report.amplitude)) * on_device(report.nonzero)
    turn = on_device(report.phase).to(torch.float64) / 2**PHASE_WIDTH
    coefficients = torch.polar(amplitude * of_polarisation[:, :, None], 2 * torch.pi * turn)
    turns = on_device(report.taps)[..., None] * torch.arange(form.num_subbands, device=device) % form.num_subbands
    angle = 2 * torch.pi * turns.to(torch.float64) / form.num_subbands
    y = torch.polar(torch.ones_like(angle), angle)  # [batch, rank, tap, subband]
    of_beams = torch.einsum("brmi,brms->bsri", coefficients, y)
    norm = of_beams.abs().square().sum(dim=-1, keepdim=True).sqrt()
    of_beams = torch.where(norm > CANCELLED, of_beams / norm.clamp(min=CANCELLED), 0.0)
    beams = dft_beams(form.num_ant, device)[OVERSAMPLING * on_device(report.beams) + on_device(report.group)[:, None]]
    of_beams = of_beams.reshape(*of_beams.shape[:3], 2, -1)
    return torch.einsum("bsrpi,bin->bsrpn", of_beams, beams).flatten(3)


class _Side:
    """What both sides make of the model file."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card
        self._device = device
        self._settings = settings_of(model, "etype2")
        self._formats = etype2_formats(self.card.num_tx_ant, self._settings)
        require_rates(model, self._formats)


class Etype2Encoder(_Side):
    """The UE side of `etype2`.

    Example:
        >>> from shared.model_files import load_model
        >>> encoder = Etype2Encoder(load_model("etype2"), torch.device("cpu"))
        >>> encoder.card.min_rate, encoder.card.max_rate
        (63, 333)
    """

    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """See `shared.codecs.base.Encoder.encode`."""
        self.card.shape.require(h_est, "h_est")
        self.card.require_rate(context.rate)
        form = format_within(self._formats, context.rate)
        directions = directions_of(h_est.to(self._device), self.card.shape, self._settings)
        return write_reports(etype2_search(directions, form), form)


class Etype2Decoder(_Side):
    """The base-station side of `etype2`."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device)
        self.mean_csi = broadside(self.card.shape, device)

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.Decoder.decode`; bits that are those of no report are not valid."""
        self.card.require_rate(context.rate)
        require_length(payload, *self.card.num_bits_range(context.rate))
        form = format_within(self._formats, context.rate)
        report, valid = read_reports(payload, form)
        return Reconstruction(channels_of(etype2_precoders(report, form, self._device), self.card.shape), valid)
