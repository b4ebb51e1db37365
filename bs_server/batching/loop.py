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

from bs_server.batching.entry import ChannelDecoded, Decoded, Entry
from bs_server.batching.lanes import Lanes
from bs_server.batching.queue import BatchQueue

log = logging.getLogger(__name__)


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

    async def plain(batch: list[Entry]) -> list[Decoded]:
        refine = lanes.has_time_to_refine
        return await loop.run_in_executor(device_thread, lambda: reconstruct(batch, decode_channel(batch), refine))

    async def coded(batch: list[Entry]) -> list[Decoded]:
        refine = lanes.has_time_to_refine
        decided = await loop.run_in_executor(channel_thread, decode_channel, batch)
        return await loop.run_in_executor(device_thread, reconstruct, batch, decided, refine)

    async with asyncio.TaskGroup() as both:
        both.create_task(_run_lane(lanes.plain, plain, observe))
        both.create_task(_run_lane(lanes.coded, coded, observe))


async def _run_lane(
    queue: BatchQueue,
    decode: Callable[[list[Entry]], Awaitable[list[Decoded]]],
    observe: Callable[[list[Entry], list[Decoded]], None],
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        batch = await queue.next_batch()
        start_s = loop.time()
        async for part, results in _decoded(batch, decode):
            for entry, result in zip(part, results, strict=True):
                if not entry.result.done():
                    entry.result.set_result(result)
            observe(part, results)
        queue.observe_rate(sum(entry.num_reports for entry in batch), loop.time() - start_s)


async def _decoded(
    batch: list[Entry], decode: Callable[[list[Entry]], Awaitable[list[Decoded]]]
) -> AsyncIterator[tuple[list[Entry], list[Decoded]]]:
    """Decode a batch, in halves where it fails as a whole.

    So an entry that cannot be decoded fails alone and is told why, and those that are too much for the device's memory
    together are decoded one after the other.

    Yields:
        What was decoded together, and the results.
    """
    try:
        results = await decode(batch)
    except Exception as error:  # whatever one batch does, the next one is served
        told = {"batch_key": str(batch[0].key), "num_entries": len(batch)}
        if len(batch) == 1:
            log.exception("decoding failed", extra=told)
            if not batch[0].result.done():
                batch[0].result.set_exception(error)
            return
        log.warning("decoding failed; once more in halves: %s", error, extra=told)
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            async for part in _decoded(half, decode):
                yield part
    else:
        yield batch, results
