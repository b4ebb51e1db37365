"""The payload buffer of a frame and what it stands for, writer beside reader.

hard bits   report 0 | pad | report 1 | pad | ...    most significant bit first, each report padded to whole bytes
LLRs        report 0 | report 1 | ...                one int8 a value
symbols     report 0 | report 1 | ...                one complex64 a value, little-endian; beside them, in a buffer of
                                                     its own, the noise variance of each, float32 little-endian
"""

import numpy as np
from numpy.typing import NDArray

from shared.coding.bits import pack, unpack, unpack_rows
from shared.frame import NO_EFF_BYTES, Frame
from shared.types import Payload, Received, ReceivedKind


def pack_received(received: Received) -> bytes:
    """Return the payload buffer of a frame."""
    if received.kind is ReceivedKind.HARD_BITS:
        return pack(received.values.astype(np.uint8, copy=False), received.length)
    values = received.values[_arrived(received.length, received.values.shape[1])]
    return (values.astype("<c8") if received.kind is ReceivedKind.SYMBOLS else values).tobytes()


def pack_noise(received: Received) -> bytes:
    """Return the noise buffer of a frame: empty without symbols."""
    if received.no_eff is None:
        return b""
    return received.no_eff[_arrived(received.length, received.no_eff.shape[1])].astype("<f4").tobytes()


def unpack_received(frame: Frame, rows: NDArray[np.integer], width: int) -> Received:
    """Return what the front end handed on for some reports of a frame.

    Args:
        frame: The frame.
        rows: [n] which reports.
        width: Values of the longest of them, were none erased.

    Returns:
        ``width`` values a report, zero beyond its length, in the order of ``rows``; noise variances are 1 there.
    """
    length = frame.length[rows]
    chosen = _select(frame.payload, frame.num_bytes, rows)
    if frame.kind is ReceivedKind.SYMBOLS:
        arrived = _arrived(length, width)
        symbols = np.zeros(arrived.shape, dtype=np.complex64)
        symbols[arrived] = np.frombuffer(chosen, dtype="<c8")
        no_eff = np.ones(arrived.shape, dtype=np.float32)
        no_eff[arrived] = np.frombuffer(_select(frame.no_eff, NO_EFF_BYTES * frame.length, rows), dtype="<f4")
        return Received(frame.kind, symbols, length, no_eff)
    if frame.kind is ReceivedKind.HARD_BITS:
        values = unpack(chosen, length)
    else:
        values = unpack_rows(np.frombuffer(chosen, dtype=np.uint8), length)
    padded = values if values.shape[1] == width else np.pad(values, ((0, 0), (0, width - values.shape[1])))
    return Received(frame.kind, padded if frame.kind is ReceivedKind.HARD_BITS else padded.view(np.int8), length)


def unpack_sent(frame: Frame, rows: NDArray[np.integer]) -> Payload | None:
    """Return the bits that the UE sent for some reports of a frame, none with symbols; or None without truth."""
    if frame.truth is None:
        return None
    num_bits = frame.num_bits
    chosen = _select(frame.truth.sent_bits, -(-num_bits // 8), rows)
    return Payload(unpack(chosen, num_bits[rows]), num_bits[rows])


def _arrived(length: NDArray[np.int64], width: int) -> NDArray[np.bool_]:
    """Return [batch, width], True where a report has a value."""
    return np.arange(width) < length[:, None]


def _select(buffer: bytes, num_bytes: NDArray[np.int64], rows: NDArray[np.integer]) -> bytes:
    """Return the bytes of some reports out of a buffer that holds all."""
    if np.array_equal(rows, np.arange(len(num_bytes))):
        return buffer
    end = np.cumsum(num_bytes)
    return b"".join(buffer[end[row] - num_bytes[row] : end[row]] for row in rows)
