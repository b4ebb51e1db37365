import asyncio
import logging
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from bs_server.batching import BatchKey, ChannelDecoded, Decoded, Entry, Lanes, TooSlowError, Work, run_batches
from bs_server.pools import LocalPool
from shared.errors import DataFileError, OverloadedError
from shared.model_files import ModelFile
from shared.scoring import DEFAULT_SCORING
from shared.types import Received, ReceivedKind

GOOD, BAD, WRONG = (BatchKey(name * 64, 8, ReceivedKind.HARD_BITS, "uncoded", DEFAULT_SCORING) for name in "abc")
CODES = ["uncoded", "ldpc-1/5"]  # one of each lane
Eventually = Callable[[Callable[[], object]], Awaitable[None]]
DecodeChannel = Callable[[Sequence[Work]], ChannelDecoded]
Reconstruct = Callable[[Sequence[Work], ChannelDecoded, bool], list[Decoded]]


@dataclass(frozen=True, slots=True)
class Halves:
    decode_channel: DecodeChannel
    reconstruct: Reconstruct

    def hold(self, models: Sequence[ModelFile]) -> None:
        raise AssertionError("nobody asks for more models")

    def release(self, digests: Set[str]) -> None:
        raise AssertionError("nobody asks for fewer models")


def entry(key: BatchKey, snr_db: float, code: str = "uncoded") -> Entry:
    loop = asyncio.get_running_loop()
    received = Received(key.kind, np.zeros((1, 8), dtype=np.uint8), np.array([8]))
    snr = np.array([snr_db], dtype=np.float32)
    return Entry(
        replace(key, code=code),
        received,
        received.length,
        snr,
        None,
        None,
        loop.time(),
        deadline_s=np.inf,
        result=loop.create_future(),
    )


def decode_channel(batch: Sequence[Work]) -> ChannelDecoded:
    """Leave the SNR of each entry for `reconstruct`, so that it shows where a result went."""
    if batch[0].key.model_sha256 == WRONG.model_sha256:
        raise DataFileError("the code is gone")
    snr_db = np.concatenate([e.snr_db for e in batch])
    return ChannelDecoded(Received(batch[0].key.kind, snr_db[:, None], np.ones(len(batch), dtype=np.int64)), None, 0.0)


def reconstruct(batch: Sequence[Work], decided: ChannelDecoded, refine: bool) -> list[Decoded]:
    if batch[0].key.model_sha256 == BAD.model_sha256:
        raise RuntimeError("out of memory")
    none, num_steps = np.zeros(1, dtype=np.bool_), np.full(1, 2 if refine else 0)
    return [
        Decoded(value.reshape(1, 1, 1, 1), none, none, none, none, ~none, num_steps, None, 0.0, 0.0, len(batch))
        for value in decided.received.values
    ]


@contextmanager
def held(event: threading.Event) -> Iterator[None]:
    """Set an event at the end whatever happens: a thread that waits for it would never end."""
    try:
        yield
    finally:
        event.set()


@asynccontextmanager
async def running(
    lanes: Lanes, decode_channel: DecodeChannel = decode_channel, reconstruct: Reconstruct = reconstruct
) -> AsyncIterator[list[tuple[Sequence[Entry], list[Decoded]]]]:
    observed: list[tuple[Sequence[Entry], list[Decoded]]] = []
    with ThreadPoolExecutor(1, "channel") as channel, ThreadPoolExecutor(1, "device") as device:
        pool = LocalPool(Halves(decode_channel, reconstruct), channel, device)
        batches = run_batches(lanes, pool, lambda *b: observed.append(b))
        task = asyncio.create_task(batches)
        async with asyncio.timeout(20):
            yield observed
        task.cancel()


@pytest.mark.parametrize("code", CODES)
async def test_each_result_reaches_its_own_entry(code: str) -> None:
    lanes = Lanes(max_reports=100, max_batch=8, max_wait_s=0, refine_queue_reports=3)
    entries = [entry(GOOD, snr_db, code) for snr_db in (1, 2, 3)]
    async with running(lanes) as observed:
        lanes.append(entries)
        results = await asyncio.gather(*(e.result for e in entries))
    assert [result.h_hat.item() for result in results] == [1, 2, 3]
    assert observed == [(entries, results)]


@pytest.mark.parametrize("code", CODES)
async def test_a_failing_batch_fails_its_own_entries_and_the_next_is_served(code: str) -> None:
    lanes = Lanes(max_reports=100, max_batch=8, max_wait_s=0, refine_queue_reports=3)
    bad, wrong, good = [entry(BAD, 1, code), entry(BAD, 2, code)], entry(WRONG, 3, code), entry(GOOD, 4, code)
    async with running(lanes) as observed:
        lanes.append([*bad, wrong, good])
        assert (await good.result).h_hat.item() == 4
        for e in bad:
            with pytest.raises(RuntimeError, match="out of memory"):
                await e.result
        with pytest.raises(DataFileError, match="the code is gone"):
            await wrong.result
    assert [batch for batch, _ in observed] == [[good]]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("half", ["channel", "device"])
@pytest.mark.parametrize("poison", [0, 3, 6])
async def test_an_entry_that_cannot_be_decoded_fails_alone(code: str, half: str, poison: int) -> None:
    def refuse(batch: Sequence[Work], where: str) -> None:
        if half == where and any(e.snr_db[0] == poison for e in batch):
            raise RuntimeError("out of memory")

    def channel(batch: Sequence[Work]) -> ChannelDecoded:
        refuse(batch, "channel")
        return decode_channel(batch)

    def device(batch: Sequence[Work], decided: ChannelDecoded, refine: bool) -> list[Decoded]:
        refuse(batch, "device")
        return reconstruct(batch, decided, refine)

    lanes = Lanes(max_reports=100, max_batch=8, max_wait_s=0, refine_queue_reports=3)
    entries = [entry(GOOD, snr_db, code) for snr_db in range(7)]
    async with running(lanes, channel, device) as observed:
        lanes.append(entries)
        results = await asyncio.gather(*(e.result for e in entries), return_exceptions=True)
    assert [isinstance(result, RuntimeError) for result in results] == [n == poison for n in range(7)]
    assert [r.h_hat.item() for r in results if isinstance(r, Decoded)] == [n for n in range(7) if n != poison]
    assert sum(len(batch) for batch, _ in observed) == 6


async def test_a_batch_that_fails_altogether_is_given_up_and_holds_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("bs_server.batching.loop"), "disabled", True)  # pytest keeps what is logged

    class Tensors:
        pass

    alive: list[weakref.ref[Tensors]] = []
    most_alive: list[int] = []

    def device(batch: Sequence[Work], decided: ChannelDecoded, refine: bool) -> list[Decoded]:
        most_alive.append(sum(one() is not None for one in alive))
        tensors = Tensors()
        alive.append(weakref.ref(tensors))
        raise MemoryError("out of memory")

    lanes = Lanes(max_reports=100, max_batch=64, max_wait_s=0, refine_queue_reports=3)
    entries = [entry(GOOD, snr_db) for snr_db in range(64)]
    async with running(lanes, reconstruct=device):
        lanes.append(entries)
        results = await asyncio.gather(*(e.result for e in entries), return_exceptions=True)
    assert all(isinstance(result, MemoryError) for result in results)
    assert len(alive) == 17
    assert max(most_alive) == 0


async def test_a_batch_that_took_too_long_is_not_tried_in_halves() -> None:
    class SlowPool:
        num_batches = 1
        sizes: ClassVar[list[int]] = []

        async def decode(self, batch: Sequence[Work], refine: bool) -> list[Decoded]:
            self.sizes.append(len(batch))
            raise TooSlowError("nobody decoded the batch in time")

        async def hold(self, models: Sequence[ModelFile]) -> None:
            raise AssertionError("nobody asks for more models")

        async def release(self, digests: Set[str]) -> None:
            raise AssertionError("nobody asks for fewer models")

    lanes = Lanes(max_reports=100, max_batch=8, max_wait_s=0, refine_queue_reports=3)
    entries, pool = [entry(GOOD, snr_db) for snr_db in range(8)], SlowPool()
    task = asyncio.create_task(run_batches(lanes, pool, lambda *_: None))
    async with asyncio.timeout(20):
        lanes.append(entries)
        results = await asyncio.gather(*(e.result for e in entries), return_exceptions=True)
    task.cancel()
    assert all(isinstance(result, TooSlowError) for result in results)
    assert pool.sizes == [8]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("half", ["channel", "device"])
async def test_who_left_while_a_thread_was_at_work_gets_nothing_and_disturbs_nobody(
    code: str, half: str, eventually: Eventually
) -> None:
    lanes = Lanes(max_reports=100, max_batch=8, max_wait_s=0, refine_queue_reports=3)
    started, go = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        go.wait(10)

    def slow_channel(batch: Sequence[Work]) -> ChannelDecoded:
        if half == "channel":
            wait()
        return decode_channel(batch)

    def slow_device(batch: Sequence[Work], decided: ChannelDecoded, refine: bool) -> list[Decoded]:
        if half == "device":
            wait()
        return reconstruct(batch, decided, refine)

    for key in (GOOD, BAD):
        gone, waits = entry(key, 1, code), entry(key, 2, code)
        async with running(lanes, slow_channel, slow_device):
            with held(go):
                lanes.append([gone, waits])
                await eventually(started.is_set)
                gone.result.cancel()
            await asyncio.wait([waits.result])
            assert (waits.result.exception() is None) == (key == GOOD)
            after = entry(GOOD, 3, code)
            lanes.append([after])
            assert (await after.result).h_hat.item() == 3
        started.clear()
        go.clear()


async def test_a_plain_batch_is_answered_while_a_channel_code_is_being_decoded(eventually: Eventually) -> None:
    lanes = Lanes(max_reports=1, max_batch=8, max_wait_s=0, refine_queue_reports=3)
    started, go = threading.Event(), threading.Event()

    def slow(batch: Sequence[Work]) -> ChannelDecoded:
        if batch[0].key.code == "ldpc-1/5":
            started.set()
            go.wait(60)  # longer than `running` lets the test take
        return decode_channel(batch)

    expensive, behind, cheap = entry(GOOD, 1, "ldpc-1/5"), entry(GOOD, 2, "polar-1/2"), entry(GOOD, 3)
    async with running(lanes, slow):
        with held(go):
            lanes.append([expensive])
            await eventually(started.is_set)
            lanes.append([behind])
            with pytest.raises(OverloadedError, match="holds 1 of 1 reports"):
                lanes.append([entry(GOOD, 4, "ldpc-1/5")])
            lanes.append([cheap])
            assert (await cheap.result).h_hat.item() == 3
            assert not expensive.result.done()
            assert lanes.num_reports == 1
        assert (await expensive.result).h_hat.item() == 1
        assert (await behind.result).h_hat.item() == 2


async def test_only_channel_codes_that_are_expensive_are_decoded_off_the_device_thread() -> None:
    lanes = Lanes(max_reports=100, max_batch=8, max_wait_s=0, refine_queue_reports=3)
    seen: list[tuple[str, str, str]] = []

    def note(what: str, batch: Sequence[Work]) -> None:
        seen.append((batch[0].key.code, what, threading.current_thread().name.split("_")[0]))

    def noted_channel(batch: Sequence[Work]) -> ChannelDecoded:
        note("decode_channel", batch)
        return decode_channel(batch)

    def noted_device(batch: Sequence[Work], decided: ChannelDecoded, refine: bool) -> list[Decoded]:
        note("reconstruct", batch)
        return reconstruct(batch, decided, refine)

    async with running(lanes, noted_channel, noted_device):
        for code in ("crc", "conv-1/2"):
            only = entry(GOOD, 1, code)
            lanes.append([only])
            await only.result
    assert seen == [
        ("crc", "decode_channel", "device"),
        ("crc", "reconstruct", "device"),
        ("conv-1/2", "decode_channel", "channel"),
        ("conv-1/2", "reconstruct", "device"),
    ]


async def test_who_is_too_late_reaches_no_thread_of_either_lane(eventually: Eventually) -> None:
    lanes = Lanes(max_reports=100, max_batch=8, max_wait_s=0, refine_queue_reports=3)
    for code in CODES:
        late, in_time = replace(entry(GOOD, 1, code), deadline_s=0.0), entry(GOOD, 2, code)
        async with running(lanes) as observed:
            lanes.append([late, in_time])
            assert (await in_time.result).batch_size == 1
            assert late.result.exception() is not None
        assert [batch for batch, _ in observed] == [[in_time]]


@pytest.mark.parametrize("code", CODES)
async def test_nothing_is_refined_while_too_many_reports_wait_behind_a_batch_in_either_lane(code: str) -> None:
    """One report a batch: 4 wait behind the first, 3 behind the second; those of the other lane count alike."""
    lanes = Lanes(max_reports=100, max_batch=1, max_wait_s=0, refine_queue_reports=3)
    entries = [entry(GOOD, snr_db, code) for snr_db in range(5)]
    lanes.append(entries)
    async with running(lanes):
        results = await asyncio.gather(*(e.result for e in entries))
    assert [result.num_steps.item() for result in results] == [0, 0, 2, 2, 2]
    (other,) = set(CODES) - {code}
    alone, many = entry(GOOD, 1, code), [entry(GOOD, 2, other) for _ in range(4)]
    lanes.append([alone])
    lanes.append(many)
    async with running(lanes):
        assert (await alone.result).num_steps.item() == 0
        assert (await many[-1].result).num_steps.item() == 2
