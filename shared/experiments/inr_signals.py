"""What a start is meta-learned from: pictures of a folder, or a data set of channels."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from shared.channels import load_channels
from shared.errors import DataFileError, InvalidArgumentError
from shared.experiments.picture import LEAST_SIDE, Picture, read_picture
from shared.inr.csi_signals import grid_of, signals_of
from shared.networks.coordinates import centred_grid
from shared.transforms import from_angular_delay

HELD_BACK = 10  # of so many signals, one is for validation
MOST_VALIDATION = 100  # INRIC section 6.3


@dataclass(frozen=True, slots=True)
class Signals:
    """Signals on one grid.

    Attributes:
        grid: [num_points, 2] float32 in [-1, 1].
        num_rows: Of the grid.
        num_columns: Of the grid.
        training: [num_training, num_points, num_outputs] float32.
        validation: [num_validation, num_points, num_outputs] float32.
        told_as: What a card says of them.
    """

    grid: Tensor
    num_rows: int
    num_columns: int
    training: Tensor
    validation: Tensor
    told_as: str


def signals_from(source: str, size: tuple[int, int]) -> Signals:
    """Read signals.

    Args:
        source: A folder of pictures, or a data set of channels: shipped, or a file.
        size: (width, height) that pictures are brought to; channels have their own.

    Raises:
        DataFileError: If there are none.
    """
    if Path(source).is_dir():
        return _of_pictures(Path(source), *size)
    channels = load_channels(source)
    h = from_angular_delay(channels.h) if channels.shape.domain == "angular-delay" else channels.h
    shape = channels.shape
    told_as = f"{len(h)} channels of {channels.name}, spatial-frequency domain"
    return _split(grid_of(shape), (shape.num_tx_ant, shape.num_subcarriers), signals_of(h), told_as)


def parse_size(text: str) -> tuple[int, int]:
    """Return the numbers of ``178x218``, width and height.

    Raises:
        InvalidArgumentError: If they are none, or too small.

    Example:
        >>> parse_size("178x218")
        (178, 218)
    """
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= LEAST_SIDE):
        raise InvalidArgumentError(f"`size` must be WIDTHxHEIGHT from {LEAST_SIDE} on, as 178x218; got {text!r}.")
    return int(width), int(height)


def _of_pictures(folder: Path, width: int, height: int) -> Signals:
    """Read the pictures of a folder in the order of their names, cropped in the middle and scaled."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    pictures = [_with_colours(read_picture(path, "data").cropped_to(width, height)) for path in paths]
    if len(pictures) < 2:
        raise DataFileError(f"`data` must be a folder of two pictures or more; '{folder}' has {len(pictures)}.")
    signals = torch.stack([picture.values() for picture in pictures])
    return _split(centred_grid(height, width), (height, width), signals, f"{len(signals)} pictures of {folder.name}")


def _with_colours(picture: Picture) -> Picture:
    return picture if picture.num_colours == 3 else Picture(picture.pixels.repeat(3, axis=2))


def _split(grid: Tensor, size: tuple[int, int], signals: Tensor, told_as: str) -> Signals:
    """Hold every tenth signal back, the first among them."""
    if len(signals) < 2:
        raise DataFileError(f"`data` must hold two signals or more; got {len(signals)}.")
    held_back = torch.arange(len(signals)) % HELD_BACK == 0
    return Signals(grid, *size, signals[~held_back], signals[held_back][:MOST_VALIDATION], told_as)
