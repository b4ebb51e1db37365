"""MATLAB v5 against SciPy's writer, and on damaged bytes."""

import contextlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import savemat

from shared.channels.file import load_file
from shared.channels.mat5 import Cells, is_mat5, open_mat5
from shared.channels.stored import PIECE_BYTES, StoredArray
from shared.errors import DataFileError

RANDOM = np.random.default_rng(1)


def array_of(value: StoredArray | Cells) -> NDArray[np.generic]:
    assert isinstance(value, StoredArray)
    array = value.load()
    assert (array.shape, array.dtype) == (value.shape, value.dtype)
    return array


@pytest.mark.parametrize("compressed", [False, True])
def test_numeric_arrays_are_those_that_scipy_wrote(tmp_path: Path, compressed: bool) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "double": RANDOM.standard_normal((30, 20)),
        "single": RANDOM.standard_normal((3, 4, 5)).astype(np.float32),
        "complex": (RANDOM.standard_normal((5, 7)) + 1j * RANDOM.standard_normal((5, 7))).astype(np.complex64),
        "complex128": RANDOM.standard_normal((2, 2)) * 1j,
        "integer": RANDOM.integers(-5, 5, (4, 6), dtype=np.int16),
        "one": np.array([[7]], dtype=np.uint8),
        "none": np.zeros((0, 3)),
    }
    path = tmp_path / "a.mat"
    savemat(path, {**arrays, "text": "abc", "mask": np.array([[True, False]])}, do_compression=compressed)
    found = open_mat5(path)
    assert set(found) >= set(arrays)
    assert "text" not in found
    for name, wanted in arrays.items():
        array = array_of(found[name])
        assert array.dtype == wanted.dtype
        assert np.array_equal(array, wanted)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_large_array_is_read_in_pieces_in_order(tmp_path: Path, compressed: bool) -> None:
    wanted = RANDOM.integers(0, 9, (2100, 2048)).astype(np.float32)
    path = tmp_path / "a.mat"
    savemat(path, {"HT": wanted, "after": np.eye(2)}, do_compression=compressed)
    found = open_mat5(path)
    large = found["HT"]
    assert isinstance(large, StoredArray)
    pieces = list(large.rows())
    assert len(pieces) > 1
    assert max(piece.nbytes for piece in pieces) <= PIECE_BYTES
    assert np.array_equal(np.concatenate(pieces), wanted)
    assert np.array_equal(large.load(), wanted), "a second reading"
    assert np.array_equal(array_of(found["after"]), np.eye(2))


def test_cells_and_structs_come_back_with_their_fields(tmp_path: Path) -> None:
    users = np.empty((1, 3), dtype=object)
    users[0] = [{"p": np.arange(6.0).reshape(2, 3), "name": "first"}, {"p": np.zeros((8, 0)), "name": "x"}, "text"]
    savemat(tmp_path / "a.mat", {"channels": users})
    cells = open_mat5(tmp_path / "a.mat")["channels"]
    assert isinstance(cells, Cells)
    assert (cells.shape, cells.fields) == ((1, 3), ("",))
    first, second, third = cells.items
    assert isinstance(first, Cells)
    assert isinstance(second, Cells)
    assert first.fields == ("p", "name")
    assert np.array_equal(np.asarray(first.items[0]), np.arange(6.0).reshape(2, 3))
    assert np.asarray(second.items[0]).shape == (8, 0)
    assert third is None, "characters are passed over"


def test_a_big_endian_file_is_read(tmp_path: Path) -> None:
    def element(kind: int, content: bytes) -> bytes:
        return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)

    body = element(6, struct.pack(">II", 6, 0)) + element(5, struct.pack(">ii", 1, 2)) + element(1, b"HT")
    body += element(9, struct.pack(">dd", 0.25, -3))
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    (tmp_path / "a.mat").write_bytes(header + element(14, body))
    assert is_mat5(tmp_path / "a.mat")
    assert np.array_equal(array_of(open_mat5(tmp_path / "a.mat")["HT"]), [[0.25, -3]])


def changed(content: bytes, at: int, change: bytes) -> bytes:
    at %= len(content)
    return content[:at] + change + content[at + len(change) :]


@pytest.mark.parametrize("kind", ["plain", "compressed", "cells"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(at=315, change=b"F", cut=0)  # a power of 10^200 dBm
@given(at=st.integers(0, 600), change=st.binary(min_size=1, max_size=4), cut=st.integers(0, 600))
def test_damaged_bytes_give_a_sentence_or_channels_and_nothing_else(
    tmp_path: Path, kind: str, at: int, change: bytes, cut: int
) -> None:
    path = tmp_path / f"{kind}.mat"
    if kind == "cells":
        users = np.empty((1, 2), dtype=object)
        users[:] = [[{"p": np.ones((8, 2), np.float32)}, {"p": np.zeros((8, 0), np.float32)}]]
        savemat(path, {"channels": users})
    else:
        savemat(path, {"HT": np.linspace(0, 1, 4096).reshape(2, 2048)}, do_compression=kind == "compressed")
    content = changed(path.read_bytes(), at, change)
    path.write_bytes(content[: len(content) - cut] if cut < 300 else content)
    with contextlib.suppress(DataFileError):
        assert load_file(path).h.isfinite().all()


@pytest.mark.parametrize("at", range(200, 340, 7))
def test_one_altered_byte_of_a_compressed_array_never_gives_other_numbers(tmp_path: Path, at: int) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"HT": np.random.default_rng(1).random((2, 2048))}, do_compression=True)
    path.write_bytes(changed(path.read_bytes(), at, bytes([path.read_bytes()[at] ^ 16])))
    with pytest.raises(DataFileError, match=r"cannot be read as \.mat"):
        load_file(path)
