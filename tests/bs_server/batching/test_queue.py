import asyncio
import contextlib
import itertools
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bs_server.batching import BatchKey, BatchQueue, Entry
from bs_server.batching.queue import MARGIN
from shared.errors import DeadlineError, OverloadedError
from shared.scoring import Scoring
from shared.types import Received, ReceivedKind

A, B = (BatchKey(name * 64, 8, ReceivedKind.HARD_BITS, "uncoded", Scoring()) for name in "ab")
FOREVER_S = 3600.0
Eventually = Callable[[Callable[[], object]], Awaitable[None]]


def entry(
    key: BatchKey = A,
    num_reports: int = 1,
    age_s: float = 0.0,
    time_left_s: float = math.inf,
    session_id: str = "one",
) -> Entry:
    loop = asyncio.get_running_loop()
    received = Received(key.kind, np.zeros((num_reports, 8), dtype=np.uint8), np.full(num_reports, 8))
    snr_db = np.zeros(num_reports, dtype=np.float32)
    now_s = loop.time()
    deadline_s, result = now_s + time_left_s, loop.create_future()
    return Entry(
        key,
        received,
        received.length,
        snr_db,
        None,
        None,
        now_s - age_s,
        deadline_s=deadline_s,
        result=result,
        session_id=session_id,
    )


async def next_batch(queue: BatchQueue) -> list[Entry]:
    async with asyncio.timeout(10):
        return await queue.next_batch()


async def test_a_batch_holds_one_key_and_a_lone_session_is_served_in_order() -> None:
    queue = BatchQueue(max_reports=100, max_batch=8, max_wait_s=0)
    first, second, third = entry(B), entry(B), entry(A)
    queue.append([first, third])
    queue.append([second])
    assert await next_batch(queue) == [first, second]
    assert await next_batch(queue) == [third]


async def test_few_reports_of_a_session_go_before_the_backlog_of_another() -> None:
    queue = BatchQueue(max_reports=1000, max_batch=8, max_wait_s=0)
    backlog = [entry(session_id="many") for _ in range(100)]
    for one in backlog:
        queue.append([one])
    assert await next_batch(queue) == backlog[:8]
    few, other_key = entry(session_id="few"), entry(B, session_id="others")
    queue.append([few])
    queue.append([other_key])
    assert await next_batch(queue) == [few, *backlog[8:15]]
    assert await next_batch(queue) == [other_key]
    assert await next_batch(queue) == backlog[15:23]


async def test_two_sessions_share_what_is_served_by_reports_and_not_by_frames() -> None:
    queue = BatchQueue(max_reports=1000, max_batch=8, max_wait_s=0)
    for _ in range(40):
        queue.append([entry(session_id="small")])
    for _ in range(10):
        queue.append([entry(num_reports=4, session_id="large")])
    served = [e for _ in range(5) for e in await next_batch(queue)]
    of_large = sum(e.num_reports for e in served if e.session_id == "large")
    assert abs(2 * of_large - sum(e.num_reports for e in served)) <= 8


async def test_a_full_batch_of_a_later_key_does_not_wait_for_one_that_wants_company() -> None:
    queue = BatchQueue(max_reports=100, max_batch=2, max_wait_s=FOREVER_S)
    alone, first, second = entry(A), entry(B), entry(B)
    queue.append([alone])
    queue.append([first, second])
    assert await next_batch(queue) == [first, second]


async def served_by_session(
    queue: BatchQueue, offered: dict[str, int], rounds: int, at: Callable[[int], None] = lambda _: None, **fields: Any
) -> Counter[str]:
    """Offer reports, one a frame, and take a batch, round after round; return the reports served of each session."""
    served: Counter[str] = Counter()
    for number in range(rounds):
        at(number)
        for session_id, count in offered.items():
            for _ in range(count):
                with contextlib.suppress(OverloadedError):
                    queue.append([entry(session_id=session_id, **(fields if session_id == "many" else {}))])
        for one in await next_batch(queue):
            served[one.session_id] += one.num_reports
            one.result.set_result(None)  # type: ignore[arg-type]
    return served


async def test_who_fills_the_queue_keeps_its_share_and_takes_no_other() -> None:
    queue = BatchQueue(max_reports=64, max_batch=8, max_wait_s=0)
    served = await served_by_session(queue, {"many": 16, **{f"few {n}": 1 for n in range(8)}}, rounds=400)
    assert served["many"] == pytest.approx(400 * 8 / 9, rel=0.1)
    assert min(served.values()) >= 0.9 * 400 * 8 / 9


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.booleans()), max_size=30))
async def test_what_is_admitted_is_taken_and_nothing_else(offers: list[tuple[str, int, bool]]) -> None:
    queue = BatchQueue(max_reports=12, max_batch=4, max_wait_s=0)
    for session_id, num_reports, serve in offers:
        admitted, before = True, queue.num_reports
        try:
            queue.admit(session_id, num_reports)
        except OverloadedError:
            admitted = False
        assert queue.num_reports == before
        frame = [entry(session_id=session_id) for _ in range(num_reports)]  # of which a batch may take some
        if admitted:
            queue.append(frame)
        else:
            with pytest.raises(OverloadedError):
                queue.append(frame)
        if serve and queue.num_reports:
            await next_batch(queue)


async def test_a_newcomer_gets_in_where_another_has_three_times_as_much_and_not_where_it_has_twice() -> None:
    for frames, admitted in ((2, False), (3, True)):
        queue = BatchQueue(max_reports=frames, max_batch=4, max_wait_s=0)
        filling = [entry(session_id="many") for _ in range(frames)]
        for one in filling:
            queue.append([one])
        with contextlib.nullcontext() if admitted else pytest.raises(OverloadedError):
            queue.append([entry(session_id="one")])
        assert [one.result.done() for one in filling] == [False] * (frames - 1) + [admitted]
        for one in filling:
            one.result.cancel()


async def test_who_has_only_frames_that_are_served_in_part_is_passed_over() -> None:
    queue = BatchQueue(max_reports=16, max_batch=1, max_wait_s=0)
    part = [entry(session_id="part") for _ in range(9)]
    whole = [entry(num_reports=1, session_id="whole") for _ in range(8)]
    queue.append(part)
    assert await next_batch(queue) == [part[0]]
    for one in whole:
        queue.append([one])
    queue.append([entry(session_id="new")])
    assert [one.result.done() for one in whole] == [False] * 7 + [True]
    assert not any(one.result.done() for one in part)


async def test_reports_that_were_never_served_do_not_count_as_service(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = BatchQueue(max_reports=2000, max_batch=8, max_wait_s=0)
    for lost in [entry(session_id="many") for _ in range(1000)]:
        queue.append([lost])
        lost.result.cancel()
    served = await served_by_session(queue, {"many": 8, "other": 8}, rounds=20)
    assert served["many"] == pytest.approx(80, abs=8)
    late, loop = BatchQueue(max_reports=2000, max_batch=8, max_wait_s=0), asyncio.get_running_loop()
    start_s = loop.time()
    with monkeypatch.context() as patch:  # four rounds are what their time is enough for

        def round_begins(number: int) -> None:
            patch.setattr(loop, "time", lambda: start_s + 0.0005 * number)

        served = await served_by_session(late, {"many": 8, "other": 8}, rounds=20, at=round_begins, time_left_s=0.00199)
    assert served["many"] >= 40  # those of its reports that are in time go first as often as the other's


async def test_a_frame_is_pushed_out_whole_and_not_once_a_part_of_it_has_left() -> None:
    queue = BatchQueue(max_reports=24, max_batch=4, max_wait_s=0)
    old, new = ([entry(num_reports=4, session_id="fleet") for _ in range(3)] for _ in range(2))
    queue.append(old)
    queue.append(new)
    queue.append([entry(num_reports=2, session_id="ue")])
    assert [one.result.done() for one in (*old, *new)] == [False] * 3 + [True] * 3
    assert queue.num_reports == 14
    assert await next_batch(queue) == [old[0]]
    with pytest.raises(OverloadedError, match="10 of 24 reports; 16 more do not fit"):
        queue.append([entry(num_reports=16, session_id="late")])
    assert not old[1].result.done()
    assert sum([len(await next_batch(queue)) for _ in range(3)]) == 3
    assert queue.num_reports == 0


async def test_a_full_queue_pushes_out_the_newest_of_whoever_fills_it() -> None:
    queue = BatchQueue(max_reports=10, max_batch=4, max_wait_s=0)
    filling = [entry(num_reports=2, session_id="many") for _ in range(5)]
    for one in filling:
        queue.append([one])
    few = entry(num_reports=3, session_id="few")
    queue.append([few])
    assert queue.num_reports == 9
    for pushed in filling[3:]:
        with pytest.raises(OverloadedError, match="another session has fewer reports in it: these made") as refusal:
            pushed.result.result()
        assert refusal.value.retry_delay_ms >= 5
    with pytest.raises(OverloadedError):  # it would then have more than who was here
        queue.append([entry(num_reports=4, session_id="few")])
    with pytest.raises(OverloadedError):
        queue.append([entry(num_reports=2, session_id="many")])
    assert queue.num_reports == 9
    assert [await next_batch(queue) for _ in range(3)] == [[filling[0]], [few], filling[1:3]]
    assert queue.num_reports == 0


@pytest.mark.parametrize(
    "other",
    [
        replace(A, rate=16),
        replace(A, kind=ReceivedKind.LLRS),
        replace(A, code="parity"),
        replace(A, scoring=Scoring((0.0,))),
        replace(A, scoring=Scoring((0.0, 10.0))),
    ],
)
async def test_reports_that_cannot_be_decoded_together_share_no_batch(other: BatchKey) -> None:
    queue = BatchQueue(max_reports=100, max_batch=8, max_wait_s=0)
    ours, theirs, again = entry(A, age_s=3), entry(other, age_s=2), entry(A, age_s=1)
    queue.append([ours, theirs, again])
    assert await next_batch(queue) == [ours, again]
    assert await next_batch(queue) == [theirs]


async def test_a_batch_holds_at_most_max_batch_reports() -> None:
    queue = BatchQueue(max_reports=100, max_batch=8, max_wait_s=0)
    queue.append([entry(num_reports=3) for _ in range(5)])
    assert [len(await next_batch(queue)) for _ in range(3)] == [2, 2, 1]
    assert queue.num_reports == 0


async def test_an_entry_larger_than_max_batch_comes_alone() -> None:
    queue = BatchQueue(max_reports=100, max_batch=4, max_wait_s=0)
    small, large, last = entry(), entry(num_reports=10), entry()
    queue.append([small, large, last])
    assert [await next_batch(queue) for _ in range(3)] == [[small], [large], [last]]


async def test_a_batch_waits_for_company_no_longer_than_max_wait() -> None:
    queue = BatchQueue(max_reports=100, max_batch=8, max_wait_s=0.05)
    alone = entry()
    queue.append([alone])
    assert await next_batch(queue) == [alone]
    assert asyncio.get_running_loop().time() - alone.arrival_s >= 0.05


async def test_a_full_batch_does_not_wait() -> None:
    queue = BatchQueue(max_reports=100, max_batch=2, max_wait_s=FOREVER_S)
    first, second = entry(), entry()
    batch = asyncio.create_task(next_batch(queue))
    queue.append([first])
    await asyncio.sleep(0)
    queue.append([second])
    assert await batch == [first, second]


async def test_a_frame_that_does_not_fit_is_refused_whole_with_a_delay() -> None:
    queue = BatchQueue(max_reports=10, max_batch=8, max_wait_s=0)
    for _ in range(100):
        queue.observe_rate(num_reports=10, seconds=0.1)
    queue.append([entry(num_reports=8)])
    with pytest.raises(OverloadedError, match="holds 8 of 10 reports; 3 more do not fit") as refusal:
        queue.append([entry(A), entry(B, num_reports=2)])
    assert refusal.value.retry_delay_ms == pytest.approx(80, abs=1)  # 8 reports at 100 reports a second
    assert queue.num_reports == 8
    queue.append([entry(B, num_reports=2)])
    assert [batch[0].key for batch in [await next_batch(queue), await next_batch(queue)]] == [A, B]


async def test_the_delay_has_bounds_whatever_the_device_does() -> None:
    queue = BatchQueue(max_reports=10, max_batch=8, max_wait_s=0)
    queue.append([entry(num_reports=10)])
    delays = []
    for seconds in (0.0, 1e9):
        for _ in range(200):
            queue.observe_rate(10, seconds)
        with pytest.raises(OverloadedError) as refusal:
            queue.append([entry()])
        delays.append(refusal.value.retry_delay_ms)
    assert delays == [5, 5000]


async def test_a_cancelled_entry_never_comes_out_and_frees_its_room() -> None:
    queue = BatchQueue(max_reports=4, max_batch=4, max_wait_s=0)
    head, kept, middle = entry(), entry(), entry(num_reports=2)
    queue.append([head, kept, middle])
    head.result.cancel()
    middle.result.cancel()
    assert await next_batch(queue) == [kept]
    assert queue.num_reports == 0


async def test_entries_that_nobody_waits_for_make_room_wherever_they_stand() -> None:
    queue = BatchQueue(max_reports=4, max_batch=4, max_wait_s=FOREVER_S)
    kept, cancelled, expired = entry(), entry(num_reports=2), entry(B, time_left_s=-1)
    queue.append([kept, cancelled, expired])
    cancelled.result.cancel()
    new = entry(num_reports=3)
    queue.append([new])
    assert queue.num_reports == 4
    assert isinstance(expired.result.exception(), DeadlineError)
    assert await next_batch(queue) == [kept, new]


async def test_an_expired_entry_never_comes_out_and_is_told(eventually: Eventually) -> None:
    queue = BatchQueue(max_reports=100, max_batch=4, max_wait_s=0)
    expired, kept, behind = entry(time_left_s=-1), entry(), entry(time_left_s=-2)
    queue.append([expired, kept, behind])
    assert await next_batch(queue) == [kept]
    for late in (expired, behind):
        with pytest.raises(DeadlineError, match=r"[12]\d{3} ms ago"):
            late.result.result()
    only = entry(B, time_left_s=-1)
    waiting = asyncio.create_task(queue.next_batch())
    queue.append([only])
    await eventually(only.result.done)
    assert isinstance(only.result.exception(), DeadlineError)
    assert queue.num_reports == 0
    assert not waiting.done()
    waiting.cancel()


async def test_an_entry_that_expires_while_a_batch_is_taken_makes_no_empty_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = BatchQueue(max_reports=100, max_batch=1, max_wait_s=FOREVER_S)
    for ticks in range(1, 6):
        expiring = entry(A, age_s=1, time_left_s=0.01 * ticks - 0.005)
        queue.append([expiring, entry(B)])
        start_s, tick = asyncio.get_running_loop().time(), itertools.count()
        with monkeypatch.context() as patch:  # every look at the clock is 10 ms later than the one before
            patch.setattr(asyncio.get_running_loop(), "time", lambda s=start_s, t=tick: s + 0.01 * next(t))
            first = await queue.next_batch()
        assert len(first) == 1
        if first == [expiring]:
            first = await next_batch(queue)
        assert first[0].key == B


@given(
    frames=st.lists(
        st.tuples(
            st.sampled_from(["one", "two", "three"]),
            st.lists(st.tuples(st.sampled_from([A, B]), st.integers(1, 7)), min_size=1, max_size=4),
        ),
        max_size=16,
    ),
    cancelled=st.sets(st.integers(0, 63)),
)
async def test_every_live_entry_comes_out_once_in_a_batch_that_keeps_the_rules(
    frames: list[tuple[str, list[tuple[BatchKey, int]]]], cancelled: set[int]
) -> None:
    queue = BatchQueue(max_reports=60, max_batch=5, max_wait_s=0)
    accepted: list[Entry] = []
    for session_id, frame in frames:
        entries = [entry(key, size, session_id=session_id) for key, size in frame]
        before = [e for e in accepted if not e.result.done()]
        fits = sum(e.num_reports for e in before + entries) <= 60
        try:
            queue.append(entries)
        except OverloadedError:
            assert not fits
            assert not any(e.result.done() for e in before)
        else:
            accepted += entries
            pushed = [e for e in before if e.result.done()]
            assert bool(pushed) != fits
            held = sum(e.num_reports for e in accepted if e.session_id == session_id and not e.result.done())
            for other in {e.session_id for e in pushed}:
                left = sum(e.num_reports for e in before if e.session_id == other and not e.result.done())
                assert left >= MARGIN * held
        assert queue.num_reports == sum(e.num_reports for e in accepted if not e.result.done()) <= 60
    for number in cancelled & set(range(len(accepted))):
        accepted[number].result.cancel()
    live = {id(e) for e in accepted if not e.result.done()}
    while live:
        batch = await next_batch(queue)
        assert len({e.key for e in batch}) == 1
        assert len(batch) == 1 or sum(e.num_reports for e in batch) <= 5
        assert {id(e) for e in batch} <= live
        live -= {id(e) for e in batch}
    remaining = asyncio.create_task(queue.next_batch())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert queue.num_reports == 0
    assert not remaining.done()
    remaining.cancel()
