from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shared.errors import InvalidArgumentError
from shared.frame import (
    Frame,
    FrameAck,
    SessionRequest,
    SimTruth,
)
from shared.scoring import Scoring
from shared.types import CsiShape, ReceivedKind

TRUTH = SimTruth(np.array([4, 7]), None, b"\x80\x01\xff")


def frame(**changes: Any) -> Frame:
    """Return a frame of two reports, 9 and 3 bits, with some fields changed."""
    valid = Frame(
        session_id="s",
        frame_id=1,
        kind=ReceivedKind.HARD_BITS,
        ue_id=np.array([5, 5]),
        sequence=np.array([0, 1]),
        rate=np.array([9, 3]),
        num_bits=np.array([9, 3]),
        snr_db=np.array([0, 10], dtype=np.float32),
        length=np.array([9, 3]),
        payload=b"\x80\x80\xe0",
        truth=TRUTH,
        deadline_ms=0,
    )
    return replace(valid, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ue_id": np.array([], dtype=np.int64)}, "`ue_id` must name at least one report"),
        ({"ue_id": np.array([5])}, "`sequence` must have one entry a report, 1; got 2"),
        ({"sequence": np.array([0])}, "`sequence` must have one entry a report, 2; got 1"),
        ({"rate": np.array([9, 3, 3])}, "`rate` must have one entry a report, 2; got 3"),
        ({"num_bits": np.array([9])}, "`num_bits` must have one entry a report, 2; got 1"),
        ({"num_bits": np.array([9, 9])}, "`sent_bits` must hold 4 bytes by `num_bits`; got 3"),
        ({"snr_db": np.zeros(3, np.float32)}, "`snr_db` must have one entry a report"),
        ({"length": np.array([9])}, "`length` must have one entry a report"),
        ({"snr_db": np.array([0, 80.5], np.float32)}, r"`snr_db` must be in \[-40, 80\]"),
        ({"snr_db": np.array([np.nan, 0], np.float32)}, r"`snr_db` must be in \[-40, 80\]"),
        ({"payload": b"\x80\x80"}, "`payload` must hold 3 bytes by `length`; got 2"),
        ({"kind": ReceivedKind.LLRS}, "`payload` must hold 12 bytes by `length`; got 3"),
        ({"sequence": np.array([1, 1])}, "`sequence` must not repeat"),
        ({"truth": replace(TRUTH, dataset_index=None)}, "either `dataset_index` or `h`"),
        ({"truth": replace(TRUTH, h=np.zeros((2, 4), np.complex64))}, "either `dataset_index` or `h`"),
        ({"truth": replace(TRUTH, dataset_index=np.array([4]))}, "`truth` must have one entry a report, 2; got 1"),
        ({"truth": replace(TRUTH, sent_bits=b"\x80\x01")}, "`sent_bits` must hold 3 bytes by `num_bits`; got 2"),
    ],
)
def test_a_frame_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        frame(**changes)


def test_two_ues_may_share_a_sequence_number() -> None:
    assert frame(ue_id=np.array([5, 6]), sequence=np.array([1, 1])).num_reports == 2


def test_a_refusal_acknowledges_no_report() -> None:
    ack = FrameAck.refused("s", 3, 8, "full", retry_delay_ms=20)
    assert (ack.session_id, ack.frame_id, ack.code, ack.message, ack.retry_delay_ms) == ("s", 3, 8, "full", 20)
    columns = (
        ack.duplicate,
        ack.fallback,
        ack.erased,
        ack.crc_failed,
        ack.nmse,
        ack.sgcs,
        ack.bit_errors,
        ack.queue_ms,
        ack.batch_size,
    )
    assert [len(column) for column in columns] == [0] * len(columns)


def test_erased_reports_have_no_values_and_keep_their_rate() -> None:
    erased = frame(length=np.array([0, 3]), payload=b"\xe0")
    assert erased.num_bytes.tolist() == [0, 1]
    assert frame(length=np.array([0, 0]), payload=b"", kind=ReceivedKind.LLRS).rate.tolist() == [9, 3]


@pytest.mark.parametrize(
    ("changes", "version"),
    [
        ({}, 1),
        ({"estimator": "ls", "cnr_db": 3.0}, 2),
        ({"estimator": "ls"}, 2),
        ({"cnr_db": 0.0}, 2),
        ({"scoring": Scoring((0.0,))}, 2),
        ({"estimator": "ls", "cnr_db": 3.0, "scoring": Scoring((-5.0, 0.0))}, 2),
        ({"refinement": "always"}, 3),
        ({"estimator": "ls", "cnr_db": 3.0, "refinement": "gain", "run": 7}, 3),
        ({"run": 7}, 3),
        ({"variable_length": True}, 4),
        ({"variable_length": True, "refinement": "always", "run": 7}, 4),
    ],
)
def test_a_request_needs_the_lowest_version_that_says_all_of_it(changes: dict[str, Any], version: int) -> None:
    shape = CsiShape("angular-delay", 1, 32, 32)
    assert replace(SessionRequest(7, "s", "klt", "a", shape, "ideal", ""), **changes).needs_version == version
