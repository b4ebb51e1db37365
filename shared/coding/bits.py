"""Bits as arrays, as fields of fixed width, and packed into bytes (most significant bit first, reports byte-aligned).

    fields [batch, num_fields]  <-->  bits [batch, num_bits]  <-->  bytes: report 0 | pad | report 1 | pad | ...

A field of width 0 is not sent. The padding of a report to whole bytes is framing and counted in no rate. Reports of
several lengths share an array, zero beyond each.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgumentError


def fields_to_bits(fields: NDArray[np.integer], widths: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Write unsigned integers as bits, field after field.

    Args:
        fields: [batch, num_fields] integers, field ``i`` in ``[0, 2 ** widths[i])``.
        widths: [num_fields] bits of each field, 0 ... 62.

    Returns:
        [batch, sum(widths)] uint8, each 0 or 1.

    Raises:
        InvalidArgumentError: If a value does not fit in its field.
    """
    wide = np.asarray(widths, dtype=np.int64)
    values = np.asarray(fields, dtype=np.int64)
    if values.shape[1:] != wide.shape or (values < 0).any() or (values >> wide).any():
        raise InvalidArgumentError(f"`fields` must be [batch, {len(wide)}] and fit `widths`; got {values.shape}.")
    field, shift = _layout(wide)
    return ((values[:, field] >> shift) & 1).astype(np.uint8)


def bits_to_fields(bits: NDArray[np.uint8], widths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Invert `fields_to_bits`.

    Args:
        bits: [batch, sum(widths)] uint8, each 0 or 1.
        widths: [num_fields] bits of each field.

    Returns:
        [batch, num_fields] int64.

    Raises:
        InvalidArgumentError: If the number of bits differs from ``sum(widths)``.
    """
    wide = np.asarray(widths, dtype=np.int64)
    if bits.ndim != 2 or bits.shape[1] != wide.sum():
        raise InvalidArgumentError(f"`bits` must be [batch, {wide.sum()}]; got {list(bits.shape)}.")
    sent = np.flatnonzero(wide)
    fields = np.zeros((len(bits), len(wide)), dtype=np.int64)
    if len(sent):
        _, shift = _layout(wide)
        starts = np.cumsum(wide[sent]) - wide[sent]
        fields[:, sent] = np.add.reduceat(bits.astype(np.int64) << shift, starts, axis=1)
    return fields


def _layout(widths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for every bit position its field and its shift within the field."""
    field = np.repeat(np.arange(len(widths)), widths)
    ends = np.cumsum(widths)
    return field, ends[field] - 1 - np.arange(len(field))


def pack(bits: NDArray[np.uint8], length: NDArray[np.integer]) -> bytes:
    """Pack reports of bits into one buffer.

    Args:
        bits: [batch, max_length] uint8, each 0 or 1, zero beyond ``length``.
        length: [batch] bits of each report.

    Returns:
        The reports one after the other, each padded with zeros to whole bytes.
    """
    packed = np.packbits(bits, axis=1)
    num_bytes = -(-np.asarray(length, dtype=np.int64) // 8)
    if len(packed) == 0 or (num_bytes == packed.shape[1]).all():
        return packed.tobytes()
    return b"".join(row[:n].tobytes() for row, n in zip(packed, num_bytes, strict=True))


def unpack(buffer: bytes, length: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Invert `pack`.

    Args:
        buffer: What `pack` returned.
        length: [batch] bits of each report.

    Returns:
        [batch, max(length)] uint8, zero beyond each report's length.

    Raises:
        InvalidArgumentError: If the buffer is not exactly as long as ``length`` says.
    """
    num_bits = np.asarray(length, dtype=np.int64)
    rows = unpack_rows(np.frombuffer(buffer, dtype=np.uint8), -(-num_bits // 8))
    bits = np.unpackbits(rows, axis=1, count=int(num_bits.max(initial=0)))
    if (num_bits != bits.shape[1]).any():  # what few frames are
        bits[np.arange(bits.shape[1]) >= num_bits[:, None]] = 0
    return bits


def unpack_rows(values: NDArray[np.uint8], num_values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Lay a flat buffer out as one zero-padded row per report.

    Args:
        values: [sum(num_values)] uint8.
        num_values: [batch] values of each report.

    Returns:
        [batch, max(num_values)] uint8.

    Raises:
        InvalidArgumentError: If the buffer is not exactly ``sum(num_values)`` long.
    """
    if len(values) != num_values.sum():
        raise InvalidArgumentError(f"`payload` must hold {num_values.sum()} bytes by `length`; got {len(values)}.")
    width = int(num_values.max(initial=0))
    if (num_values == width).all():
        return values.reshape(len(num_values), width)
    rows = np.zeros((len(num_values), width), dtype=np.uint8)
    rows[np.arange(width) < num_values[:, None]] = values
    return rows


def stack_rows(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Put the rows of at least one array under each other, each zero-padded to the widest.

    Args:
        parts: [num_rows, num_columns] each.

    Returns:
        [sum(num_rows), max(num_columns)].

    Example:
        >>> stack_rows([np.array([[1]]), np.array([[2, 3]])]).tolist()
        [[1, 0], [2, 3]]
    """
    width = max(part.shape[1] for part in parts)
    return np.concatenate(
        [part if part.shape[1] == width else np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts]
    )


def by_value(column: NDArray[np.integer]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each number that a column has, increasing, and which rows have it: reports of one length, of one rate.

    Example:
        >>> [(num_bits, rows.tolist()) for num_bits, rows in by_value(np.array([7, 3, 7]))]
        [(3, [1]), (7, [0, 2])]
    """
    if len(column) and (column == column[0]).all():  # what most frames are: several times as fast
        yield int(column[0]), np.arange(len(column))
        return
    for number in np.unique(column).tolist():
        yield number, np.flatnonzero(column == number)
