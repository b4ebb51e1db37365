"""The loops that move batches from the queues to the decoder pool and results back to those who wait.

next_batch of a lane -> DecoderPool.decode -> results

Each lane has as many batches under way as the pool takes: one, of the local pool, so that a batch waits for its device
no longer than one of the other lane takes. Whether a batch is refined is decided here, on the event loop, when it
leaves its queue: the pool never looks at the queues. A batch that fails is decoded again in halves, until the entry
that fails is alone.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence, Set
from functools import partial
from typing import Protocol

from bs_server.batching.entry import Decoded, Entry, Work
from bs_server.batching.lanes import Lanes
from bs_server.batching.queue import BatchQueue
from shared.errors import UnavailableError
from shared.model_files import ModelFile

log = logging.getLogger(__name__)

MAX_FAILURES = 16  # of parts of a batch, without any success; one entry in 64 is found after 7


class TooSlowError(UnavailableError):
    """A pool gave up on a batch after so long that its halves are not tried."""


class DecoderPool(Protocol):
    """Where batches are decoded: `bs_server.pools`.

    Attributes:
        num_batches: Batches of each lane that it takes at once.
    """

    num_batches: int

    async def decode(self, batch: Sequence[Work], refine: bool) -> list[Decoded]:
        """Decode and score a batch.

        Args:
            batch: Work of one key.
            refine: Whether there is time to refine what its sessions want refined.

        Returns:
            One result for each, in order.

        Raises:
            TooSlowError: If it took too long.
            Exception: Whatever else decoding raises; the loop tries the halves of the batch then.
        """

    async def hold(self, models: Sequence[ModelFile]) -> None:
        """Decode for further models besides, once they have decoded a report of zeros; for all of them or none.

        Raises:
            DataFileError: If one cannot be used.
        """

    async def release(self, digests: Set[str]) -> None:
        """Decode for some models no more, after what is under way; what they take is freed now or later.

        Args:
            digests: Models of which no more work comes that somebody waits for.
        """


async def run_batches(
    lanes: Lanes, pool: DecoderPool, observe: Callable[[Sequence[Entry], list[Decoded]], None]
) -> None:
    """Decode batch after batch of both lanes until cancelled.

    Args:
        lanes: Where entries wait.
        pool: Where they are decoded.
        observe: Called with each finished batch, on the event loop.
    """
    async with asyncio.TaskGroup() as all_lanes:
        for queue in (lanes.plain, lanes.coded):
            for _ in range(pool.num_batches):
                all_lanes.create_task(_run_lane(lanes, queue, pool, observe))


async def _run_lane(
    lanes: Lanes,
    queue: BatchQueue,
    pool: DecoderPool,
    observe: Callable[[Sequence[Entry], list[Decoded]], None],
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        batch = await queue.next_batch()
        start_s, refine = loop.time(), lanes.has_time_to_refine
        async for part, results in _decoded(batch, partial(pool.decode, refine=refine)):
            for entry, result in zip(part, results, strict=True):
                if not entry.result.done():
                    entry.result.set_result(result)
            observe(part, results)
        num_reports = sum(entry.num_reports for entry in batch)
        queue.observe_rate(pool.num_batches * num_reports, loop.time() - start_s)


async def _decoded(
    batch: list[Entry], decode: Callable[[Sequence[Work]], Awaitable[list[Decoded]]]
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
        if isinstance(error, TooSlowError):
            pass
        elif num_failures > MAX_FAILURES and not any_decoded:
            part, parts = [entry for other in (part, *parts) for entry in other], []
        elif len(part) > 1:
            middle = len(part) // 2
            parts += [part[middle:], part[:middle]]
            continue
        for entry in part:
            if not entry.result.done():
                entry.result.set_exception(error)


async def _attempt(
    part: Sequence[Work], decode: Callable[[Sequence[Work]], Awaitable[list[Decoded]]]
) -> tuple[list[Decoded], Exception | None]:
    """Return the results, or none and what went wrong, without the frames that would keep the device's memory."""
    try:
        return await decode(part), None
    except Exception as error:  # whatever one batch does, the next one is served
        log.exception("decoding failed", extra={"batch_key": str(part[0].key), "num_entries": len(part)})
        return [], error.with_traceback(None)
