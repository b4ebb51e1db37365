"""Arrays in files, read in pieces, so that their size need not fit in memory."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from shared.errors import DataFileError

Array = NDArray[np.generic]
PIECE_BYTES = 4 * 2**20  # what is computed from a piece takes some ten times as much


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array in a file.

    Attributes:
        name: Its name, or its file's where it has none.
        shape: Shape; the first axis is the one that is read in pieces.
        dtype: Type of what `rows` yields.
        read: (rows of a piece) -> the pieces in order, [n, ...] each.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    read: Callable[[int], Iterator[Array]]

    def rows(self) -> Iterator[Array]:
        """Yield the array in pieces of about `PIECE_BYTES`.

        Raises:
            DataFileError: If the file breaks off or is damaged.
        """
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        return self.read(max(1, PIECE_BYTES // max(1, row_bytes)))

    def load(self) -> Array:
        """Return the whole array.

        Raises:
            DataFileError: If the file breaks off or is damaged.
        """
        pieces = list(self.rows())
        return np.concatenate(pieces) if pieces else np.zeros(self.shape, self.dtype)


def rows_in_order(
    open_at_data: Callable[[], AbstractContextManager[IO[bytes]]], shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> Callable[[int], Iterator[Array]]:
    """Return a `StoredArray.read` for row-major data that streams from ``open_at_data``."""

    def read(num_rows: int) -> Iterator[Array]:
        with open_at_data() as stream:
            for start in range(0, shape[0], num_rows):
                piece = np.empty((min(num_rows, shape[0] - start), *shape[1:]), dtype)
                _fill(stream, piece)
                yield piece
            stream.read(1)  # the end of a .zip member is where its CRC is checked

    return read


def rows_across_columns(
    open_at_data: Callable[[], AbstractContextManager[IO[bytes]]],
    shape: tuple[int, ...],
    dtype: np.dtype[np.generic],
) -> Callable[[int], Iterator[Array]]:
    """Return a `StoredArray.read` for column-major data (MATLAB's, Fortran's) in a file that can seek."""

    def read(num_rows: int) -> Iterator[Array]:
        num_columns = math.prod(shape[1:])
        with open_at_data() as stream:
            begin = stream.tell()
            for start in range(0, shape[0], num_rows):
                n = min(num_rows, shape[0] - start)
                piece = np.empty((num_columns, n), dtype)
                for column in range(num_columns):
                    stream.seek(begin + (column * shape[0] + start) * dtype.itemsize)
                    _fill(stream, piece[column])
                yield piece.T.reshape(n, *shape[1:], order="F")

    return read


def _fill(stream: IO[bytes], piece: Array) -> None:
    """Read into a contiguous piece."""
    left = memoryview(piece.reshape(-1).view(np.uint8).data)
    while left:
        n = stream.readinto(left)  # type: ignore[attr-defined]  # binary streams have it, IO does not say so
        if not n:
            raise DataFileError(f"the data break off: {len(left)} more bytes wanted.")
        left = left[n:]
