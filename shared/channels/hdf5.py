"""HDF5 as arrays that are read in pieces: .h5, and .mat of version 7.3, which is HDF5 with the axes reversed.

MATLAB stores by columns and HDF5 by rows, so an [N, 2048] of MATLAB is a [2048, N] in the file; here it is [N, 2048]
again. Complex numbers of MATLAB are pairs named `real` and `imag`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from shared.channels.stored import Array, StoredArray
from shared.errors import DataFileError

MATLAB_COMPLEX = ("real", "imag")


def open_hdf5(path: Path, reversed_axes: bool) -> dict[str, StoredArray]:
    """Return the arrays at the top of an HDF5 file by name.

    Args:
        path: The file.
        reversed_axes: Whether MATLAB wrote it.

    Raises:
        DataFileError: If h5py is not installed, or it is not a whole HDF5 file.
    """
    h5py = _h5py()
    arrays = {}
    with h5py.File(path, "r") as file:
        for name, item in file.items():
            if isinstance(item, h5py.Dataset) and item.shape:
                arrays[name] = _array(path, name, item, reversed_axes)
    return arrays


def _array(path: Path, name: str, dataset: Any, reversed_axes: bool) -> StoredArray:
    if dataset.size and not dataset.id.get_storage_size():
        raise DataFileError(f"`{name}` has a shape, {list(dataset.shape)}, but no data.")
    shape = dataset.shape[::-1] if reversed_axes else dataset.shape
    of_pairs = dataset.dtype.names == MATLAB_COMPLEX
    dtype = np.result_type(dataset.dtype[0], np.complex64) if of_pairs else dataset.dtype
    along = -1 if reversed_axes else 0
    block = dataset.chunks[along] if dataset.chunks else 1

    def read(num_rows: int) -> Iterator[Array]:
        step = max(1, num_rows // block) * block  # a compressed block is then read once
        with _h5py().File(path, "r") as file:
            for start in range(0, shape[0], step):
                piece = file[name][..., start : start + step] if reversed_axes else file[name][start : start + step]
                piece = piece["real"] + np.asarray(1j, dtype) * piece["imag"] if of_pairs else piece
                yield piece.T if reversed_axes else piece

    return StoredArray(name, shape, np.dtype(dtype), read)


def _h5py() -> Any:
    try:
        import h5py  # noqa: PLC0415  (extra `lab`)
    except ImportError as error:
        raise DataFileError("HDF5 needs h5py: pip install h5py, or csilink with its extra `lab`.") from error
    return h5py
