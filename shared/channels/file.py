"""Read channels from files, at once or as a stream.

| file | container | arrays in it |
|---|---|---|
| ``.npz``, ``.npy`` | `shared.channels.numpy_files` | `shared.channels.layouts` |
| ``.h5``, ``.hdf5``; ``.mat`` of version 7.3 | `shared.channels.hdf5` | likewise |
| ``.mat`` of version 5 | `shared.channels.mat5` | likewise, or `shared.channels.deepmimo` |

Every reader ends in unit mean power per report: no scale or offset of a file travels further.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from shared.channels.card import DatasetCard, read_dataset_card
from shared.channels.crop_loss import CropLosses
from shared.channels.deepmimo import read_deepmimo
from shared.channels.eigenvectors import eigenvectors_of_card
from shared.channels.hdf5 import open_hdf5
from shared.channels.layouts import interpret
from shared.channels.mat5 import Cells, is_mat5, open_mat5
from shared.channels.numpy_files import open_npy, open_npz
from shared.channels.stored import StoredArray
from shared.channels.stream import ChannelStream, ReadOptions, cannot_read
from shared.digests import sha256_of
from shared.errors import DataFileError, InvalidArgumentError
from shared.network_settings import EigenvectorSettings
from shared.types import CsiShape, Domain

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MATLAB_USER_BLOCK = 512  # bytes before the HDF5 of a version 7.3 file


@dataclass(frozen=True, slots=True)
class ChannelSet:
    """Channels with the identity by which the other side finds the same ones.

    Attributes:
        name: Name of the data set.
        sha256: Digest of the file.
        h: [num_channels, num_rx_ant, num_tx_ant, num_subcarriers] complex64, unit mean power per report.
        shape: Shape and domain of one channel.
        card: The data set's card; None for a file that has none.
        crop_loss: [num_channels] float64, share of each whole channel's energy that the crop left out; None where the
            file does not say.
    """

    name: str
    sha256: str
    h: Tensor
    shape: CsiShape
    card: DatasetCard | None
    crop_loss: Tensor | None = None

    def __post_init__(self) -> None:
        """Refuse losses of other channels."""
        if self.crop_loss is not None and len(self.crop_loss) != len(self.h):
            raise InvalidArgumentError(
                f"`crop_loss` must be of the {len(self.h)} channels of `h`, which `part` cuts together; "
                f"got {len(self.crop_loss)}."
            )

    def part(self, start: int, stop: int) -> "ChannelSet":
        """Return the channels ``start : stop`` with their losses, under the same name and digest.

        Example:
            >>> from shared.channels import load_channels
            >>> part = load_channels("indoor-open-office").part(10, 30)
            >>> len(part.h), len(part.crop_loss)
            (20, 20)
        """
        crop_loss = None if self.crop_loss is None else self.crop_loss[start:stop]
        return replace(self, h=self.h[start:stop], crop_loss=crop_loss)

    @property
    def eigenvectors(self) -> EigenvectorSettings | None:
        """Which eigenvectors these are, by the card; None of channels.

        Raises:
            DataFileError: If the card says what this version, or a file of this shape, does not have.
        """
        return None if self.card is None else eigenvectors_of_card(self.card)

    @property
    def identity(self) -> str:
        """What a card says of the data: name, size, digest."""
        return f"{self.name}, {len(self.h)} channels, sha256 {self.sha256}"


def load_file(path: Path, domain: Domain | None = None) -> ChannelSet:
    """Read a file of channels into memory.

    Args:
        path: A file of one of `CHANNELS`.
        domain: Domain of a file that does not say; None accepts only files that do.

    Returns:
        The channels, each normalised to unit mean power.

    Raises:
        DataFileError: If the file is missing, foreign, truncated, altered, or holds no usable channel.
    """
    card, digest = read_card_of(path)
    stream = open_stream(path, ReadOptions(domain=domain, trust_layout=card is not None))
    if card and (card.shape != stream.shape or card.num_channels != stream.num_channels):
        wanted = f"{card.num_channels} x {card.shape.dims}"
        raise DataFileError(f"`{path}` does not hold what its card says: {wanted} wanted.")
    h = torch.empty(stream.num_channels, *stream.shape.dims, dtype=torch.complex64)
    losses, start = CropLosses(), 0
    for chunk, crop_loss in stream.chunks():
        h[start : start + len(chunk)] = chunk
        start += len(chunk)
        if crop_loss is not None:
            losses.add(crop_loss)
    known = losses.of_each() if stream.loss == "each" else None
    if known is None and card and card.crop_loss == 0:  # a mean of 0 is that of each: nothing was cropped
        known = torch.zeros(len(h), dtype=torch.float64)
    return ChannelSet(card.name if card else path.stem, digest, h, stream.shape, card, known)


def read_card_of(path: Path) -> tuple[DatasetCard | None, str]:
    """Return the card beside a file, if there is one, and the file's SHA-256.

    Raises:
        DataFileError: If there is no such file, the card is none, or it is the card of another file.
    """
    if not path.is_file():
        raise DataFileError(f"`{path}` is not a file.")
    card_path = path.with_suffix(".card.json")
    card = read_dataset_card(card_path) if card_path.is_file() else None
    digest = sha256_of(path)
    if card and card.sha256 != digest:
        raise DataFileError(f"`{path}` is not the file of its card: SHA-256 {card.sha256} wanted, {digest} found.")
    return card, digest


def open_stream(path: Path, options: ReadOptions | None = None) -> ChannelStream:
    """Open a file of channels, of whatever size.

    Args:
        path: A file of one of `CHANNELS`.
        options: What the file does not say itself.

    Raises:
        DataFileError: If the file is missing, foreign or truncated. Damage further in shows when it is read.
    """
    options = options or ReadOptions()
    arrays = open_arrays(path)
    if isinstance(arrays.get("channels"), Cells):
        return read_deepmimo(path, arrays, options)
    stored = {name: array for name, array in arrays.items() if isinstance(array, StoredArray)}
    return interpret(path, stored, options)


def open_arrays(path: Path) -> dict[str, StoredArray | Cells]:
    """Return what a file holds, by name; nothing large is read yet.

    Args:
        path: A file of one of `CHANNELS`.

    Raises:
        DataFileError: If the file is missing, foreign or truncated.
    """
    if not path.is_file():
        raise DataFileError(f"`{path}` is not a file.")
    if path.suffix not in CHANNELS:
        raise DataFileError(f"`{path}` must end in {', '.join(CHANNELS)}; found {path.suffix or 'no suffix'!r}.")
    try:
        return CHANNELS[path.suffix](path)
    except Exception as error:  # zipfile, zlib, HDF5 and NumPy's header parser each raise their own on a broken file
        raise cannot_read(path, error) from error


def _open_mat(path: Path) -> dict[str, StoredArray | Cells]:
    with path.open("rb") as file:
        start = file.read(MATLAB_USER_BLOCK + len(HDF5_MAGIC))
    if start.startswith(HDF5_MAGIC) or start[MATLAB_USER_BLOCK:] == HDF5_MAGIC:
        return dict(open_hdf5(path, reversed_axes=True))
    if not is_mat5(path):
        raise DataFileError("it starts neither as MATLAB v5 nor as v7.3.")
    return open_mat5(path)


def _open_hdf5(path: Path) -> dict[str, StoredArray | Cells]:
    return dict(open_hdf5(path, reversed_axes=False))


CHANNELS: dict[str, Callable[[Path], dict[str, StoredArray | Cells]]] = {
    ".npz": lambda path: dict(open_npz(path)),
    ".npy": lambda path: dict(open_npy(path)),
    ".mat": _open_mat,
    ".h5": _open_hdf5,
    ".hdf5": _open_hdf5,
}
