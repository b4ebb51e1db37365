r"""Quantised updates <-> bits: everything that a decoder needs beyond the architecture and theta_0.

    bits - 1 : 4 | scale format : 1 | scale of each tensor : 16 or 32 | indices, range-coded

One stream of the range coder, the fields in it as they are. The counts of the indices are learned as they pass, in
whole numbers, so no table travels; all tensors share them. A tensor whose scale is 0 has no indices.

Source: INRIC, section 3.3.1, stage 4: "a binarized arithmetic coding algorithm"; which one is not said, and the
authors' code has one table of frequencies for all tensors.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.coding.adaptive_integers import AdaptiveIntegers
from shared.coding.range_coder import RangeDecoder, RangeEncoder, decode_field, encode_field
from shared.errors import CodecError
from shared.inr.siren import Weights
from shared.inr.weight_quantizer import Grid, ScaleFormat, values_of

HALF = 16  # bits of a field at most, and of a float16


def encode_update(indices: Weights, grids: dict[str, Grid], scale_format: ScaleFormat = "float32") -> NDArray[np.uint8]:
    """Encode the update of one signal.

    Args:
        indices: Name -> [1, ...] int64, layer by layer.
        grids: Name -> the grid of each tensor, all of as many bits.
        scale_format: That the grids were made for.

    Returns:
        [length] uint8, each 0 or 1.

    Example:
        >>> grids = {"bias": Grid(bits=3, scale=torch.tensor([0.75]))}
        >>> bits = encode_update({"bias": torch.tensor([[1, 0, -3]])}, grids)
        >>> decode_update(bits, {"bias": (3,)})
        {'bias': tensor([[ 0.2500,  0.0000, -0.7500]])}
    """
    encoder, counts = RangeEncoder(), AdaptiveIntegers()
    encode_field(encoder, next(iter(grids.values())).bits - 1, 4)
    encode_field(encoder, int(scale_format == "float32"), 1)
    for name in indices:
        encode_scale(encoder, float(grids[name].scale), scale_format)
    for name, index in indices.items():
        if float(grids[name].scale) > 0:
            counts.encode(encoder, index.flatten().tolist())
    return encoder.bits()


def decode_update(
    bits: NDArray[np.uint8], tensors: dict[str, tuple[int, ...]], wanted_bits: int | None = None
) -> dict[str, Tensor]:
    """Invert `encode_update`, up to the update that the indices stand for.

    Args:
        bits: [length] uint8, each 0 or 1; what follows the code changes nothing.
        tensors: Name -> shape, see `SirenShape.tensors`.
        wanted_bits: Of an index; None for any.

    Returns:
        Name -> [1, ...] float32.

    Raises:
        CodecError: If a scale or an index is none that an encoder sends, or indices have other bits than wanted.
    """
    decoder, counts = RangeDecoder(bits), AdaptiveIntegers()
    width = decode_field(decoder, 4) + 1
    if wanted_bits not in (None, width):
        raise CodecError(f"`bits` must hold indices of {wanted_bits} bits; got {width}.")
    scale_format: ScaleFormat = "float32" if decode_field(decoder, 1) else "float16"
    grids = {name: Grid(width, torch.tensor([decode_scale(decoder, scale_format)])) for name in tensors}
    return values_of({name: _indices(decoder, counts, grids[name], size) for name, size in tensors.items()}, grids)


def encode_scale(encoder: RangeEncoder, scale: float, scale_format: ScaleFormat) -> None:
    """Write a scale, 16 or 32 bits."""
    if scale_format == "float16":
        encode_field(encoder, int(np.float16(scale).view(np.uint16)), HALF)
        return
    word = int(np.float32(scale).view(np.uint32))
    encode_field(encoder, word >> HALF, HALF)
    encode_field(encoder, word & 0xFFFF, HALF)


def decode_scale(decoder: RangeDecoder, scale_format: ScaleFormat) -> float:
    """Invert `encode_scale`.

    Raises:
        CodecError: If it is negative or not finite.
    """
    word = decode_field(decoder, HALF)
    if scale_format == "float16":
        scale = float(np.uint16(word).view(np.float16))
    else:
        scale = float(np.uint32(word << HALF | decode_field(decoder, HALF)).view(np.float32))
    if not 0 <= scale < math.inf:
        raise CodecError(f"`bits` must hold scales of weights, finite and not negative; got {scale}.")
    return scale


def _indices(decoder: RangeDecoder, counts: AdaptiveIntegers, grid: Grid, size: tuple[int, ...]) -> Tensor:
    """Read the indices of one tensor, [1, ...] int64."""
    if float(grid.scale) == 0:
        return torch.zeros(1, *size, dtype=torch.int64)
    index = torch.tensor(counts.decode(decoder, math.prod(size)))
    if index.min() < grid.lowest or index.max() > grid.highest:
        found = f"{index.min()} to {index.max()}"
        raise CodecError(f"`bits` must hold indices in [{grid.lowest}, {grid.highest}]; got {found}.")
    return index.reshape(1, *size)
