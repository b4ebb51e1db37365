"""What the arrays of a file mean, told by their names, shapes and types.

| array | shape | meaning |
|---|---|---|
| ``x_re_im``, ``h_re_im`` | [N, rx, tx, subcarriers, 2] real | csilink's own: angular-delay, spatial-frequency |
| ``crop_loss`` beside one of these | [N] real, optional | what a crop left out, see `shared.channels.crop_loss` |
| ``x`` | [N, rx, angles, taps] or [N, angles, taps], complex | angular-delay |
| ``h`` | [N, rx, tx, subcarriers] or [N, tx, subcarriers], complex | spatial-frequency |
| ``HT`` | [N, 2048] real | CsiNet, see `shared.transforms` |
| ``HF_all`` | [N, 4000] complex | CsiNet's truth, 125 subcarriers, see `shared.transforms` |
| ``offsets``, ``aod``, ``delay``, ``amp`` | flat | propagation paths, see `shared.channels.path_files` |
| the only one of a .npy | as ``h``, or as ``HT``, or [N, 2, 32, 32] real | the domain is the caller's, or CsiNet |
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shared.channels.crop_loss import CROP_LOSS, with_crop_loss
from shared.channels.layout_check import checked
from shared.channels.path_files import PATH_ARRAYS, read_paths
from shared.channels.stored import Array, StoredArray
from shared.channels.stream import ChannelStream, Chunk, ReadOptions
from shared.errors import DataFileError
from shared.transforms import (
    CSINET_OFFSET,
    CSINET_SIDE,
    CSINET_TRUTH_SUBCARRIERS,
    from_csinet_rows,
    from_csinet_truth,
)
from shared.types import CsiShape, Domain

ARRAY_OF: dict[Domain, str] = {"angular-delay": "x_re_im", "spatial-frequency": "h_re_im"}  # csilink's own
HT_WIDTH = 2 * CSINET_SIDE**2
HF_WIDTH = CSINET_SIDE * CSINET_TRUTH_SUBCARRIERS


def interpret(path: Path, arrays: Mapping[str, StoredArray], options: ReadOptions) -> ChannelStream:
    """Return the channels that the arrays of a file hold.

    Raises:
        DataFileError: If they hold none that is known, or not in the shape and type that they must have.
    """
    if set(arrays) >= PATH_ARRAYS:
        return read_paths(path, arrays, options)
    if "" in arrays:
        return _unnamed(path, arrays[""], options)
    for name, reader in LAYOUTS.items():
        if name in arrays:
            stream = reader(path, arrays[name], options)
            own = name in ARRAY_OF.values() and CROP_LOSS in arrays
            return with_crop_loss(stream, arrays[CROP_LOSS]) if own else stream
    wanted = ", ".join(f"`{name}`" for name in LAYOUTS)
    paths = ", ".join(f"`{name}`" for name in sorted(PATH_ARRAYS))
    raise DataFileError(f"`{path}` must hold an array {wanted}, or paths {paths}; found {sorted(arrays)}.")


def _unnamed(path: Path, array: StoredArray, options: ReadOptions) -> ChannelStream:
    if array.dtype.kind == "f" and (len(array.shape) == 2 or array.shape[1:] == (2, CSINET_SIDE, CSINET_SIDE)):
        return _csinet(path, array, options)
    if array.dtype.kind == "c" and len(array.shape) == 2 and HF_WIDTH in array.shape:
        return _csinet_truth(path, array, options)
    _require_complex(path, array.name, array)
    _dims(path, array.shape)
    if options.domain is None:
        raise DataFileError(
            f"`{path}` does not say its domain: save it as .npz, key `h` (spatial-frequency) or `x` (angular-delay), "
            "or import it with `csi-lab data import --domain`."
        )
    return _complex(path, array, options, options.domain)


def _complex(path: Path, array: StoredArray, options: ReadOptions, domain: Domain) -> ChannelStream:
    _require_domain(path, domain, options)
    _require_complex(path, array.name, array)
    dims = _dims(path, array.shape)
    shape = CsiShape(domain, *dims)
    stream = _stream(path, f"complex {domain} array", shape, array, lambda rows: _tensor(rows, dims))
    return stream if options.trust_layout else checked(stream)


def _pairs(path: Path, array: StoredArray, options: ReadOptions, domain: Domain) -> ChannelStream:
    _require_domain(path, domain, options)
    if array.shape[-1:] != (2,) or array.dtype.kind != "f":
        raise DataFileError(
            f"`{array.name}` of `{path}` must be [..., 2] real; found {list(array.shape)} {array.dtype}."
        )
    dims = _dims(path, array.shape[:-1])

    def convert(rows: Array) -> Tensor:
        return torch.view_as_complex(torch.from_numpy(rows.astype(np.float32)))

    stream = _stream(path, f"csilink {domain}", CsiShape(domain, *dims), array, convert)
    return stream if options.trust_layout else checked(stream)


def _csinet(path: Path, array: StoredArray, options: ReadOptions) -> ChannelStream:
    _require_domain(path, "angular-delay", options)
    shape = list(array.shape)
    as_images = shape[1:] == [2, CSINET_SIDE, CSINET_SIDE]
    if array.dtype.kind != "f" or not (as_images or shape[1:] == [HT_WIDTH]):
        transposed = " It looks transposed." if shape[:1] == [HT_WIDTH] and len(shape) == 2 else ""
        raise DataFileError(
            f"`{path}` must hold `HT` as [N, {HT_WIDTH}] real; found {shape} {array.dtype}.{transposed}"
        )

    def convert(rows: Array) -> Tensor:
        if not (rows.min() >= 0 and rows.max() <= 1):  # so put, not-a-number is refused too
            found = f"[{rows.min():.3g}, {rows.max():.3g}]"
            raise DataFileError(f"`{path}` must hold `HT` in [0, 1] around {CSINET_OFFSET}; found {found}.")
        return from_csinet_rows(torch.from_numpy(rows.reshape(len(rows), -1).astype(np.float32)))

    csi = CsiShape("angular-delay", 1, CSINET_SIDE, CSINET_SIDE)
    stream = _stream(path, "CsiNet HT", csi, array, convert)
    return stream if options.trust_layout else checked(stream, from_reals=True)


def _csinet_truth(path: Path, array: StoredArray, options: ReadOptions) -> ChannelStream:
    _require_domain(path, "spatial-frequency", options)
    shape = list(array.shape)
    if array.dtype.kind != "c" or shape[1:] != [HF_WIDTH]:
        transposed = " It looks transposed." if shape[:1] == [HF_WIDTH] and len(shape) == 2 else ""
        raise DataFileError(
            f"`{path}` must hold `HF_all` as [N, {HF_WIDTH}] complex; found {shape} {array.dtype}.{transposed}"
        )
    csi = CsiShape("spatial-frequency", 1, CSINET_SIDE, CSINET_TRUTH_SUBCARRIERS)
    return _stream(path, "CsiNet HF_all", csi, array, lambda rows: from_csinet_truth(torch.from_numpy(rows)))


def _stream(
    path: Path, layout: str, shape: CsiShape, array: StoredArray, convert: Callable[[Array], Tensor]
) -> ChannelStream:
    def read() -> Iterator[Chunk]:
        return ((convert(rows), None) for rows in array.rows())

    if not array.shape[0]:
        raise DataFileError(f"`{path}` must hold channels; found none of {list(array.shape)}.")
    name = "channels" if array.name == path.name else array.name
    return ChannelStream(path, layout, shape, array.shape[0], read, array=name)


def _tensor(rows: Array, dims: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows, dtype=np.complex64)).reshape(len(rows), *dims)


def _dims(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (rx, tx, subcarriers) of [N, rx, tx, subcarriers] or [N, tx, subcarriers]."""
    if len(shape) not in (3, 4) or 0 in shape:
        wanted = "[N, rx, tx, subcarriers] or [N, tx, subcarriers], none of them 0"
        raise DataFileError(f"`{path}` must hold channels {wanted}; found {list(shape)}.")
    return shape[-3] if len(shape) == 4 else 1, shape[-2], shape[-1]


def _require_complex(path: Path, name: str, array: StoredArray) -> None:
    if array.dtype.kind != "c":
        raise DataFileError(f"`{name}` of `{path}` must be complex; found {array.dtype} {list(array.shape)}.")


def _require_domain(path: Path, found: Domain, options: ReadOptions) -> None:
    if options.domain and options.domain != found:
        raise DataFileError(f"`domain` of `{path}` is {found}; got {options.domain}.")


LAYOUTS: dict[str, Callable[[Path, StoredArray, ReadOptions], ChannelStream]] = {
    "x_re_im": lambda path, array, options: _pairs(path, array, options, "angular-delay"),
    "h_re_im": lambda path, array, options: _pairs(path, array, options, "spatial-frequency"),
    "h": lambda path, array, options: _complex(path, array, options, "spatial-frequency"),
    "x": lambda path, array, options: _complex(path, array, options, "angular-delay"),
    "HT": _csinet,
    "HF_all": _csinet_truth,
}
