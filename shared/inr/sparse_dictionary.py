r"""CoINR: the vectors of an update, or of codewords, as a few atoms each of a dictionary that both sides draw.

    w [k_1] ~ A x,  A [k_1, k_2] Gaussian from a seed,  x of s values, 2 s < k_1   (orthogonal matching pursuit)
    values -> 16-bit grid;  atoms, in increasing order -> gaps;  biases -> 16-bit grid    -> range coder

    seed : 16 | k_2 / k_1 : 8 | a tensor: scale : 32 (and s : 16 if it is a matrix) | numbers, range-coded

A vector is k weights: a column of the first layer, a row of the others. A "tiny" network, of fewer than 50 neurons a
layer, has vectors too short for it: there each matrix is one vector. Biases are not made sparse. Codewords of many
reports (the paper's setting of COIN++) are one matrix, a report a row, and flattened likewise where they are short.

Source: CoINR, "Compressed implicit neural representations", section 3. Not in its text, so ours: k_2 = 4 k_1, s (see
`most_nonzero`), columns of unit length. In place of 16-bit indices and Brotli, gaps and the range coder, which is
shorter (a test holds them side by side).
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.coding.adaptive_integers import AdaptiveIntegers
from shared.coding.matching_pursuit import SparseCodes, from_atoms, gaussian_dictionary, orthogonal_matching_pursuit
from shared.coding.range_coder import RangeDecoder, RangeEncoder, decode_field, encode_field
from shared.errors import CodecError, require_in_range
from shared.inr.bitstream import decode_scale, encode_scale
from shared.inr.siren import SirenShape, Weights, require_tensors
from shared.inr.weight_quantizer import Grid, grids_of

TINY = 50  # neurons of a layer, below which a matrix is one vector


@dataclass(frozen=True, slots=True)
class CodewordShape:
    """The codewords of several reports, of `csi-inr` say, as the one matrix of an update.

    Attributes:
        num_reports: Sent together.
        num_latents: n, of a codeword.

    Example:
        >>> CodewordShape(num_reports=16, num_latents=32).tensors
        {'codewords.weight': (16, 32)}
    """

    num_reports: int
    num_latents: int

    @property
    def width(self) -> int:
        """Length of a row."""
        return self.num_latents

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape, as of a `SirenShape`."""
        return {"codewords.weight": (self.num_reports, self.num_latents)}


Shape: TypeAlias = SirenShape | CodewordShape


@dataclass(frozen=True, slots=True)
class SparseOptions:
    """How to make an update sparse.

    Attributes:
        share: s / k_1, below 1/2 for 2 s < k_1.
        atoms_ratio: k_2 / k_1.
        bits: Of a value's or a bias's index.
        seed: Of the dictionaries.
    """

    share: float = 0.5
    atoms_ratio: int = 4
    bits: int = 16
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what the header does not hold."""
        require_in_range("share", self.share, 0.0, 0.5)
        require_in_range("atoms_ratio", self.atoms_ratio, 1, 255)
        require_in_range("bits", self.bits, 2, 16)
        require_in_range("seed", self.seed, 0, 2**16 - 1)


@dataclass(frozen=True, slots=True)
class SparseUpdate:
    """An update as what is sent of it.

    Attributes:
        options: How it was made sparse.
        atoms: Name of each matrix -> [num_vectors, s] int64, increasing.
        indices: Name of each tensor -> int64, [num_vectors, s] of the values of a matrix, [...] of a bias.
        grids: Name -> the grid of these.
    """

    options: SparseOptions
    atoms: dict[str, Tensor]
    indices: dict[str, Tensor]
    grids: dict[str, Grid]


def most_nonzero(length: int, share: float = 0.5) -> int:
    """Return s for vectors of some length: that share of it, at least 1, and 2 s < length where that can be.

    Example:
        >>> most_nonzero(64), most_nonzero(64, 0.25), most_nonzero(1)
        (31, 16, 1)
    """
    return max(1, min(round(share * length), (length - 1) // 2))


def to_sparse(shape: Shape, update: Weights, options: SparseOptions) -> SparseUpdate:
    """Make the update of one signal sparse.

    Args:
        shape: The architecture, or how many codewords of which length.
        update: Name -> [...] float32, weights less their start, or codewords.
        options: How.

    Raises:
        InvalidArgumentError: If the weights are not those of the architecture, or not finite.
    """
    require_tensors(update, shape.tensors, "update")
    atoms, numbers = {}, {}
    for name, tensor in update.items():
        if name.endswith(".bias"):
            numbers[name] = tensor
            continue
        vectors = _vectors(shape, name, tensor)
        dictionary = _dictionary(vectors.shape[1], options)
        num_nonzero = most_nonzero(vectors.shape[1], options.share)
        codes = orthogonal_matching_pursuit(vectors.double(), dictionary, num_nonzero)
        atoms[name], order = codes.atoms.sort(dim=1)
        numbers[name] = codes.values.gather(1, order).float()
    grids = grids_of({name: tensor[None] for name, tensor in numbers.items()}, options.bits)
    indices = {name: grids[name].index(tensor[None])[0] for name, tensor in numbers.items()}
    return SparseUpdate(options, atoms, indices, grids)


def from_sparse(shape: Shape, sparse: SparseUpdate) -> dict[str, Tensor]:
    """Return the update that is sent: name -> [...] float32."""
    update = {}
    for name, size in shape.tensors.items():
        numbers = sparse.grids[name].value(sparse.indices[name][None])[0]
        if name in sparse.atoms:
            length = _length(shape, name)
            codes = SparseCodes(sparse.atoms[name], numbers.double())
            numbers = _from_vectors(shape, name, from_atoms(codes, _dictionary(length, sparse.options)).float())
        update[name] = numbers.reshape(size)
    return update


def encode_sparse(sparse: SparseUpdate) -> NDArray[np.uint8]:
    """Encode a sparse update: [length] uint8, each 0 or 1."""
    encoder, gaps, numbers = RangeEncoder(), AdaptiveIntegers(signed=False), AdaptiveIntegers()
    encode_field(encoder, sparse.options.seed, 16)
    encode_field(encoder, sparse.options.atoms_ratio, 8)
    encode_field(encoder, sparse.options.bits - 1, 4)
    for name, index in sparse.indices.items():
        encode_scale(encoder, float(sparse.grids[name].scale), "float32")
        if name in sparse.atoms:
            atoms = sparse.atoms[name]
            encode_field(encoder, atoms.shape[1], 16)
            gaps.encode(encoder, (atoms.diff(dim=1, prepend=torch.full((len(atoms), 1), -1)) - 1).flatten().tolist())
        numbers.encode(encoder, index.flatten().tolist())
    return encoder.bits()


def decode_sparse(bits: NDArray[np.uint8], shape: Shape, wanted: SparseOptions | None = None) -> SparseUpdate:
    """Invert `encode_sparse`.

    Args:
        bits: [length] uint8, each 0 or 1.
        shape: The architecture.
        wanted: How the update must have been made sparse; None to believe the bits, of which a few wrong ones may ask
            for a dictionary of gigabytes.

    Raises:
        CodecError: If the bits are no sparse update of this architecture, or of other options.
    """
    decoder, gaps, numbers = RangeDecoder(bits), AdaptiveIntegers(signed=False), AdaptiveIntegers()
    seed, ratio, width = decode_field(decoder, 16), decode_field(decoder, 8), decode_field(decoder, 4) + 1
    if ratio < 1 or width < 2:
        raise CodecError(
            f"`bits` must hold a dictionary and values of 2 bits or more; got {ratio} times, {width} bits."
        )
    options = SparseOptions(atoms_ratio=ratio, bits=width, seed=seed)
    if wanted is not None:
        found, asked = (ratio, width, seed), (wanted.atoms_ratio, wanted.bits, wanted.seed)
        if found != asked:
            raise CodecError(f"`bits` must hold atoms ratio, bits and seed {asked}; got {found}.")
        options = wanted
    atoms, indices, grids = {}, {}, {}
    for name, size in shape.tensors.items():
        grids[name] = Grid(width, torch.tensor([decode_scale(decoder, "float32")]))
        if name.endswith(".weight"):
            length = _length(shape, name)
            num_nonzero = decode_field(decoder, 16)
            if not 1 <= num_nonzero <= length or (wanted and num_nonzero != most_nonzero(length, wanted.share)):
                most = most_nonzero(length, wanted.share) if wanted else f"1 to {length}"
                raise CodecError(f"`bits` must hold {most} values a vector of {name}; got {num_nonzero}.")
            size = (math.prod(size) // length, num_nonzero)  # noqa: PLW2901
            steps = torch.tensor(gaps.decode(decoder, math.prod(size))).reshape(size) + 1
            atoms[name] = steps.cumsum(dim=1) - 1
            if atoms[name].max() >= ratio * length:
                raise CodecError(f"`bits` must hold atoms below {ratio * length}; got {atoms[name].max()}.")
        indices[name] = torch.tensor(numbers.decode(decoder, math.prod(size))).reshape(size)
        if indices[name].abs().max() > grids[name].highest:
            raise CodecError(f"`bits` must hold indices of {width} bits; got {indices[name].abs().max()}.")
    return SparseUpdate(options, atoms, indices, grids)


def _length(shape: Shape, name: str) -> int:
    """Return k_1, the length of a matrix's vectors."""
    return math.prod(shape.tensors[name]) if shape.width < TINY else shape.width


def _vectors(shape: Shape, name: str, matrix: Tensor) -> Tensor:
    """Return the vectors of a matrix, [num_vectors, k_1]."""
    return (matrix.T if name == "first.weight" else matrix).reshape(-1, _length(shape, name))


def _from_vectors(shape: Shape, name: str, vectors: Tensor) -> Tensor:
    """Invert `_vectors`."""
    outputs, inputs = shape.tensors[name]
    return vectors.reshape(inputs, outputs).T if name == "first.weight" else vectors.reshape(outputs, inputs)


def _dictionary(length: int, options: SparseOptions) -> Tensor:
    return gaussian_dictionary(length, options.atoms_ratio * length, options.seed)
