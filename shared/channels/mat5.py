"""MATLAB's version 5 .mat: numeric arrays that are read in pieces, and the cells and structs around small ones.

    128 bytes of header | elements: (type, bytes) data, padded to 8; deflated ones hold one element
    matrix element: flags | dimensions | name | real part | imaginary part      cell: flags | ... | matrix elements
    struct: flags | dimensions | name | length of a field name | field names | matrix elements

Source: MathWorks, MAT-File Format (R2023b), chapter 1. Not SciPy's `loadmat`: that holds the whole array several
times over, and a flipped bit could end the process where a sentence is wanted. Every size is held against what is there
before anything is read. Characters, sparse arrays and objects are passed over.
"""

import io
import math
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from shared.channels.stored import PIECE_BYTES, Array, StoredArray, rows_across_columns
from shared.errors import DataFileError

HEADER_BYTES = 128
ORDER_OF = {b"IM": "<", b"MI": ">"}
MI_MATRIX, MI_COMPRESSED = 14, 15
MI_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CELL, STRUCT = 1, 2
NUMERIC = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
IS_COMPLEX = 0x0800
MOST_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Cells:
    """A cell array or a struct array.

    Attributes:
        shape: Its dimensions.
        fields: Names of the fields; a cell array has one, "".
        items: [cell or struct, field], column-major.
    """

    shape: tuple[int, ...]
    fields: tuple[str, ...]
    items: list["Array | Cells | None"]


class _Source(Protocol):
    def read(self, size: int) -> bytes: ...


class _Inflated:
    """What a deflated element holds, as a stream that never inflates more than is asked for."""

    def __init__(self, stream: IO[bytes], length: int) -> None:
        self.begin, self.length, self.position = stream.tell(), length, 0
        self._stream, self._left = stream, length
        self._decompressor = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer at the end."""
        parts, wanted = [], size
        while wanted:
            content = self._decompressor.unconsumed_tail
            if not content and self._left:
                content = self._stream.read(min(self._left, 65536))
                self._left -= len(content)
            part = self._decompressor.decompress(content, wanted)
            if not part and not content:
                break
            parts.append(part)
            wanted -= len(part)
        self.position += size - wanted
        return b"".join(parts)

    def require_end(self) -> None:
        """Raise unless all has been read: at the end the checksum is compared."""
        if self.read(1) or not self._decompressor.eof:
            raise DataFileError("a compressed array does not end where its dimensions say.")


def is_mat5(path: Path) -> bool:
    """Return whether a file starts as MATLAB v5 does."""
    with path.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    return len(header) == HEADER_BYTES and header[126:] in ORDER_OF and 1 in header[124:126]


def open_mat5(path: Path) -> dict[str, "StoredArray | Cells"]:
    """Return the numeric arrays, cell arrays and struct arrays of a file by name.

    Args:
        path: A MATLAB v5 file. A large deflated array is inflated into a temporary file.

    Raises:
        DataFileError: If it is not a whole MATLAB v5 file.
    """
    found: dict[str, StoredArray | Cells] = {}
    size = path.stat().st_size
    with path.open("rb") as stream:
        order = ORDER_OF[stream.read(HEADER_BYTES)[126:]]
        while stream.tell() < size:
            kind, length = np.frombuffer(_exactly(stream, 8), f"{order}u4").tolist()
            begin = stream.tell()
            if length > size - begin:
                raise DataFileError(f"an element wants {length} bytes; {size - begin} are left.")
            source: _Source = stream
            if kind == MI_COMPRESSED:
                source = _Inflated(stream, length)
                kind, _ = np.frombuffer(_exactly(source, 8), f"{order}u4").tolist()
            if kind == MI_MATRIX:
                name, value = _matrix(source, order, path, 0)
                if value is not None:
                    found[name] = value
                    if isinstance(source, _Inflated):
                        source.require_end()
            stream.seek(begin + length)
    return found


def _matrix(source: _Source, order: str, path: Path, depth: int) -> tuple[str, "StoredArray | Cells | None"]:
    """Read what follows the tag of a matrix element: its name, and what it holds if that is of use."""
    flags = _small(source, order, "u4")
    dims = tuple(int(n) for n in _small(source, order, "i4"))
    name = bytes(_small(source, order, "i1")).decode("latin-1")
    if len(flags) != 2 or len(dims) < 2 or min(dims) < 0 or math.prod(dims) > 2**48:
        raise DataFileError(f"the array `{name}` has impossible dimensions, {list(dims)}.")
    kind, of_complex = int(flags[0]) & 0xFF, bool(flags[0] & IS_COMPLEX)
    if kind in (CELL, STRUCT):
        return name, _cells(source, order, path, kind, dims, depth)
    if kind not in NUMERIC:
        return name, None
    dtype = np.dtype(NUMERIC[kind])
    real = _part(source, order, path, name, dims)
    if not of_complex:
        return name, _cast(real, dtype)
    imaginary = _part(source, order, path, name, dims)
    return name, _complex(real, imaginary, np.result_type(dtype, np.complex64))


def _cells(source: _Source, order: str, path: Path, kind: int, dims: tuple[int, ...], depth: int) -> Cells:
    if depth > MOST_DEPTH:
        raise DataFileError(f"cells and structs are nested deeper than {MOST_DEPTH}.")
    fields: tuple[str, ...] = ("",)
    if kind == STRUCT:
        width = max(1, int(_small(source, order, "i4")[0]))
        names = bytes(_small(source, order, "i1"))
        fields = tuple(names[i : i + width].split(b"\0")[0].decode("latin-1") for i in range(0, len(names), width))
    items: list[Array | Cells | None] = []
    for _ in range(math.prod(dims) * len(fields)):
        tag, length = np.frombuffer(_exactly(source, 8), f"{order}u4").tolist()
        if tag != MI_MATRIX:
            raise DataFileError(f"a cell must hold an array (type {MI_MATRIX}); found type {tag}.")
        # Read whole, so that what is passed over (characters, say) is passed over whole.
        value = _matrix(io.BytesIO(_exactly(source, length)), order, path, depth + 1)[1] if length else None
        items.append(value.load() if isinstance(value, StoredArray) else value)
    return Cells(dims, fields, items)


def _small(source: _Source, order: str, dtype: str) -> Array:
    """Read a small element whole: flags, dimensions, names."""
    kind, length, content = _tag(source, order)
    if length > 1_000_000:
        raise DataFileError(f"a header of {length} bytes is none.")
    if content is None:
        content = _exactly(source, length + -length % 8)
    if MI_TYPES.get(kind, "")[1:] != dtype[1:] or length % int(dtype[1:]):
        raise DataFileError(f"a header must be of type {dtype}; found element type {kind} of {length} bytes.")
    return np.frombuffer(content[:length], f"{order}{dtype}")


def _tag(source: _Source, order: str) -> tuple[int, int, bytes | None]:
    """Read a tag: type, bytes, and the data if they stand in the tag itself (at most 4 bytes)."""
    tag = _exactly(source, 8)
    kind, length = np.frombuffer(tag, f"{order}u4").tolist()
    if kind >> 16:
        return kind & 0xFFFF, min(kind >> 16, 4), tag[4:]
    return kind, length, None


def _part(source: _Source, order: str, path: Path, name: str, dims: tuple[int, ...]) -> StoredArray:
    """Return the real or the imaginary part, in the type in which it is stored, and pass it by."""
    kind, length, content = _tag(source, order)
    if kind not in MI_TYPES:
        raise DataFileError(f"numbers cannot be of element type {kind}.")
    dtype = np.dtype(f"{order}{MI_TYPES[kind]}")
    if length != math.prod(dims) * dtype.itemsize:
        raise DataFileError(f"an array {list(dims)} of {dtype} wants other than the {length} bytes found.")
    if content is None and length > PIECE_BYTES and not isinstance(source, io.BytesIO):
        return StoredArray(name, dims, dtype, _on_disk(source, path, length, dims, dtype))
    content = _exactly(source, length + -length % 8) if content is None else content
    array = np.frombuffer(content[:length], dtype).reshape(dims, order="F")
    return StoredArray(name, dims, dtype, _in_memory(array))


def _in_memory(array: Array) -> Callable[[int], Iterator[Array]]:
    def read(num_rows: int) -> Iterator[Array]:
        return (array[start : start + num_rows] for start in range(0, len(array), num_rows))

    return read


def _on_disk(
    source: _Source, path: Path, length: int, dims: tuple[int, ...], dtype: np.dtype[np.generic]
) -> Callable[[int], Iterator[Array]]:
    """Return how to read a large column-major part, and pass it by."""
    if isinstance(source, _Inflated):
        at_data = _at_inflated(path, source.begin, source.length, source.position, length)
        _copy(source, length + -length % 8, None)
    else:
        begin = source.tell()  # type: ignore[attr-defined]
        at_data = _at(path, begin)
        end = begin + length + -length % 8
        if path.stat().st_size < end:
            raise DataFileError(f"the data break off: {length} bytes wanted.")
        source.seek(end)  # type: ignore[attr-defined]
    return rows_across_columns(at_data, dims, dtype)


def _at(path: Path, begin: int) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with path.open("rb") as stream:
            stream.seek(begin)
            yield stream

    return opened


def _at_inflated(
    path: Path, begin: int, compressed: int, skip: int, length: int
) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    """Return what inflates a part into a temporary file: its rows lie across all of its columns."""

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with path.open("rb") as stream, tempfile.TemporaryFile() as file:
            stream.seek(begin)
            source = _Inflated(stream, compressed)
            _copy(source, skip, None)
            _copy(source, length, file)
            file.seek(0)
            yield file

    return opened


def _copy(source: _Source, length: int, file: IO[bytes] | None) -> None:
    """Read ``length`` bytes piece by piece, into a file or nowhere."""
    while length:
        content = _exactly(source, min(length, PIECE_BYTES))
        length -= len(content)
        if file:
            file.write(content)


def _cast(part: StoredArray, dtype: np.dtype[np.generic]) -> StoredArray:
    def read(num_rows: int) -> Iterator[Array]:
        return (piece.astype(dtype) for piece in part.read(num_rows))

    return StoredArray(part.name, part.shape, dtype, read)


def _complex(real: StoredArray, imaginary: StoredArray, dtype: np.dtype[np.generic]) -> StoredArray:
    def read(num_rows: int) -> Iterator[Array]:
        for re, im in zip(real.read(num_rows), imaginary.read(num_rows), strict=True):
            piece = np.empty(re.shape, dtype)
            piece.real, piece.imag = re, im
            yield piece

    return StoredArray(real.name, real.shape, dtype, read)


def _exactly(source: _Source, size: int) -> bytes:
    content = source.read(size)
    if len(content) != size:
        raise DataFileError(f"the data break off: {size} bytes wanted, {len(content)} found.")
    return content
