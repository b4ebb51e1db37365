"""The crop loss of each channel: the share of the whole channel's energy that a crop left out.

stream --CropLosses--> `crop_loss` [N] float32 beside the channels in csilink's own file --with_crop_loss--> stream
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from shared.channels.stored import StoredArray
from shared.channels.stream import ChannelStream, Chunk
from shared.errors import DataFileError

CROP_LOSS = "crop_loss"  # name of the array


@dataclass(slots=True)
class CropLosses:
    """What a crop left out of channels that pass, 8 bytes a channel.

    Attributes:
        parts: [n] float64 each, as they came.

    Example:
        >>> losses = CropLosses()
        >>> losses.add(torch.tensor([0.01, 0.03], dtype=torch.float64))
        >>> losses.mean
        0.02
    """

    parts: list[Tensor] = field(default_factory=list)

    def add(self, crop_loss: Tensor) -> None:
        """Add those of some channels, [n] float64."""
        self.parts.append(crop_loss)

    def of_each(self) -> Tensor:
        """Return all of them, [num_channels] float64."""
        return torch.cat(self.parts)

    @property
    def mean(self) -> float | None:
        """Mean share, rounded for a card; None where none was added."""
        return round(float(self.of_each().mean()), 5) if self.parts else None


def with_crop_loss(stream: ChannelStream, array: StoredArray) -> ChannelStream:
    """Return the channels of csilink's own file with the crop loss that it holds of each.

    Its values are looked at when the channels are read.

    Raises:
        DataFileError: If ``array`` is not [num_channels] real.
    """
    if array.shape != (stream.num_channels,) or array.dtype.kind != "f":
        wanted, found = f"[{stream.num_channels}] real", f"{list(array.shape)} {array.dtype}"
        raise DataFileError(f"`{array.name}` of `{stream.path}` must be {wanted}; found {found}.")

    def read() -> Iterator[Chunk]:
        crop_loss, start = torch.from_numpy(array.load().astype("float64")), 0
        wrong = ~((crop_loss >= 0) & (crop_loss <= 1))  # so put, not-a-number is wrong too
        if bool(wrong.any()):
            first = int(wrong.int().argmax())
            found = f"{float(crop_loss[first]):g} for channel {first}"
            raise DataFileError(f"`{array.name}` of `{stream.path}` must be in [0, 1]; found {found}.")
        for h, _ in stream.read():
            yield h, crop_loss[start : start + len(h)]
            start += len(h)

    return replace(stream, read=read, loss="each")
