"""A picture as the weights of a network, in a file.

"INR1" | method : 8 | colours : 8 | height : 16 | width : 16 | network's width : 16 | hidden layers : 8
       | frequencies : 8 | SHA-256 of the start, first 8 bytes; 0: none | CRC-32 of all else | bits, padded to bytes

All of it is counted. The network is `shared.inr.siren.SirenShape`'s with sigma 1.4 and omega_0 30. Methods: 1 INRIC, 2
CoINR, 3 COIN (weights as float16).
"""

import math
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.coding.bits import pack
from shared.errors import CodecError, DataFileError
from shared.experiments.picture import LEAST_SIDE, Picture, picture_of
from shared.inr.bitstream import decode_update
from shared.inr.siren import SirenShape, Weights, signal_of
from shared.inr.sparse_dictionary import decode_sparse, from_sparse
from shared.networks.coordinates import centred_grid

MAGIC = b"INR1"
HEADER = struct.Struct(">4sBBHHHBB8sI")
DIGEST_BYTES = 8
POINTS = 1 << 16  # evaluated at once


class Method(IntEnum):
    """How the weights are written; the numbers are never reused."""

    INRIC = 1
    COINR = 2
    COIN = 3


@dataclass(frozen=True, slots=True)
class PictureFile:
    """What a file holds.

    Attributes:
        method: How the weights are written.
        shape: The network.
        height: Of the picture.
        width: Of the picture.
        start_digest: First bytes of the SHA-256 of the meta-learned start; zeros for none.
        bits: [length] uint8, each 0 or 1.
    """

    method: Method
    shape: SirenShape
    height: int
    width: int
    start_digest: bytes
    bits: NDArray[np.uint8]


def to_bytes(file: PictureFile) -> bytes:
    """Return the file."""
    shape = file.shape
    fields = (
        *(MAGIC, file.method, shape.num_outputs, file.height, file.width),
        *(shape.width, shape.num_hidden, shape.num_frequencies, file.start_digest),
    )
    payload = pack(file.bits[None], np.array([len(file.bits)]))
    crc = zlib.crc32(HEADER.pack(*fields, 0) + payload)
    return HEADER.pack(*fields, crc) + payload


def from_bytes(data: bytes) -> PictureFile:
    """Invert `to_bytes`.

    Raises:
        DataFileError: If it is no such file, or an altered one.
    """
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise DataFileError("`decode` must be a file that `csi-lab inr` wrote; it does not begin like one.")
    _, method, colours, height, width, neurons, hidden, frequencies, digest, crc = HEADER.unpack_from(data)
    payload = data[HEADER.size :]
    if zlib.crc32(data[: HEADER.size - 4] + bytes(4) + payload) != crc:
        raise DataFileError("`decode` must be a file as `csi-lab inr` wrote it; this one was altered or cut off.")
    if method not in list(Method) or colours not in (1, 3) or min(height, width) < LEAST_SIDE or not neurons:
        raise DataFileError("`decode` must be of a method and a size that this version knows; it is not.")
    shape = SirenShape(neurons, hidden, colours, frequencies)
    return PictureFile(Method(method), shape, height, width, digest, np.unpackbits(np.frombuffer(payload, np.uint8)))


def decode_picture(file: PictureFile, start: Weights) -> Picture:
    """Return the picture of a file.

    Args:
        file: The file.
        start: Name -> [...] float32, theta_0 (zeros for none).

    Raises:
        DataFileError: If its bits are no weights.
    """
    try:
        update = _update(file)
    except CodecError as error:
        raise DataFileError(f"`decode` must hold the weights of a network: {error}") from error
    weights = {name: start[name] + tensor for name, tensor in update.items()}
    return picture_of(values_on_grid(file.shape, weights, file.height, file.width), file.height, file.width)


@torch.no_grad()
def values_on_grid(shape: SirenShape, weights: Weights, height: int, width: int) -> Tensor:
    """Return [height * width, num_outputs] float32 of one signal's weights."""
    points = torch.split(centred_grid(height, width), POINTS)
    return torch.cat([signal_of(shape, weights, shape.features(part)) for part in points])


def float16_bits(weights: Weights) -> NDArray[np.uint8]:
    """Return COIN's bits: every weight as float16, 16 bits each, as they are."""
    flat = torch.cat([tensor.flatten() for tensor in weights.values()])
    return np.unpackbits(np.frombuffer(flat.numpy().astype(">f2").tobytes(), np.uint8))


def _update(file: PictureFile) -> Weights:
    """Return name -> [...] float32."""
    if file.method is Method.INRIC:
        return {name: tensor[0] for name, tensor in decode_update(file.bits, file.shape.tensors).items()}
    if file.method is Method.COINR:
        return from_sparse(file.shape, decode_sparse(file.bits, file.shape))
    if len(file.bits) != 16 * file.shape.num_weights:
        raise CodecError(f"`bits` must be {16 * file.shape.num_weights} bits; got {len(file.bits)}.")
    flat = torch.from_numpy(np.frombuffer(np.packbits(file.bits).tobytes(), ">f2").astype(np.float32))
    parts = torch.split(flat, [math.prod(size) for size in file.shape.tensors.values()])
    return {name: part.reshape(size) for (name, size), part in zip(file.shape.tensors.items(), parts, strict=True)}
