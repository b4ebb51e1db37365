"""Channels of a file as they stream: nothing is read before `chunks` is called, and never more than a chunk."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.channels.multipath import Sampling
from shared.errors import DataFileError, InvalidArgumentError
from shared.transforms import crop_taps, normalize_power, to_angular_delay
from shared.types import CsiShape, Domain

Chunk = tuple[Tensor, Tensor | None]  # channels, and what a crop left out of each if there was one
Configuration = dict[str, str | int | float | list[float]]
Loss = Literal["none", "mean", "each"]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a caller says of files that do not say it themselves.

    Attributes:
        domain: Domain of an array whose name or layout does not say.
        sampling: Antennas, band and crop for files of propagation paths.
        array_axis: Axis along which the ULA of the BS lies, for ray-traced files.
        base_stations: Base stations to take from a folder of ray-traced files.
        trust_layout: Whether to take a layout that looks transposed.
    """

    domain: Domain | None = None
    sampling: Sampling = field(default_factory=Sampling)
    array_axis: str = "y"
    base_stations: tuple[int, ...] = ()
    trust_layout: bool = False


@dataclass(frozen=True, slots=True)
class ChannelStream:
    """Channels of one or more files.

    Attributes:
        path: The file, for sentences.
        layout: What kind of file it is, one line for a card.
        shape: Shape and domain of one channel.
        num_channels: How many `chunks` yields.
        read: () -> chunks in order: [n, num_rx_ant, num_tx_ant, num_subcarriers] complex64 of any scale.
        environments: [num_channels] environment of each channel, where the file says; a split must not share one.
        configuration: What else a card should say.
        array: Name of the array in the file, for sentences.
        loss: What comes with the channels: nothing, the mean of a card in the place of each, or the crop loss of each.
    """

    path: Path
    layout: str
    shape: CsiShape
    num_channels: int
    read: Callable[[], Iterator[Chunk]]
    environments: NDArray[np.int64] | None = None
    configuration: Configuration = field(default_factory=dict)
    array: str = "channels"
    loss: Loss = "none"

    def chunks(self) -> Iterator[Chunk]:
        """Yield the channels at unit mean power per report.

        Raises:
            DataFileError: If the file is damaged, or a channel is not finite or has no power.
        """
        for h, crop_loss in self.usable():
            yield normalize_power(h), crop_loss

    def usable(self) -> Iterator[Chunk]:
        """Yield the channels as they are, of any scale.

        Raises:
            DataFileError: As `chunks` does.
        """
        start = 0
        for h, crop_loss in _named(self.path, self.read()):
            power = h.abs().square().mean(dim=(1, 2, 3))
            usable = power.isfinite() & (power > 0)
            if not bool(usable.all()):
                worst = int(usable.int().argmin())  # the first that is not
                fault = "has no power" if power[worst] == 0 else "is not finite"
                wanted = f"`{self.array}` of `{self.path}` must be finite and have power in every channel"
                raise DataFileError(f"{wanted}; channel {start + worst} {fault}.")
            yield h, crop_loss
            start += len(h)
        if start != self.num_channels:
            raise DataFileError(f"`{self.path}` must hold {self.num_channels} channels; found {start}.")


def in_its_folder(path: Path) -> str:
    """Return folder/name of a file, for cards: the files of two cities have the same names."""
    return f"{path.parent.name}/{path.name}".removeprefix("/")


def _named(path: Path, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Yield the chunks; whatever a library raises over damaged data becomes a sentence with the file's name."""
    try:
        yield from chunks
    except Exception as error:  # zipfile, zlib, HDF5 and NumPy each raise their own
        raise cannot_read(path, error) from error


def cannot_read(path: Path, error: Exception) -> Exception:
    """Return the error that names the file, for whatever reading it raised."""
    named = isinstance(error, DataFileError) and " of `" in str(error)  # of another file, where several are joined
    if named or isinstance(error, ImportError | InvalidArgumentError) or str(path) in str(error):
        return error
    return DataFileError(f"`{path}` cannot be read as {path.suffix or 'channels'}: {error or type(error).__name__}")


def cropped(stream: ChannelStream, num_delay_taps: int) -> ChannelStream:
    """Return a stream in the angular-delay domain with this number of delay taps.

    Raises:
        InvalidArgumentError: If the channels have fewer.
    """
    shape = stream.shape
    if not 1 <= num_delay_taps <= shape.num_subcarriers:
        raise InvalidArgumentError(f"`num_taps` must be in [1, {shape.num_subcarriers}]; got {num_delay_taps}.")
    if shape.domain == "angular-delay" and shape.num_subcarriers == num_delay_taps:
        return stream

    def read() -> Iterator[Chunk]:
        for h, before in stream.read():
            x = to_angular_delay(h) if shape.domain == "spatial-frequency" else h
            x, loss = crop_taps(x, num_delay_taps)
            yield x, loss if before is None else 1.0 - (1.0 - before) * (1.0 - loss)

    changed = replace(shape, domain="angular-delay", num_subcarriers=num_delay_taps)
    before_crop: Configuration = {"num_subcarriers_before_crop": shape.num_subcarriers}
    loss: Loss = "mean" if stream.loss == "mean" else "each"
    return replace(stream, shape=changed, read=read, configuration=before_crop | stream.configuration, loss=loss)


def selected(stream: ChannelStream, mask: NDArray[np.bool_]) -> ChannelStream:
    """Return a stream of the channels where ``mask: [num_channels]`` is true."""

    def read() -> Iterator[Chunk]:
        start = 0
        for h, loss in stream.read():
            wanted = torch.from_numpy(mask[start : start + len(h)])
            start += len(h)
            if bool(wanted.any()):
                yield h[wanted], None if loss is None else loss[wanted]

    environments = None if stream.environments is None else stream.environments[mask]
    return replace(stream, num_channels=int(mask.sum()), read=read, environments=environments)


def joined(streams: Sequence[ChannelStream]) -> ChannelStream:
    """Return the streams one after the other.

    Raises:
        DataFileError: If their channels differ in shape or domain.
    """
    first = streams[0]
    if len(streams) == 1:
        return first
    for stream in streams[1:]:
        if stream.shape != first.shape:
            raise DataFileError(f"`{stream.path}` must hold {first.shape} like `{first.path}`; found {stream.shape}.")

    def read() -> Iterator[Chunk]:
        for stream in streams:
            yield from stream.usable()

    groups = [stream.environments for stream in streams if stream.environments is not None]
    environments = np.concatenate(groups) if len(groups) == len(streams) else None
    configuration: Configuration = {}
    for stream in streams:
        configuration |= stream.configuration
    losses = {stream.loss for stream in streams}
    loss: Loss = first.loss if len(losses) == 1 else "mean" if "mean" in losses else "none"
    return replace(
        first,
        num_channels=sum(stream.num_channels for stream in streams),
        read=read,
        environments=environments,
        configuration=configuration,
        loss=loss,
    )
