"""NumPy's files as arrays that are read in pieces: .npy, and .npz (a .zip of .npy)."""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from shared.channels.stored import Array, StoredArray, rows_across_columns, rows_in_order
from shared.errors import DataFileError

MOST_DEFLATED = 1032  # deflate cannot shrink further: a member that claims to is damaged
ZIP_MAGIC = b"PK"


def open_npy(path: Path) -> dict[str, StoredArray]:
    """Return the one array of a .npy file, under the name "".

    Raises:
        DataFileError: If it is not a whole .npy file.
    """
    with path.open("rb") as stream:
        if stream.read(2) == ZIP_MAGIC:
            raise DataFileError("it must hold one array; found an archive of several, which ends in .npz.")
        stream.seek(0)
        shape, fortran, dtype = _read_header(stream)
        begin = stream.tell()
    _require_size(math.prod(shape) * dtype.itemsize, path.stat().st_size - begin)

    @contextmanager
    def at_data() -> Iterator[IO[bytes]]:
        with path.open("rb") as stream:
            stream.seek(begin)
            yield stream

    rows = (rows_across_columns if fortran else rows_in_order)(at_data, shape, dtype)
    return {"": StoredArray(path.name, shape, dtype, rows)}


def open_npz(path: Path) -> dict[str, StoredArray]:
    """Return the arrays of a .npz file by name.

    Raises:
        DataFileError: If it is not a whole .npz file of plain arrays.
    """
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".npy"):
                continue
            name = member.filename.removesuffix(".npy")
            with archive.open(member) as stream:
                shape, fortran, dtype = _read_header(stream)
                begin = stream.tell()
            _require_size(math.prod(shape) * dtype.itemsize, member.file_size - begin)
            if member.file_size > MOST_DEFLATED * max(1, member.compress_size):
                raise DataFileError(f"`{name}` claims {member.file_size} bytes from {member.compress_size}.")
            arrays[name] = _member(path, member.filename, begin, shape, fortran, dtype)
    return arrays


def _member(
    path: Path, filename: str, begin: int, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[np.generic]
) -> StoredArray:
    @contextmanager
    def at_data() -> Iterator[IO[bytes]]:
        with zipfile.ZipFile(path) as archive, archive.open(filename) as stream:
            stream.read(begin)
            yield stream

    if not fortran:
        return StoredArray(filename.removesuffix(".npy"), shape, dtype, rows_in_order(at_data, shape, dtype))

    def read_by_columns(num_rows: int) -> Iterator[Array]:
        # A .zip member cannot seek cheaply: this one order of storage is held in memory whole.
        (flat,) = rows_in_order(at_data, (math.prod(shape),), dtype)(max(1, math.prod(shape)))
        array = flat.reshape(shape, order="F")
        yield from (array[start : start + num_rows] for start in range(0, shape[0], num_rows))

    return StoredArray(filename.removesuffix(".npy"), shape, dtype, read_by_columns)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise DataFileError(f"its format must be 1.0 or 2.0; found {version}.")
    if dtype.kind not in "biufc":
        raise DataFileError(f"it must hold numbers; found {dtype}.")
    return shape, fortran and len(shape) > 1, dtype


def _require_size(wanted: int, found: int) -> None:
    if wanted != found:
        raise DataFileError(f"its header wants {wanted} bytes of data; found {found}.")
