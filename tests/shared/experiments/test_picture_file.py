"""Pictures as weights in a file."""

import struct
import zlib

import numpy as np
import pytest
import torch

from shared.errors import DataFileError
from shared.experiments.picture_file import (
    HEADER,
    Method,
    PictureFile,
    decode_picture,
    float16_bits,
    from_bytes,
    to_bytes,
    values_on_grid,
)
from shared.inr.bitstream import encode_update
from shared.inr.siren import SirenShape, of_signal, signal_of
from shared.inr.sparse_dictionary import SparseOptions, encode_sparse, to_sparse
from shared.inr.weight_quantizer import grids_of, indices_of
from shared.networks.coordinates import centred_grid

SHAPE = SirenShape(width=6, num_hidden=1, num_outputs=3, num_frequencies=2)
NO_START = bytes(8)


def file_of(method: Method, shape: SirenShape = SHAPE) -> PictureFile:
    weights = shape.random_weights(1)
    if method is Method.INRIC:
        grids = grids_of(weights, 8)
        bits = encode_update(indices_of(weights, grids), grids)
    elif method is Method.COINR:
        bits = encode_sparse(to_sparse(shape, of_signal(weights, 0), SparseOptions()))
    else:
        bits = float16_bits(of_signal(weights, 0))
    return PictureFile(method, shape, 9, 12, NO_START, bits)


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("num_outputs", [1, 3])
def test_a_file_gives_the_picture_of_its_weights(method: Method, num_outputs: int) -> None:
    file = file_of(method, SirenShape(width=6, num_hidden=1, num_outputs=num_outputs, num_frequencies=2))
    again = from_bytes(to_bytes(file))
    assert (again.method, again.shape, again.height, again.width) == (method, file.shape, 9, 12)
    picture = decode_picture(again, file.shape.zero_weights())
    assert picture.pixels.shape == (9, 12, num_outputs)
    assert np.array_equal(picture.pixels, decode_picture(file, file.shape.zero_weights()).pixels)
    exact = values_on_grid(file.shape, of_signal(file.shape.random_weights(1), 0), 9, 12)
    if method is not Method.COINR:  # with so few values a vector it is far off
        assert (picture.values() - exact.clamp(-1, 1)).abs().max() < 0.1


def test_all_of_a_file_is_header_and_whole_bytes_of_its_bits() -> None:
    file = file_of(Method.INRIC)
    assert len(to_bytes(file)) == HEADER.size + -(-len(file.bits) // 8)
    assert HEADER.size == 26


def test_a_start_is_added() -> None:
    file, start = file_of(Method.COIN), {name: torch.ones(size) for name, size in SHAPE.tensors.items()}
    plain, shifted = decode_picture(file, SHAPE.zero_weights()), decode_picture(file, start)
    assert not np.array_equal(plain.pixels, shifted.pixels)


def test_values_on_a_grid_are_the_signal_row_by_row() -> None:
    weights = of_signal(SHAPE.random_weights(1), 0)
    wanted = signal_of(SHAPE, weights, SHAPE.features(centred_grid(9, 12)))
    torch.testing.assert_close(values_on_grid(SHAPE, weights, 9, 12), wanted)


@pytest.mark.parametrize("method", list(Method))
def test_a_file_that_was_altered_or_cut_off_is_refused(method: Method) -> None:
    data = bytearray(to_bytes(file_of(method)))
    for place in (9, 20, len(data) - 1):
        wrong = data.copy()
        wrong[place] ^= 4
        with pytest.raises(DataFileError, match="this one was altered or cut off"):
            from_bytes(bytes(wrong))
    with pytest.raises(DataFileError, match="this one was altered or cut off"):
        from_bytes(bytes(data[:-1]))


@pytest.mark.parametrize("data", [b"", b"INR1", b"\x89PNG" + bytes(100)])
def test_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(DataFileError, match="it does not begin like one"):
        from_bytes(data)


def test_a_method_that_nobody_knows_is_refused() -> None:
    fields = (b"INR1", 9, 3, 9, 12, 6, 1, 2, NO_START)
    data = struct.pack(">4sBBHHHBB8sI", *fields, zlib.crc32(struct.pack(">4sBBHHHBB8sI", *fields, 0)))
    with pytest.raises(DataFileError, match="must be of a method and a size that this version knows"):
        from_bytes(data)


def test_bits_that_are_no_weights_are_refused() -> None:
    file = PictureFile(Method.COIN, SHAPE, 9, 12, NO_START, np.zeros(80, dtype=np.uint8))
    with pytest.raises(DataFileError, match="`decode` must hold the weights of a network"):
        decode_picture(file, SHAPE.zero_weights())
