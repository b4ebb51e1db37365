import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import numpy as np
import pytest

from bs_server.batching import BatchKey, BatchQueue, Decoded, Entry, run_batches
from shared.errors import DataFileError
from shared.types import Received, ReceivedKind

GOOD, BAD, WRONG = (BatchKey(name * 64, 8, ReceivedKind.HARD_BITS, "uncoded", ()) for name in "abc")
Eventually = Callable[[Callable[[], object]], Awaitable[None]]


def entry(key: BatchKey, snr_db: float) -> Entry:
    loop = asyncio.get_running_loop()
    received = Received(key.kind, np.zeros((1, 8), dtype=np.uint8), np.array([8]))
    snr = np.array([snr_db], dtype=np.float32)
    return Entry(key, received, snr, None, None, loop.time(), np.inf, loop.create_future())


def decode(batch: list[Entry]) -> list[Decoded]:
    """Answer each entry with its own SNR, so that it shows where a result went."""
    if batch[0].key == BAD:
        raise RuntimeError("out of memory")
    if batch[0].key == WRONG:
        raise DataFileError("the model is gone")
    none = np.zeros(1, dtype=np.bool_)
    return [
        Decoded(np.full((1, 1, 1, 1), e.snr_db[0]), none, none, none, None, None, 0.0, 0.0, len(batch)) for e in batch
    ]


@asynccontextmanager
async def running(
    queue: BatchQueue, decode: Callable[[list[Entry]], list[Decoded]]
) -> AsyncIterator[list[tuple[list[Entry], list[Decoded]]]]:
    observed: list[tuple[list[Entry], list[Decoded]]] = []
    with ThreadPoolExecutor(1) as thread:
        task = asyncio.create_task(run_batches(queue, decode, thread, lambda *batch: observed.append(batch)))
        async with asyncio.timeout(20):
            yield observed
        task.cancel()


async def test_each_result_reaches_its_own_entry() -> None:
    queue = BatchQueue(max_reports=100, max_batch=8, max_wait_s=0)
    entries = [entry(GOOD, snr_db) for snr_db in (1, 2, 3)]
    async with running(queue, decode) as observed:
        queue.append(entries)
        results = await asyncio.gather(*(e.result for e in entries))
    assert [result.h_hat.item() for result in results] == [1, 2, 3]
    assert observed == [(entries, results)]


async def test_a_failing_batch_fails_its_own_entries_and_the_next_is_served() -> None:
    queue = BatchQueue(max_reports=100, max_batch=8, max_wait_s=0)
    bad, wrong, good = [entry(BAD, 1), entry(BAD, 2)], entry(WRONG, 3), entry(GOOD, 4)
    async with running(queue, decode) as observed:
        queue.append([*bad, wrong, good])
        assert (await good.result).h_hat.item() == 4
        for e in bad:
            with pytest.raises(RuntimeError, match="out of memory"):
                await e.result
        with pytest.raises(DataFileError, match="the model is gone"):
            await wrong.result
    assert [batch for batch, _ in observed] == [[good]]


async def test_who_left_while_the_device_was_at_work_gets_nothing_and_disturbs_nobody(eventually: Eventually) -> None:
    queue = BatchQueue(max_reports=100, max_batch=8, max_wait_s=0)
    started, go = threading.Event(), threading.Event()

    def slow(batch: list[Entry]) -> list[Decoded]:
        started.set()
        go.wait(10)
        return decode(batch)

    for key in (GOOD, BAD):
        gone, waits = entry(key, 1), entry(key, 2)
        async with running(queue, slow):
            queue.append([gone, waits])
            await eventually(started.is_set)
            gone.result.cancel()
            go.set()
            await asyncio.wait([waits.result])
            assert (waits.result.exception() is None) == (key == GOOD)
            after = entry(GOOD, 3)
            queue.append([after])
            assert (await after.result).h_hat.item() == 3
        started.clear()
        go.clear()
