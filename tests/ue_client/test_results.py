from dataclasses import replace

import numpy as np
import pytest

from shared.frame import Frame, FrameAck
from shared.types import ReceivedKind
from ue_client.results import SessionResult, Tally
from ue_client.sender import Delivery

ALL = np.ones(3, dtype=np.bool_)


def delivery(
    nmse: list[float],
    bit_errors: list[int],
    latency_s: float = 0.01,
    num_attempts: int = 1,
    erased: tuple[int, ...] = (),
    crc_failed: tuple[int, ...] = (),
    num_steps: list[int] | None = None,
) -> Delivery:
    n, none = max(len(nmse), 1), np.zeros(max(len(nmse), 1))
    frame = Frame(
        "s", 0, ReceivedKind.HARD_BITS, np.zeros(n, dtype=np.int64), np.arange(n), np.full(n, 8), np.full(n, 8),
        np.zeros(n, dtype=np.float32), np.full(n, 8), bytes(n), None, 0,
    )  # fmt: skip
    ack = FrameAck(
        "s", 0, 0, "", 0, none > 0, np.arange(n) == 0, np.isin(np.arange(n), erased), np.isin(np.arange(n), crc_failed),
        np.array(nmse), np.array(nmse) / 2, np.array(bit_errors),
        none.astype(np.float32), none.astype(np.float32), 0.0, np.ones(n, dtype=np.int64),
        np.array(num_steps or [0] * n),
    )  # fmt: skip
    return Delivery(frame, ack, latency_s, num_attempts)


def test_a_tally_averages_reports_and_not_frames() -> None:
    tally = Tally("klt", 8, 5.0, "digital:bsc", "s")
    tally.add(delivery([0.1, 0.2, 0.3], [0, 2, 1], latency_s=0.010), ALL[:3])
    tally.add(delivery([1.0], [0], latency_s=0.030, num_attempts=3), ALL[:1])
    refused = delivery([1.0, 1.0], [1, 1])
    tally.add(Delivery(refused.frame, FrameAck.refused("s", 0, 8, "full"), 0.0, 50), ALL[:2])
    row = tally.row()
    assert (row["reports"], row["refused"], row["retries"], row["fallbacks"]) == (4, 2, 51, 2)
    assert row["nmse_db"] == pytest.approx(10 * np.log10(0.4))
    assert row["sgcs"] == pytest.approx(0.2)
    assert row["ber"] == pytest.approx(3 / 32)
    assert row["bler"] == pytest.approx(0.5)
    assert row["info_bits_per_report"] == 8
    assert (row["p50_ms"], row["p95_ms"]) == (20.0, 29.0)


def test_reports_of_precoders_have_an_sgcs_and_no_nmse() -> None:
    tally = Tally("etype2", 8, 5.0, "digital:bsc", "s")
    told = delivery([0.1, 0.2, 0.3], [0, 2, 1])
    told = replace(told, ack=replace(told.ack, nmse=np.full(3, np.nan)))
    tally.add(told, ALL[:3])
    row = tally.row()
    assert (row["nmse"], row["nmse_db"], row["bler"]) == (None, None, 2 / 3)
    assert row["sgcs"] == pytest.approx(0.1)


def test_reports_that_were_refined_are_counted() -> None:
    tally = Tally("klt", 8, 5.0, "digital:bsc", "s", refinement="gain")
    tally.add(delivery([0.1, 0.2, 0.3], [0, 2, 1], num_steps=[0, 4, 1]), ALL[:3])
    assert (tally.row()["refinement"], tally.row()["refined"]) == ("gain", 2)


def test_without_truth_and_without_reports_there_are_no_figures() -> None:
    tally = Tally("klt", 8, 5.0, "digital:bsc", "s")
    assert [tally.row()[name] for name in ("nmse_db", "ber", "p50_ms", "p95_ms")] == [None] * 4
    tally.add(delivery([], []), ALL[:1])
    row = tally.row()
    assert [row[name] for name in ("reports", "nmse_db", "sgcs", "ber", "bler")] == [1, None, None, None, None]
    assert row["p50_ms"] == 10.0


def test_a_tally_takes_its_reports_of_a_frame_and_leaves_the_others() -> None:
    tally = Tally("klt", 8, 5.0, "digital:bsc", "s")
    tally.add(delivery([0.1, 0.2, 0.3], [4, 2, 0]), np.array([False, True, True]))
    refused = delivery([1.0, 1.0], [1, 1])
    tally.add(Delivery(refused.frame, FrameAck.refused("s", 0, 8, "full"), 0.0, 1), np.array([False, True]))
    row = tally.row()
    assert (row["reports"], row["refused"], row["fallbacks"]) == (2, 1, 0)
    assert row["nmse_db"] == pytest.approx(10 * np.log10(0.25))
    assert (row["ber"], row["bler"]) == (2 / 16, 0.5)


def test_a_report_that_was_erased_is_a_block_error_and_has_no_bits() -> None:
    tally = Tally("klt", 8, 5.0, "digital:bsc:erasure-0.5", "s")
    tally.add(delivery([0.1, 0.2, 0.3], [0, 2, 0], erased=(0,), crc_failed=(1,)), ALL)
    tally.add(delivery([0.4, 0.5], [0, 0], erased=(0,), crc_failed=(0,)), np.array([False, True]))
    row = tally.row()
    assert (row["reports"], row["erased"], row["crc_failed"]) == (4, 1, 1)
    assert row["bler"] == pytest.approx(2 / 4)
    assert row["ber"] == pytest.approx(2 / (3 * 8))
    assert row["nmse"] == pytest.approx((0.1 + 0.2 + 0.3 + 0.5) / 4)


def test_bits_are_counted_by_what_each_report_has_and_not_by_its_rate() -> None:
    tally = Tally("golomb-taps", 8, 5.0, "digital:bsc:erasure-0.5", "s")
    sent = delivery([0.1, 0.2, 0.3], [0, 2, 1], erased=(0,))
    num_bits = np.array([100, 5, 9])
    tally.add(replace(sent, frame=replace(sent.frame, num_bits=num_bits, length=num_bits, payload=bytes(16))), ALL)
    assert tally.row()["ber"] == 3 / (5 + 9)


def test_where_every_report_was_erased_no_bit_was_decided() -> None:
    tally = Tally("klt", 8, 5.0, "digital:bsc:erasure-0.5", "s")
    tally.add(delivery([1.0, 1.0, 1.0], [0, 0, 0], erased=(0, 1, 2)), ALL)
    row = tally.row()
    assert (row["ber"], row["bler"], row["nmse"]) == (None, 1.0, 1.0)


def test_reports_without_truth_are_erased_all_the_same() -> None:
    tally = Tally("klt", 8, 5.0, "digital:bsc:erasure-0.5", "s")
    tally.add(delivery([], [], erased=(0,)), ALL[:1])
    row = tally.row()
    assert (row["reports"], row["erased"], row["bler"], row["ber"]) == (1, 1, None, None)


def test_a_session_counts_the_reports_of_its_tallies_over_its_time() -> None:
    tallies = [Tally("klt", 8, snr_db, "ideal", "s", num_stored=30) for snr_db in (0.0, 5.0)]
    row = SessionResult("klt", "s", 0.5, 2400, tuple(tallies)).row()
    assert (row["reports"], row["duration_s"], row["reports_per_s"]) == (60, 0.5, 120.0)
