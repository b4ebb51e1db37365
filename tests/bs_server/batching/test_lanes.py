import asyncio
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bs_server.batching import CHEAP_CODES, BatchKey, Entry, Lanes
from shared.coding.codes import CHANNEL_CODES
from shared.errors import OverloadedError
from shared.links import make_link
from shared.scoring import DEFAULT_SCORING
from shared.types import Received, ReceivedKind

MAX_REPORTS = 12


def entry(code: str, num_reports: int = 1, model: str = "a") -> Entry:
    loop = asyncio.get_running_loop()
    key = BatchKey(model * 64, 8, ReceivedKind.LLRS, code, DEFAULT_SCORING)
    received = Received(key.kind, np.zeros((num_reports, 8), dtype=np.int8), np.full(num_reports, 8))
    snr_db = np.zeros(num_reports, dtype=np.float32)
    now_s, result = loop.time(), loop.create_future()
    return Entry(key, received, received.length, snr_db, None, None, now_s, deadline_s=np.inf, result=result)


async def test_every_channel_code_but_a_crc_alone_is_work_of_its_own() -> None:
    lanes = Lanes(MAX_REPORTS, max_batch=4, max_wait_s=0, refine_queue_reports=5)
    assert {code for code in CHANNEL_CODES if lanes.of(code) is lanes.plain} == {"uncoded", "crc"} == CHEAP_CODES


@pytest.mark.parametrize("link", ["ideal", "analog", "digital:bsc", "digital:soft:crc"])
async def test_links_without_an_expensive_code_have_the_plain_lane(link: str) -> None:
    lanes = Lanes(MAX_REPORTS, max_batch=4, max_wait_s=0, refine_queue_reports=5)
    assert lanes.of(make_link(link).code.label) is lanes.plain


@given(st.lists(st.tuples(st.sampled_from(list(CHANNEL_CODES)), st.lists(st.integers(1, 5), max_size=3)), max_size=20))
async def test_a_lane_is_full_by_its_own_reports_alone(frames: list[tuple[str, list[int]]]) -> None:
    lanes, waiting = Lanes(MAX_REPORTS, max_batch=4, max_wait_s=0, refine_queue_reports=5), {False: 0, True: 0}
    for code, sizes in frames:
        entries = [entry(code, size, model) for size, model in zip(sizes, itertools.cycle("ab"), strict=False)]
        lane = code not in CHEAP_CODES
        try:
            lanes.append(entries)
        except OverloadedError:
            assert waiting[lane] + sum(sizes) > MAX_REPORTS
        else:
            waiting[lane] += sum(sizes)
            assert waiting[lane] <= MAX_REPORTS
        assert (lanes.plain.num_reports, lanes.coded.num_reports) == (waiting[False], waiting[True])
        assert lanes.num_reports == sum(waiting.values())
        assert lanes.has_time_to_refine == (lanes.num_reports < 5)


async def test_there_is_no_time_to_refine_where_refinement_is_turned_off() -> None:
    assert not Lanes(MAX_REPORTS, max_batch=4, max_wait_s=0, refine_queue_reports=0).has_time_to_refine


async def test_the_delay_after_a_refusal_is_that_of_the_lane() -> None:
    lanes = Lanes(MAX_REPORTS, max_batch=4, max_wait_s=0, refine_queue_reports=5)
    delays = []
    for code, queue, seconds in (("uncoded", lanes.plain, 0.1), ("ldpc-1/5", lanes.coded, 1.0)):
        for _ in range(200):
            queue.observe_rate(MAX_REPORTS, seconds)
        lanes.append([entry(code, MAX_REPORTS)])
        with pytest.raises(OverloadedError) as refusal:
            lanes.append([entry(code)])
        delays.append(refusal.value.retry_delay_ms)
    assert delays == pytest.approx([100, 1000], abs=2)
