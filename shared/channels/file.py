"""Read channels from a file: csilink's .npz, plain .npy/.npz arrays, and CsiNet's `HT` .mat.

| file | array | meaning |
|---|---|---|
| ``.npz`` with ``x_re_im`` | [N, rx, angles, taps, 2] real | angular-delay; csilink's own, with a card |
| ``.npz`` with ``x`` | [N, rx, angles, taps] or [N, angles, taps], complex | angular-delay |
| ``.npz`` with ``h`` | [N, rx, tx, subcarriers] or [N, tx, subcarriers], complex | spatial-frequency |
| ``.npy``, complex | either | does not say; only for callers that do |
| ``.npy``, real; ``.mat`` (v5) with ``HT`` | [N, 2048] | CsiNet: [re, im], each [angle 32, delay 32], offset 0.5 |

Every reader ends in unit mean power per report: no scale or offset of a file travels further.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.channels.card import DatasetCard, read_dataset_card
from shared.digests import sha256_of
from shared.errors import DataFileError
from shared.transforms import normalize_power
from shared.types import CsiShape, Domain

Channels = tuple[NDArray[np.generic], Domain | None]  # what a reader returns: channels, and the domain if the file says

CSINET_OFFSET = 0.5  # CsiNet scales its values to [0, 1] around this
CSINET_SIDE = 32


@dataclass(frozen=True, slots=True)
class ChannelSet:
    """Channels with the identity by which the other side finds the same ones.

    Attributes:
        name: Name of the data set.
        sha256: Digest of the file.
        h: [num_channels, num_rx_ant, num_tx_ant, num_subcarriers] complex64, unit mean power per report.
        shape: Shape and domain of one channel.
        card: The data set's card; None for a file that has none.
    """

    name: str
    sha256: str
    h: Tensor
    shape: CsiShape
    card: DatasetCard | None


def load_file(path: Path, domain: Domain | None = None) -> ChannelSet:
    """Read a file of channels.

    Args:
        path: A .npz, .npy or .mat file.
        domain: Domain of a file that does not say; None accepts only files that do.

    Returns:
        The channels, each normalised to unit mean power.

    Raises:
        DataFileError: If the file is missing, foreign, truncated, altered, or holds no usable channel.
    """
    if not path.is_file():
        raise DataFileError(f"`{path}` is not a file.")
    card_path = path.with_suffix(".card.json")
    card = read_dataset_card(card_path) if card_path.is_file() else None
    digest = sha256_of(path)
    if card and card.sha256 != digest:
        raise DataFileError(f"`{path}` is not the file of its card: SHA-256 {card.sha256} wanted, {digest} found.")
    if path.suffix not in CHANNELS:
        raise DataFileError(f"`{path}` must end in {', '.join(CHANNELS)}; found {path.suffix or 'no suffix'!r}.")
    array, found = CHANNELS[path.suffix](path)
    array = array[:, None] if array.ndim == 3 else array
    if array.ndim != 4 or 0 in array.shape:
        wanted = "[N, rx, tx, subcarriers] or [N, tx, subcarriers], none of them 0"
        raise DataFileError(f"`{path}` must hold channels {wanted}; found {list(array.shape)}.")
    try:
        h = normalize_power(torch.from_numpy(np.ascontiguousarray(array, dtype=np.complex64)))
    except ValueError as error:
        raise DataFileError(f"`{path}`: {error}") from error
    shape = CsiShape(_domain(path, found, domain), *h.shape[1:])
    if card and (card.shape != shape or card.num_channels != len(h)):
        raise DataFileError(
            f"`{path}` does not hold what its card says: {card.num_channels} x {card.shape.dims} wanted."
        )
    return ChannelSet(card.name if card else path.stem, digest, h, shape, card)


def _domain(path: Path, found: Domain | None, given: Domain | None) -> Domain:
    """Return the domain that a file says, or else the one that the caller says."""
    if found and given and found != given:
        raise DataFileError(f"`domain` of `{path}` is {found}; got {given}.")
    domain = found or given
    if domain is None:
        raise DataFileError(
            f"`{path}` does not say its domain: save it as .npz, key `h` (spatial-frequency) or `x` (angular-delay)."
        )
    return domain


def _read_npz(path: Path) -> Channels:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if "x_re_im" in file:
                return _from_pairs(path, file["x_re_im"]), "angular-delay"
            if "x" in file:
                return _require_complex(path, "x", file["x"]), "angular-delay"
            if "h" in file:
                return _require_complex(path, "h", file["h"]), "spatial-frequency"
            raise DataFileError(f"`{path}` must hold an array `x_re_im`, `h` or `x`; found {sorted(file)}.")
    except DataFileError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy's header parser each raise their own on a broken file
        raise DataFileError(f"`{path}` cannot be read as .npz: {error}") from error


def _read_npy(path: Path) -> Channels:
    try:
        with path.open("rb") as stream:
            array = np.load(stream, allow_pickle=False)
    except Exception as error:  # also SyntaxError and TokenError, from a broken header
        raise DataFileError(f"`{path}` cannot be read as .npy: {error}") from error
    if not isinstance(array, np.ndarray):
        raise DataFileError(f"`{path}` must hold one array; found an archive of several, which ends in .npz.")
    if array.ndim == 2 and not np.iscomplexobj(array):
        return _from_csinet(path, array), "angular-delay"
    return _require_complex(path, path.name, array), None


def _read_mat(path: Path) -> Channels:
    from scipy.io import loadmat  # noqa: PLC0415  (slow to import, needed for one format)

    try:
        contents = loadmat(path, variable_names=["HT"])
    except Exception as error:  # SciPy's parser raises whatever the broken bytes lead it to
        raise DataFileError(f"`{path}` cannot be read as a MATLAB v5 file: {error}") from error
    if "HT" not in contents:
        raise DataFileError(f"`{path}` must hold CsiNet's array `HT`; it does not.")
    return _from_csinet(path, np.asarray(contents["HT"])), "angular-delay"


def _from_csinet(path: Path, ht: NDArray[np.generic]) -> NDArray[np.complex64]:
    half = CSINET_SIDE * CSINET_SIDE
    if ht.ndim != 2 or ht.shape[1] != 2 * half or not np.issubdtype(ht.dtype, np.floating):
        raise DataFileError(f"`{path}` must hold `HT` as [N, {2 * half}] real; found {list(ht.shape)} {ht.dtype}.")
    if ht.size and not (ht.min() >= 0 and ht.max() <= 1):
        raise DataFileError(
            f"`{path}` must hold `HT` in [0, 1] around {CSINET_OFFSET}; found [{ht.min():.3g}, {ht.max():.3g}]."
        )
    centred = ht.astype(np.float32) - CSINET_OFFSET
    csi = centred[:, :half] + 1j * centred[:, half:]
    return csi.reshape(-1, 1, CSINET_SIDE, CSINET_SIDE).astype(np.complex64)


def _from_pairs(path: Path, pairs: NDArray[np.generic]) -> NDArray[np.complex64]:
    if pairs.ndim == 0 or pairs.shape[-1] != 2 or not np.issubdtype(pairs.dtype, np.floating):
        raise DataFileError(f"`x_re_im` of `{path}` must be [..., 2] real; found {list(pairs.shape)} {pairs.dtype}.")
    re_im = pairs.astype(np.float32)
    return np.asarray(re_im[..., 0] + 1j * re_im[..., 1], dtype=np.complex64)


def _require_complex(path: Path, name: str, array: NDArray[np.generic]) -> NDArray[np.generic]:
    if not np.iscomplexobj(array):
        raise DataFileError(f"`{name}` of `{path}` must be complex; found {array.dtype} {list(array.shape)}.")
    return array


CHANNELS: dict[str, Callable[[Path], Channels]] = {".npz": _read_npz, ".npy": _read_npy, ".mat": _read_mat}
