"""The payload buffer of a frame and what it stands for, writer beside reader.

hard bits   report 0 | pad | report 1 | pad | ...    most significant bit first, each report padded to whole bytes
LLRs        report 0 | report 1 | ...                one int8 a value
"""

import numpy as np
from numpy.typing import NDArray

from shared.coding.bits import pack, unpack, unpack_rows
from shared.frame import Frame
from shared.types import Payload, Received, ReceivedKind


def pack_received(received: Received) -> bytes:
    """Return the payload buffer of a frame."""
    if received.kind is ReceivedKind.HARD_BITS:
        return pack(received.values.astype(np.uint8, copy=False), received.length)
    sent = np.arange(received.values.shape[1]) < received.length[:, None]
    return received.values[sent].tobytes()


def unpack_received(frame: Frame, rows: NDArray[np.integer], width: int) -> Received:
    """Return what the front end handed on for some reports of a frame.

    Args:
        frame: The frame.
        rows: [n] which reports.
        width: Values of a report that was not erased; no report has more.

    Returns:
        ``width`` values a report, zero beyond its length, in the order of ``rows``.
    """
    length = frame.length[rows]
    chosen = _select(frame.payload, frame.num_bytes, rows)
    if frame.kind is ReceivedKind.HARD_BITS:
        values = unpack(chosen, length)
    else:
        values = unpack_rows(np.frombuffer(chosen, dtype=np.uint8), length)
    padded = values if values.shape[1] == width else np.pad(values, ((0, 0), (0, width - values.shape[1])))
    return Received(frame.kind, padded if frame.kind is ReceivedKind.HARD_BITS else padded.view(np.int8), length)


def unpack_sent(frame: Frame, rows: NDArray[np.integer]) -> Payload | None:
    """Return the bits that the UE sent for some reports of a frame, or None without truth."""
    if frame.truth is None:
        return None
    chosen = _select(frame.truth.sent_bits, -(-frame.rate // 8), rows)
    return Payload(unpack(chosen, frame.rate[rows]), frame.rate[rows])


def _select(buffer: bytes, num_bytes: NDArray[np.int64], rows: NDArray[np.integer]) -> bytes:
    """Return the bytes of some reports out of a buffer that holds all."""
    if np.array_equal(rows, np.arange(len(num_bytes))):
        return buffer
    end = np.cumsum(num_bytes)
    return b"".join(buffer[end[row] - num_bytes[row] : end[row]] for row in rows)
