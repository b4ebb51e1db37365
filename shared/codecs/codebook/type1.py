r"""Type I, single panel: one beam for each layer, the same on both polarisations but for a phase.

    h_est -> directions -> power of every (i_1,1, i_1,3, i_2) -> the best -> i_1,1 | i_1,3 | i_2 of each subband
    h_hat <- conj of the layers' precoders <- W = [v_l, v_l'; phi_n v_l, -phi_n v_l'] / sqrt(2 rank) <- the same bits

    configuration       i_1,1                  i_1,3 (rank 2)   i_2
    wideband            ceil(log2(N1 O1))      2 (N1 = 2: 1)    rank 1: 2, rank 2: 1
    subband, mode 1     the same               the same         the same, each subband
    subband, mode 2     ceil(log2(N1 O1 / 2))  the same         rank 1: 4, rank 2: 3, each subband

In mode 2 a subband chooses among four neighbouring beams too. A UE's search is its own business; ours is exhaustive.
Rank indicator and CQI are not sent.

Source: 3GPP TS 38.214, 5.2.2.2.1 (tables 5.2.2.2.1-5 and -6); TS 38.212, 6.3.2.1.2 (widths).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.codecs.base import DecodeContext, EncodeContext, require_length
from shared.codecs.codebook.beams import OVERSAMPLING, dft_beams
from shared.codecs.codebook.combinations import width_of
from shared.codecs.codebook.layers import broadside, channels_of, directions_of
from shared.codecs.codebook.model import format_within, require_rates, settings_of
from shared.coding.bits import bits_to_fields, fields_to_bits
from shared.model_files import ModelFile
from shared.network_settings import CodebookSettings
from shared.types import Payload, Reconstruction

NUM_MODE_2_BEAMS, MODE_2_STEP = (
    4,
    2,
)  # a subband's choice of beams, and how far the first of i_1,1 + 1 lies from i_1,1's


@dataclass(frozen=True, slots=True)
class Type1Format:
    """A configuration of the codebook.

    Attributes:
        num_ant: N1, antennas of one polarisation.
        rank: Layers.
        mode: codebookMode.
        num_choices: How many i_2 a report has: that of each subband, or one.
    """

    num_ant: int
    rank: int
    mode: Literal[1, 2]
    num_choices: int

    @property
    def num_first(self) -> int:
        """Values of i_1,1."""
        return self.num_ant * OVERSAMPLING // (1 if self.mode == 1 else MODE_2_STEP)

    @property
    def num_offsets(self) -> int:
        """Values of i_1,3: by how many orthogonal beams the second layer's lies from the first one's."""
        return 1 if self.rank == 1 else min(4, self.num_ant)

    @property
    def num_phases(self) -> int:
        """Values of phi: 1, j, and of one layer -1, -j."""
        return 4 if self.rank == 1 else 2

    @property
    def num_beams(self) -> int:
        """Beams that i_2 chooses among."""
        return 1 if self.mode == 1 else NUM_MODE_2_BEAMS

    @property
    def widths(self) -> NDArray[np.int64]:
        """[2 + num_choices] bits of i_1,1, i_1,3 and each i_2."""
        choice = width_of(self.num_beams * self.num_phases)
        return np.array([width_of(self.num_first), width_of(self.num_offsets)] + [choice] * self.num_choices)

    @property
    def max_bits(self) -> int:
        """Bits of a report, of every one."""
        return int(self.widths.sum())


def type1_formats(num_tx_ant: int, settings: CodebookSettings) -> list[Type1Format]:
    """Return the configurations by their bits, increasing.

    Example:
        >>> [one.max_bits for one in type1_formats(32, CodebookSettings(num_subbands=16))]
        [8, 38, 69]
    """
    rank, num_ant, n3 = settings.rank, num_tx_ant // 2, settings.num_subbands
    wideband, mode_1, mode_2 = (Type1Format(num_ant, rank, *how) for how in ((1, 1), (1, n3), (2, n3)))
    return [wideband, mode_2] if n3 == 1 else [wideband, mode_1, mode_2]


def type1_precoders(fields: Tensor, form: Type1Format, num_subbands: int) -> Tensor:
    """Return the precoders that indices mean.

    Args:
        fields: [batch, 2 + num_choices] int64: i_1,1, i_1,3 and each i_2, within their values.
        form: The configuration.
        num_subbands: Subbands.

    Returns:
        [batch, num_subbands, rank, 2 num_ant] complex128, unit norm, orthogonal to each other.
    """
    beams = dft_beams(form.num_ant, fields.device)
    choice = fields[:, 2:].expand(-1, num_subbands)
    first = fields[:, :1] * (1 if form.mode == 1 else MODE_2_STEP) + choice // form.num_phases
    phase = torch.exp(0.5j * torch.pi * (choice % form.num_phases).to(torch.float64))[..., None]
    layers = []
    for layer in range(form.rank):
        beam = beams[(first + layer * OVERSAMPLING * fields[:, 1:2]) % len(beams)]
        layers.append(torch.cat([beam, (-1) ** layer * phase * beam], dim=-1) / 2**0.5)
    return torch.stack(layers, dim=2)


def type1_search(directions: Tensor, form: Type1Format) -> Tensor:
    """Return the indices whose precoders capture most of the directions, over layers and subbands: all are tried.

    Args:
        directions: [batch, num_subbands, rank, 2 num_ant] complex128.
        form: The configuration.

    Returns:
        [batch, 2 + num_choices] int64: i_1,1, i_1,3 and each i_2.
    """
    beams = dft_beams(form.num_ant, directions.device)
    turns = torch.exp(0.5j * torch.pi * torch.arange(form.num_phases, device=directions.device, dtype=torch.float64))
    one, other = (half @ beams.mH for half in directions.chunk(2, dim=-1))  # [batch, subband, layer, beam]
    power = (one.abs().square() + other.abs().square())[..., None]
    cross = 2 * (other * one.conj())[..., None] * turns.conj()
    captured = (power + cross.real)[:, :, 0, :, None, :]  # of layer 1: [batch, subband, beam, i_1,3, phase]
    if form.rank == 2:
        second = (power - cross.real)[:, :, 1]
        shifted = [second.roll(-OVERSAMPLING * offset, dims=2) for offset in range(form.num_offsets)]
        captured = captured + torch.stack(shifted, dim=3)
    first = torch.arange(form.num_first, device=beams.device) * (1 if form.mode == 1 else MODE_2_STEP)
    chosen = (first[:, None] + torch.arange(form.num_beams, device=beams.device)) % len(beams)
    captured = captured[:, :, chosen].transpose(3, 4).flatten(4)  # [batch, subband, i_1,1, i_1,3, i_2]
    if form.num_choices == 1:
        captured = captured.sum(dim=1, keepdim=True)
    best, choice = captured.max(dim=-1)
    pair = best.sum(dim=1).flatten(1).argmax(dim=1)
    of_pair = choice.flatten(2).gather(2, pair[:, None, None].expand(-1, choice.shape[1], 1)).squeeze(2)
    return torch.cat([(pair // form.num_offsets)[:, None], (pair % form.num_offsets)[:, None], of_pair], dim=1)


class _Side:
    """What both sides make of the model file."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card
        self._device = device
        self._settings = settings_of(model, "type1")
        self._formats = type1_formats(self.card.num_tx_ant, self._settings)
        require_rates(model, self._formats)


class Type1Encoder(_Side):
    """The UE side of `type1`.

    Example:
        >>> from shared.model_files import load_model
        >>> encoder = Type1Encoder(load_model("type1"), torch.device("cpu"))
        >>> encoder.card.min_rate, encoder.card.max_rate
        (8, 69)
    """

    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """See `shared.codecs.base.Encoder.encode`."""
        self.card.shape.require(h_est, "h_est")
        self.card.require_rate(context.rate)
        form = format_within(self._formats, context.rate)
        directions = directions_of(h_est.to(self._device), self.card.shape, self._settings)
        fields = type1_search(directions, form).cpu().numpy()
        return Payload.of_equal_length(fields_to_bits(fields, form.widths))


class Type1Decoder(_Side):
    """The base-station side of `type1`."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device)
        self.mean_csi = broadside(self.card.shape, device)

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.Decoder.decode`; indices that the codebook does not have are not valid."""
        self.card.require_rate(context.rate)
        require_length(payload, *self.card.num_bits_range(context.rate))
        form = format_within(self._formats, context.rate)
        valid = payload.length == form.max_bits
        fields = np.zeros((len(valid), len(form.widths)), dtype=np.int64)
        if valid.any():
            fields[valid] = bits_to_fields(payload.bits[valid, : form.max_bits], form.widths)
        valid &= fields[:, 0] < form.num_first
        fields[~valid] = 0
        precoders = type1_precoders(torch.from_numpy(fields).to(self._device), form, self._settings.num_subbands)
        return Reconstruction(channels_of(precoders, self.card.shape), valid)
