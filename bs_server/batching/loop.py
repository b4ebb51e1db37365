"""The loops that move batches from the queues to the threads and results back to those who wait.

    plain: next_batch -> device thread: decode_channel, reconstruct -------------------> results
    coded: next_batch -> channel thread: decode_channel -> device thread: reconstruct -> results

Each lane has one batch under way: for the device, a batch waits no longer than one of the other lane takes. Whether a
batch is refined is decided here, on the event loop, when it leaves its queue: the threads never look at the queues.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
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
        try:
            results = await decode(batch)
        except Exception as error:  # whatever one batch does, the next one is served
            log.exception("decoding failed", extra={"batch_key": str(batch[0].key), "num_entries": len(batch)})
            _fail(batch, error)
            continue
        queue.observe_rate(sum(entry.num_reports for entry in batch), loop.time() - start_s)
        for entry, result in zip(batch, results, strict=True):
            if not entry.result.done():
                entry.result.set_result(result)
        observe(batch, results)


def _fail(batch: list[Entry], error: Exception) -> None:
    for entry in batch:
        if not entry.result.done():
            entry.result.set_exception(error)
