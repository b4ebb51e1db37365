"""The loops that move batches from the queues to the threads and results back to those who wait.

    plain: next_batch -> device thread: decode_channel, reconstruct -------------------> results
    coded: next_batch -> channel thread: decode_channel -> device thread: reconstruct -> results

Each lane has one batch under way: for the device, a batch waits no longer than one of the other lane takes. Whether a
batch is refined is decided here, on the event loop, when it leaves its queue: the threads never look at the queues. A
batch that fails is decoded again in halves, until the entry that fails is alone.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from functools import partial
from typing import Protocol

from bs_server.batching.entry import ChannelDecoded, Decoded, Entry
from bs_server.batching.lanes import Lanes
from bs_server.batching.queue import BatchQueue

log = logging.getLogger(__name__)

MAX_FAILURES = 16  # of parts of a batch, without any success; one entry in 64 is found after 7


class _Decode(Protocol):
    async def __call__(self, batch: list[Entry], refine: bool) -> list[Decoded]: ...


async def run_batches(
    lanes: Lanes,
    decode_channel: Callable[[list[Entry]], ChannelDecoded],
    reconstruct: Callable[[list[Entry], ChannelDecoded, bool], list[Decoded]],
    channel_thread: Executor,
    device_thread: Executor,
    observe: Callable[[list[Entry], list[Decoded]], None],
) -> None:
    """Decode batch after batch of both lanes until cancelled.

    Args:
        lanes: Where entries wait.
        decode_channel: Runs in ``channel_thread`` or, for the plain lane, in ``device_thread``.
        reconstruct: Runs in ``device_thread``; told whether there is time to refine; one result an entry.
        channel_thread: An executor of one thread, which never touches the device.
        device_thread: An executor of one thread, the only one that touches the device.
        observe: Called with each finished batch, on the event loop.
    """
    loop = asyncio.get_running_loop()

    async def plain(batch: list[Entry], refine: bool) -> list[Decoded]:
        return await loop.run_in_executor(device_thread, lambda: reconstruct(batch, decode_channel(batch), refine))

    async def coded(batch: list[Entry], refine: bool) -> list[Decoded]:
        decided = await loop.run_in_executor(channel_thread, decode_channel, batch)
        return await loop.run_in_executor(device_thread, reconstruct, batch, decided, refine)

    async with asyncio.TaskGroup() as both:
        both.create_task(_run_lane(lanes, lanes.plain, plain, observe))
        both.create_task(_run_lane(lanes, lanes.coded, coded, observe))


async def _run_lane(
    lanes: Lanes,
    queue: BatchQueue,
    decode: _Decode,
    observe: Callable[[list[Entry], list[Decoded]], None],
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        batch = await queue.next_batch()
        start_s, refine = loop.time(), lanes.has_time_to_refine
        async for part, results in _decoded(batch, partial(decode, refine=refine)):
            for entry, result in zip(part, results, strict=True):
                if not entry.result.done():
                    entry.result.set_result(result)
            observe(part, results)
        queue.observe_rate(sum(entry.num_reports for entry in batch), loop.time() - start_s)


async def _decoded(
    batch: list[Entry], decode: Callable[[list[Entry]], Awaitable[list[Decoded]]]
) -> AsyncIterator[tuple[list[Entry], list[Decoded]]]:
    """Decode a batch, in halves where it fails as a whole, until it has failed too often to be worth more.

    So an entry that cannot be decoded fails alone and is told why, and those that are too much for the device's memory
    together are decoded one after the other.

    Yields:
        What was decoded together, and the results.
    """
    parts, num_failures, any_decoded = [batch], 0, False
    while parts:
        part = parts.pop()
        results, error = await _attempt(part, decode)
        if error is None:
            any_decoded = True
            yield part, results
            continue
        num_failures += 1
        if num_failures > MAX_FAILURES and not any_decoded:
            part, parts = [entry for other in (part, *parts) for entry in other], []
        elif len(part) > 1:
            middle = len(part) // 2
            parts += [part[middle:], part[:middle]]
            continue
        for entry in part:
            if not entry.result.done():
                entry.result.set_exception(error)


async def _attempt(
    part: list[Entry], decode: Callable[[list[Entry]], Awaitable[list[Decoded]]]
) -> tuple[list[Decoded], Exception | None]:
    """Return the results, or none and what went wrong, without the frames that would keep the device's memory."""
    try:
        return await decode(part), None
    except Exception as error:  # whatever one batch does, the next one is served
        log.exception("decoding failed", extra={"batch_key": str(part[0].key), "num_entries": len(part)})
        return [], error.with_traceback(None)
