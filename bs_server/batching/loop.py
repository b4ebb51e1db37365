"""The loop that moves batches from the queue to the device thread and results back to those who wait."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from bs_server.batching.entry import Decoded, Entry
from bs_server.batching.queue import BatchQueue

log = logging.getLogger(__name__)


async def run_batches(
    queue: BatchQueue,
    decode: Callable[[list[Entry]], list[Decoded]],
    device_thread: Executor,
    observe: Callable[[list[Entry], list[Decoded]], None],
) -> None:
    """Decode batch after batch until cancelled.

    Args:
        queue: Where entries wait.
        decode: Runs in ``device_thread``; one result an entry.
        device_thread: An executor of one thread, the only one that touches the device.
        observe: Called with each finished batch, on the event loop.
    """
    loop = asyncio.get_running_loop()
    while True:
        batch = await queue.next_batch()
        start_s = loop.time()
        try:
            results = await loop.run_in_executor(device_thread, decode, batch)
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
