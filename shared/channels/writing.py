"""Write channels, chunk by chunk, in csilink's own half-precision .npz.

    chunks -> float16 pairs -> x_re_im.npy (or h_re_im.npy) in a .npz beside `path` -> renamed to `path` when complete
    crop loss of each, if known -> crop_loss.npy behind it

The bytes depend on the channels alone: no time stamp, and the same whatever the size of the chunks. Up to
`COMPRESSED_UP_TO` they are deflated, and then depend on the build of zlib too: another may make another file, with
another digest, of the same channels. Memory holds one chunk and the crop losses, never the file.
"""

import math
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.channels.crop_loss import CROP_LOSS
from shared.channels.layouts import ARRAY_OF
from shared.digests import sha256_of
from shared.errors import InvalidArgumentError
from shared.types import Domain

COMPRESSED_UP_TO = 80 * 2**20  # bytes of float16: holds 20,000 reports of 32 x 32, the zoo's training splits; above it
# deflating takes longer than it saves (noise hardly shrinks)
LOSS_DECIMALS = 7  # what is smaller is the rounding of 1 - kept / whole, and would give equal channels other bytes


def write_channels(
    path: Path,
    chunks: Iterable[Tensor],
    num_channels: int | None = None,
    domain: Domain = "angular-delay",
    progress: Callable[[int], None] | None = None,
    crop_loss: Callable[[], Tensor] | None = None,
) -> str:
    """Write channels as they come; a file of that name is replaced once the new one is complete.

    Args:
        path: A .npz file; its folder is made.
        chunks: [n, num_rx_ant, num_tx_ant, num_subcarriers] complex64 each, unit mean power per report, at least one.
        num_channels: Sum of all n; None where it is not known before, which costs a temporary copy on disk.
        domain: Domain of the channels; says the array's name.
        progress: Called with n after each chunk.
        crop_loss: () -> [num_channels] float64 in [0, 1], share of each whole channel's energy that the crop left out;
            called after the last chunk. None where it is not known: the file then does not say.

    Returns:
        SHA-256 of the file.

    Raises:
        InvalidArgumentError: If the chunks hold another number of channels, differ in shape, or do not fit half
            precision, or the crop losses do not fit the channels. A file that was there before stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with tempfile.TemporaryFile(dir=path.parent) as spool:
            pairs = _pairs(chunks, progress)
            if num_channels is None:
                num_channels, pairs = _spooled(pairs, spool)
            _write_zip(part, pairs, num_channels, ARRAY_OF[domain], crop_loss)
        digest = sha256_of(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return digest


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """Write arrays as a .npz whose bytes depend on them alone; a file of that name is replaced once it is complete.

    Args:
        path: The file; its folder is made.
        arrays: Name -> array.

    Returns:
        SHA-256 of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                with _member(archive, name, array.shape, array.dtype.str) as stream:
                    stream.write(np.ascontiguousarray(array).data)
        digest = sha256_of(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return digest


def _pairs(chunks: Iterable[Tensor], progress: Callable[[int], None] | None) -> Iterator[NDArray[np.float16]]:
    """Yield each chunk as [n, rx, tx, sc, (re, im)] float16."""
    dims: tuple[int, ...] | None = None
    for chunk in chunks:
        dims = dims or tuple(chunk.shape[1:])
        if chunk.dtype != torch.complex64 or chunk.dim() != 4 or tuple(chunk.shape[1:]) != dims:
            wanted = f"[n, {', '.join(map(str, dims)) if len(dims) == 3 else 'rx, tx, subcarriers'}] complex64"
            raise InvalidArgumentError(f"`chunks` must be {wanted}; got {list(chunk.shape)} {chunk.dtype}.")
        half = torch.view_as_real(chunk.resolve_conj()).to(torch.float16)
        if not bool(torch.isfinite(half).all()):
            largest = float(chunk.abs().max())
            raise InvalidArgumentError(f"`chunks` must be finite and below 65,504 in magnitude; got {largest:g}.")
        yield half.numpy()
        if progress:
            progress(len(chunk))


def _spooled(pairs: Iterator[NDArray[np.float16]], spool: IO[bytes]) -> tuple[int, Iterator[NDArray[np.float16]]]:
    """Write all chunks to ``spool``, and return their number of channels and the chunks once more."""
    lengths, dims = [], ()
    for pair in pairs:
        spool.write(np.ascontiguousarray(pair).data)
        lengths.append(len(pair))
        dims = pair.shape[1:]
    spool.seek(0)
    size = 2 * int(np.prod(dims))
    again = (np.frombuffer(spool.read(n * size), dtype=np.float16).reshape(n, *dims) for n in lengths)
    return sum(lengths), again


def _write_zip(
    path: Path,
    pairs: Iterator[NDArray[np.float16]],
    num_channels: int,
    name: str,
    crop_loss: Callable[[], Tensor] | None,
) -> None:
    first = next(pairs, None)
    if first is None or num_channels < 1:
        raise InvalidArgumentError("`chunks` must hold at least one channel; got none.")
    method = zipfile.ZIP_DEFLATED if num_channels * first[0].nbytes <= COMPRESSED_UP_TO else zipfile.ZIP_STORED
    written = 0
    with zipfile.ZipFile(path, "w", method) as archive:
        with _member(archive, name, (num_channels, *first.shape[1:]), "<f2") as stream:
            while first is not None:
                stream.write(np.ascontiguousarray(first).data)
                written += len(first)
                first = next(pairs, None)
        if written != num_channels:
            raise InvalidArgumentError(f"`chunks` must hold {num_channels} channels; got {written}.")
        if crop_loss is not None:
            losses = _rounded(crop_loss(), num_channels)
            with _member(archive, CROP_LOSS, losses.shape, "<f4") as stream:
                stream.write(losses.data)


def _member(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: str) -> IO[bytes]:
    """Return what takes the array's data, its header written."""
    # Not np.savez: its archive carries the time of writing, and the digest of equal arrays must be equal.
    member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    member.compress_type = archive.compression
    size = math.prod(shape) * np.dtype(dtype).itemsize
    stream = archive.open(member, "w", force_zip64=size >= 2**31)
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream


def _rounded(crop_loss: Tensor, num_channels: int) -> NDArray[np.float32]:
    if crop_loss.shape != (num_channels,) or not bool(((crop_loss >= 0) & (crop_loss <= 1)).all()):
        found = f"{list(crop_loss.shape)} in [{float(crop_loss.min()):g}, {float(crop_loss.max()):g}]"
        raise InvalidArgumentError(f"`crop_loss` must be [{num_channels}] in [0, 1]; got {found}.")
    return crop_loss.round(decimals=LOSS_DECIMALS).numpy().astype("<f4")
