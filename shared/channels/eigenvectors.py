"""Channels -> what a codebook such as enhanced Type II reports of them: eigenvectors, subband by subband.

    h [rx, antenna, subcarrier] --subbands--> R_s = sum of H_f^H H_f --> v_s,1, v_s,2   (`shared.directions`)
    row l of what comes out <-- LAYER_SCALE^(l-1) conj(v_s,l), for all subcarriers of subband s; unit mean power

It is CSI like any other, in the domain of the channels, so any codec can be trained on it: implicit feedback.

**Phase.** An eigenvector has none of its own. It gets the channel's: what arrives of layer l at the UE antenna that
hears it best over all subbands is real and positive on each subband's mean, `shared.directions.phased_directions`.
With one UE antenna and one subcarrier a subband, what comes out is the channel with each subcarrier at equal power.
That rule holds most energy in few entries of the angular-delay domain of those tried (docs/data.md has the table). It
depends on nothing but the report.

**Layers.** Eigenvectors are orthogonal, but rows of equal power would leave their order open. Each has half the power
of the one before, whatever the eigenvalues are: the directions come back in order, and a codec that is trained on the
error of the whole does not learn the first alone (docs/data.md has what other shares do).

**No crop loss** is carried on: what a crop left out of a channel is no share of the energy of its eigenvectors.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from pydantic import ValidationError
from torch import Tensor

from shared.channels.card import DatasetCard
from shared.channels.stream import ChannelStream, Chunk, Configuration
from shared.directions import phased_directions
from shared.errors import DataFileError, InvalidArgumentError
from shared.network_settings import EigenvectorSettings
from shared.transforms import from_angular_delay, normalize_power, to_angular_delay
from shared.types import CsiShape, Domain

LAYER_SCALE = 0.5**0.5  # of the amplitudes of layer l + 1 and layer l
_RULES: Configuration = {  # of cards
    "eigenvectors_layer_scale": LAYER_SCALE,
    "eigenvectors_phase": "of the channel's mean over the subband, at the UE antenna that hears the layer best",
}


def require_eigenvectors(shape: CsiShape, rank: int, num_subbands: int) -> None:
    """Raise unless channels have so many layers and such subbands.

    Raises:
        InvalidArgumentError: Naming what does not fit.
    """
    most_layers = min(shape.num_rx_ant, shape.num_tx_ant)
    if not 1 <= rank <= most_layers:
        antennas = f"channels of {shape.num_rx_ant} UE and {shape.num_tx_ant} BS antennas"
        raise InvalidArgumentError(f"`rank` must be in [1, {most_layers}], for {antennas}; got {rank}.")
    if num_subbands < 1 or shape.num_subcarriers % num_subbands:
        raise InvalidArgumentError(
            f"`num_subbands` must divide {shape.num_subcarriers} subcarriers; got {num_subbands}."
        )


def eigenvector_csi(h: Tensor, domain: Domain, rank: int, num_subbands: int) -> Tensor:
    """Return the eigenvectors of channels, laid out as channels.

    Args:
        h: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex, of any scale, in ``domain``.
        domain: Of ``h`` and of what comes out.
        rank: Layers, strongest first; at most ``min(num_rx_ant, num_tx_ant)``.
        num_subbands: Subbands of equal width; a divisor of ``num_subcarriers``.

    Returns:
        [batch, rank, num_tx_ant, num_subcarriers] complex64, unit mean power per report: row l is the conjugate of
        layer l's eigenvector, constant over a subband; zero where the channel does not have the layer.

    Raises:
        InvalidArgumentError: If there cannot be so many layers or such subbands.
        ValueError: If a report has no power.

    Example:
        >>> h = torch.zeros(1, 1, 2, 2, dtype=torch.complex64)
        >>> h[0, 0, 1] = torch.tensor([2j, 2j])
        >>> eigenvector_csi(h, "spatial-frequency", rank=1, num_subbands=1).abs()[0, 0, 1].tolist()
        [1.4142135381698608, 1.4142135381698608]
    """
    num_subcarriers = h.shape[-1]
    require_eigenvectors(CsiShape(domain, *h.shape[1:]), rank, num_subbands)
    h = h.to(torch.complex128)
    v = phased_directions(from_angular_delay(h) if domain == "angular-delay" else h, rank, num_subbands)
    scale = LAYER_SCALE ** torch.arange(rank, dtype=torch.float64, device=v.device)
    rows = (v.conj() * scale[:, None]).permute(0, 2, 3, 1)
    rows = normalize_power(rows.repeat_interleave(num_subcarriers // num_subbands, dim=-1))
    return (to_angular_delay(rows) if domain == "angular-delay" else rows).to(torch.complex64)


def configuration_of(settings: EigenvectorSettings) -> Configuration:
    """Return what the card of a data set of eigenvectors says of them."""
    return _RULES | {"eigenvectors_rank": settings.rank, "eigenvectors_num_subbands": settings.num_subbands}


def eigenvectors_of_card(card: DatasetCard) -> EigenvectorSettings | None:
    """Return which eigenvectors a data set holds; None of channels.

    Raises:
        DataFileError: If it says what this version, or a file of its shape, does not have.
    """
    made = {key: value for key, value in card.configuration.items() if key.startswith("eigenvectors_")}
    if not made:
        return None
    found = {name: made.get(f"eigenvectors_{name}") for name in ("rank", "num_subbands")}
    try:
        settings = EigenvectorSettings.model_validate(found)
        require_eigenvectors(card.shape, settings.rank, settings.num_subbands)
    except (ValidationError, InvalidArgumentError) as error:
        raise DataFileError(f"the card of {card.name} must say which eigenvectors it holds: {error}") from error
    if made != configuration_of(settings) or settings.rank != card.num_rx_ant:
        raise DataFileError(f"the eigenvectors of {card.name} are not made as this version's are; make them again.")
    return settings


def eigenvectors(stream: ChannelStream, rank: int, num_subbands: int) -> ChannelStream:
    """Return the eigenvectors of a stream's channels, as a stream.

    Raises:
        InvalidArgumentError: As `eigenvector_csi` does, before anything is read.
    """
    shape = stream.shape
    require_eigenvectors(shape, rank, num_subbands)
    made = configuration_of(EigenvectorSettings(rank=rank, num_subbands=num_subbands))

    def read() -> Iterator[Chunk]:
        for h, _ in stream.usable():
            yield eigenvector_csi(h, shape.domain, rank, num_subbands), None

    return replace(
        stream,
        layout=f"{stream.layout}; rank-{rank} eigenvectors of {num_subbands} subbands",
        shape=replace(shape, num_rx_ant=rank),
        read=read,
        configuration=stream.configuration | made,
        loss="none",
    )
