r"""How a UE finds its report of enhanced Type II; the standard leaves it to the UE, all of this is ours.

    directions v --project--> group and L beams of most power, over polarisations, layers, subbands
       '- coefficients c [2L, N3] --phase of each subband--> DFT --> M taps --> K0 strongest --> quantise

The phase of a subband's precoder means nothing, so it is free, and some phases need fewer taps than others. Two starts,
the channel's own phase and that in which the strongest beam is real and positive; from each `NUM_ROUNDS` times:
compress to taps and coefficients, then turn each subband to what came of it. Of the two, the one that is nearer at the
end.

The strongest coefficient becomes 1, its tap, 0: a shift of the taps is a phase of the subbands. The amplitude of the
weaker polarisation is that of 15 which leaves the least error; a coefficient nearer to 0 than to the least amplitude is
not sent.
"""

import torch
from torch import Tensor

from shared.codecs.codebook.beams import OVERSAMPLING, dft_beams
from shared.codecs.codebook.etype2_format import (
    AMPLITUDE_WIDTH,
    PHASE_WIDTH,
    REFERENCE_WIDTH,
    Etype2Format,
    Etype2Report,
)
from shared.directions import unit_phase

NUM_ROUNDS = 5
TINY = torch.finfo(torch.float64).tiny


def etype2_search(directions: Tensor, form: Etype2Format) -> Etype2Report:
    """Return the reports of a batch.

    Args:
        directions: [batch, num_subbands, rank, 2 num_ant] complex128 of `shared.codecs.codebook.layers.directions_of`.
        form: The configuration.
    """
    group, beams, c = _choose_beams(directions, form)
    starts = [c, c * unit_phase(_of_strongest_beam(c)).conj()]
    ends = [_align(start, form) for start in starts]
    nearness = torch.stack([_nearness(end, form) for end in ends])
    nearest = torch.where((nearness[0] >= nearness[1])[:, None, None, None], ends[0], ends[1])
    coefficients, taps, window = _compress(nearest, form)
    nonzero, strongest, reference, amplitude, phase = _quantize(coefficients)
    parts = (group, beams, window, taps, nonzero, strongest, reference, amplitude, phase)
    return Etype2Report(*(part.cpu().numpy() for part in parts))


def _choose_beams(directions: Tensor, form: Etype2Format) -> tuple[Tensor, Tensor, Tensor]:
    """Return group [batch], beams [batch, L], increasing, and coefficients [batch, rank, 2L, num_subbands]."""
    batch, num_subbands, rank, _ = directions.shape
    halves = directions.reshape(batch, num_subbands, rank, 2, form.num_ant)
    projected = halves @ dft_beams(form.num_ant, directions.device).mH
    projected = projected.reshape(*halves.shape, OVERSAMPLING)  # beam m = O1 n + q
    power = projected.abs().square().sum(dim=(1, 2, 3)).transpose(1, 2)  # [batch, q, n]
    ordered, index = power.sort(dim=-1, descending=True, stable=True)
    group = ordered[..., : form.num_beams].sum(dim=-1).argmax(dim=1)
    rows = torch.arange(batch, device=group.device)
    beams = index[rows, group, : form.num_beams].sort(dim=-1).values
    of_group = projected[rows, ..., group]  # [batch, subband, layer, polarisation, n]
    where = beams[:, None, None, None].expand(-1, num_subbands, rank, 2, -1)
    return group, beams, of_group.gather(-1, where).flatten(3).permute(0, 2, 3, 1)


def _of_strongest_beam(c: Tensor) -> Tensor:
    """Return [batch, rank, 1, num_subbands], the row of ``c`` of most power."""
    strongest = c.abs().square().sum(dim=-1).argmax(dim=-1)[..., None, None]
    return c.gather(2, strongest.expand(-1, -1, 1, c.shape[-1]))


def _align(c: Tensor, form: Etype2Format) -> Tensor:
    """Turn each subband of ``c: [batch, rank, 2L, num_subbands]`` so that few taps make it."""
    for _ in range(NUM_ROUNDS):
        made = _expand(*_compress(c, form)[:2], form.num_subbands)
        c = c * unit_phase((c.conj() * made).sum(dim=2, keepdim=True))
    return c


def _nearness(c: Tensor, form: Etype2Format) -> Tensor:
    """Return [batch], how similar what taps make is to ``c``: squared cosines, over layers and subbands."""
    made = _expand(*_compress(c, form)[:2], form.num_subbands)
    inner = (made.conj() * c).sum(dim=2).abs().square()
    return (inner / made.abs().square().sum(dim=2).clamp(min=TINY)).sum(dim=(1, 2))


def _expand(coefficients: Tensor, taps: Tensor, num_subbands: int) -> Tensor:
    """Return [batch, rank, 2L, num_subbands] of coefficients [batch, rank, M, 2L] at taps [batch, rank, M]."""
    of_taps = torch.zeros(
        *taps.shape[:2], num_subbands, coefficients.shape[-1], dtype=coefficients.dtype, device=taps.device
    )
    of_taps.scatter_(2, taps[..., None].expand_as(coefficients), coefficients)
    made: Tensor = torch.fft.ifft(of_taps, dim=2, norm="forward").transpose(2, 3)
    return made


def _compress(c: Tensor, form: Etype2Format) -> tuple[Tensor, Tensor, Tensor]:
    """Return the K0 strongest coefficients [batch, rank, M, 2L], 0 elsewhere, taps [batch, rank, M], window [batch]."""
    of_taps = torch.fft.fft(c, dim=-1, norm="forward").transpose(2, 3)  # [batch, rank, tap, 2L]
    first = of_taps.abs().amax(dim=-1).argmax(dim=-1, keepdim=True)
    shifted = (first + torch.arange(form.num_subbands, device=c.device)) % form.num_subbands
    of_taps = of_taps.gather(2, shifted[..., None].expand_as(of_taps))
    taps, window = _choose_taps(of_taps.abs().square().sum(dim=-1), form)
    chosen = of_taps.gather(2, taps[..., None].expand(-1, -1, -1, of_taps.shape[-1]))
    order = chosen.flatten(2).abs().sort(dim=-1, descending=True, stable=True).indices
    kept = torch.zeros(order.shape, dtype=torch.bool, device=c.device).scatter_(
        2, order[..., : form.most_nonzero], value=True
    )
    return chosen * kept.view_as(chosen), taps, window


def _choose_taps(power: Tensor, form: Etype2Format) -> tuple[Tensor, Tensor]:
    """Return the taps of most power [batch, rank, M], tap 0 and others increasing, and their window [batch].

    Args:
        power: [batch, rank, num_subbands], the strongest coefficient's tap first.
        form: The configuration; with a window, all layers share it.
    """
    size = 2 * form.num_taps
    if form.windowed:
        begins = torch.arange(size) - torch.where(torch.arange(size) > 0, size, 0)
        inside = (begins[:, None] + torch.arange(size)) % form.num_subbands
        others = inside[inside != 0].view(size, -1).to(power.device)
    else:
        others = torch.arange(1, form.num_subbands, device=power.device)[None]
    ordered, index = power[..., others].sort(dim=-1, descending=True, stable=True)  # [batch, rank, window, tap]
    window = ordered[..., : form.num_taps - 1].sum(dim=(1, 3)).argmax(dim=-1)
    best = index.gather(2, window[:, None, None, None].expand(-1, index.shape[1], 1, index.shape[3])).squeeze(2)
    taps = others[window][:, None].expand(-1, index.shape[1], -1).gather(2, best[..., : form.num_taps - 1])
    zero = torch.zeros(*power.shape[:2], 1, dtype=torch.int64, device=power.device)
    return torch.cat([zero, taps.sort(dim=-1).values], dim=-1), window


def _quantize(coefficients: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return nonzero, strongest, reference, amplitude and phase of `Etype2Report`.

    Args:
        coefficients: [batch, rank, M, 2L] complex128, of any scale, the strongest in tap 0.
    """
    strongest = coefficients[:, :, 0].abs().argmax(dim=-1)
    of_strongest = coefficients[:, :, 0].gather(-1, strongest[..., None])[..., None]
    relative = coefficients * of_strongest.conj() / of_strongest.abs().square().clamp(min=TINY)
    magnitude = relative.abs().reshape(*relative.shape[:3], 2, -1)  # [batch, rank, M, polarisation, L]
    weaker = (strongest < magnitude.shape[-1])[..., None, None].to(torch.int64)
    of_weaker = magnitude.gather(3, weaker[..., None].expand(*magnitude.shape[:3], 1, magnitude.shape[-1]))
    references = torch.arange(1, 2**REFERENCE_WIDTH, device=weaker.device)
    errors = [_levels_of(of_weaker / reference_amplitude(k))[1] * reference_amplitude(k) ** 2 for k in references]
    reference = 1 + torch.stack([error.sum(dim=(2, 3, 4)) for error in errors], dim=-1).argmin(dim=-1)
    scale = torch.ones_like(magnitude[:, :, :1, :, :1])
    of_reference = reference_amplitude(reference)[..., None, None, None]
    scale = torch.where(torch.arange(2, device=weaker.device)[:, None] == weaker[..., None], of_reference, scale)
    level = _levels_of(magnitude / scale)[0].flatten(3)
    is_strongest = torch.zeros_like(level, dtype=torch.bool)
    is_strongest[:, :, 0].scatter_(-1, strongest[..., None], value=True)
    nonzero = (level >= 0) | is_strongest
    amplitude = torch.where(is_strongest, 2**AMPLITUDE_WIDTH - 1, level.clamp(min=0))
    phase = torch.round(relative.angle() / (2 * torch.pi) * 2**PHASE_WIDTH).to(torch.int64) % 2**PHASE_WIDTH
    return nonzero, strongest, reference, amplitude, torch.where(is_strongest, 0, phase)


def _levels_of(relative: Tensor) -> tuple[Tensor, Tensor]:
    """Return the index of the nearest differential amplitude, -1 for 0, and the squared error."""
    levels = differential_amplitude(torch.arange(2**AMPLITUDE_WIDTH, device=relative.device))
    levels = torch.cat([levels.new_zeros(1), levels])
    index = torch.bucketize(relative, (levels[1:] + levels[:-1]) / 2)
    return index - 1, (relative - levels[index]).square()


def reference_amplitude(k: Tensor) -> Tensor:
    """Return p of i_2,3: table 5.2.2.2.5-2, float64."""
    return torch.exp2((k.to(torch.float64) - 15) / 4)


def differential_amplitude(k: Tensor) -> Tensor:
    """Return p of i_2,4: table 5.2.2.2.5-3, float64."""
    return torch.exp2((k.to(torch.float64) - 7) / 2)
