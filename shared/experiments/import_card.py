"""The card of imported channels, with what the cards of their sources say.

source's card -> described stream ---> channels
      '------------------------------> card: source, licence, settings, what its crop left out
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from shared.channels import DatasetCard
from shared.channels.layouts import ARRAY_OF
from shared.channels.stream import ChannelStream, Chunk, Configuration

IMPORTED = ", imported: "  # between what the channels are and how many of them


def described(stream: ChannelStream, card: DatasetCard | None) -> ChannelStream:
    """Return a stream that knows what the card of its file says of its channels; a file without a card as it is."""
    if card is None:
        return stream
    title = card.title.partition(IMPORTED)[0]
    told = replace(stream, layout=title, configuration=stream.configuration | card.configuration)
    mean = card.crop_loss
    if stream.loss == "each" or mean is None:
        return told

    def read() -> Iterator[Chunk]:
        for h, _ in stream.read():
            yield h, torch.full((len(h),), mean, dtype=torch.float64)

    return replace(told, read=read, loss="mean")


def import_card(
    stream: ChannelStream,
    path: Path,
    name: str,
    digest: str,
    crop_loss: float | None,
    digests: Configuration,
    sources: Sequence[tuple[str, DatasetCard | None]],
    recipe: str,
    command: str = "csi-lab data import",
) -> DatasetCard:
    """Return the card of imported channels.

    Args:
        stream: The channels.
        path: The file that holds them.
        name: Name of the data set.
        digest: SHA-256 of the file.
        crop_loss: Mean share of energy that the crop left out, or None.
        digests: Digests of the source files.
        sources: Name and card of each source file.
        recipe: Command that makes the file again.
        command: That command without its arguments.
    """
    shape = stream.shape
    losses = "; crop_loss [N] float32" if stream.loss == "each" else ""
    axes = "angle, delay" if shape.domain == "angular-delay" else "antenna, subcarrier"
    environments: Configuration = {}
    if stream.environments is not None:
        environments["num_environments"] = len(np.unique(stream.environments))
    cards = [card for _, card in sources]
    generators = [card.generator for card in cards if card]
    licences = [card.licence if card else "that of the source files" for card in cards]
    return DatasetCard(
        name=name,
        title=f"{stream.layout}{IMPORTED}{stream.num_channels} channels, {shape}",
        file=path.name,
        sha256=digest,
        num_channels=stream.num_channels,
        domain=shape.domain,
        num_rx_ant=shape.num_rx_ant,
        num_tx_ant=shape.num_tx_ant,
        num_subcarriers=shape.num_subcarriers,
        storage=f"{ARRAY_OF[shape.domain]} [N, rx, {axes}, (re, im)] float16, unit mean power per channel{losses}",
        time_correlation=all(card and card.time_correlation for card in cards),
        crop_loss=crop_loss,
        generator=_joined([*generators, f"csilink {version('csilink')}, {command}"]),
        source=_joined([card.source if card else source for source, card in sources]),
        configuration=stream.configuration | environments | digests,
        recipe=recipe,
        licence=_joined(licences),
    )


def _joined(texts: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(texts))
