"""The decoders of this process: the device in one thread, expensive channel codes in another.

    plain: device thread: decode_channel, reconstruct -------------------> results
    coded: channel thread: decode_channel -> device thread: reconstruct -> results

The channel thread never touches the device, and nothing but the device thread does. On the CPU both step back a little
behind the event loop where they share a core with it: so what arrived is in the queue before the next batch begins, and
batches are large.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence, Set
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol

from bs_server.batching import CHEAP_CODES, ChannelDecoded, Decoded, Work
from bs_server.worker import make_device, make_worker
from shared.model_files import ModelFile
from shared.refinement import RefinerFile

# By how much both threads step back as the system schedules them. So little, where more would make batches larger yet,
# because it is behind other processes too that share their core, and who waits for Python's lock waits with them.
NICE = 3


class Halves(Protocol):
    """What the two threads run: `bs_server.worker.Worker`."""

    def decode_channel(self, batch: Sequence[Work]) -> ChannelDecoded:
        """Decode the channel code."""

    def reconstruct(self, batch: Sequence[Work], decided: ChannelDecoded, refine: bool) -> list[Decoded]:
        """Decode, refine and score what the other half made."""

    def hold(self, models: Sequence[ModelFile]) -> None:
        """Decode for further models besides."""

    def release(self, digests: Set[str]) -> None:
        """Decode for some models no more."""


class LocalPool:
    """A worker and its two threads.

    Args:
        halves: The worker.
        channel_thread: An executor of one thread.
        device_thread: An executor of one thread.
    """

    num_batches = 1

    def __init__(self, halves: Halves, channel_thread: Executor, device_thread: Executor) -> None:
        self._halves = halves
        self._channel_thread = channel_thread
        self._device_thread = device_thread

    async def decode(self, batch: Sequence[Work], refine: bool) -> list[Decoded]:
        """See `bs_server.batching.DecoderPool.decode`."""
        loop, halves = asyncio.get_running_loop(), self._halves
        if batch[0].key.code in CHEAP_CODES:
            return await loop.run_in_executor(
                self._device_thread, lambda: halves.reconstruct(batch, halves.decode_channel(batch), refine)
            )
        decided = await loop.run_in_executor(self._channel_thread, halves.decode_channel, batch)
        return await loop.run_in_executor(self._device_thread, halves.reconstruct, batch, decided, refine)

    async def hold(self, models: Sequence[ModelFile]) -> None:
        """See `bs_server.batching.DecoderPool.hold`."""
        await asyncio.get_running_loop().run_in_executor(self._device_thread, self._halves.hold, models)

    async def release(self, digests: Set[str]) -> None:
        """See `bs_server.batching.DecoderPool.release`."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._channel_thread, lambda: None)  # what is there goes to the device first
        await loop.run_in_executor(self._device_thread, self._halves.release, digests)

    def close(self) -> None:
        """Wait for what is under way, and end the threads."""
        self._device_thread.shutdown()
        self._channel_thread.shutdown()


def start_local_pool(
    models: Sequence[ModelFile], refiners: Sequence[RefinerFile], device: str, threads: int
) -> LocalPool:
    """Return a pool of this process, its decoders warm.

    Args:
        models: What it decodes for.
        refiners: What it refines by.
        device: ``cpu`` or ``cuda``.
        threads: Torch threads of each of the two threads, on the CPU.

    Raises:
        InvalidArgumentError: If there is no such device.
        DataFileError: If a model or refiner cannot be used.
    """
    step_back = _step_back if device == "cpu" else None
    device_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device", initializer=step_back)
    channel_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="channel", initializer=step_back)
    # There, for what it sets of torch, and what CUDA keeps, is of a thread.
    worker = device_thread.submit(lambda: make_worker(models, make_device(device, threads), refiners))
    try:
        return LocalPool(worker.result(), channel_thread, device_thread)
    except BaseException:
        device_thread.shutdown()
        channel_thread.shutdown()
        raise


def _step_back() -> None:
    """Let other threads go before this one, as far as that goes: only Linux schedules threads by themselves."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a container may not let it
            os.nice(NICE)


@contextlib.asynccontextmanager
async def local_pool(
    models: Sequence[ModelFile], refiners: Sequence[RefinerFile], device: str, threads: int
) -> AsyncIterator[LocalPool]:
    """Run the pool of `start_local_pool` inside an ``async with``.

    Raises:
        CsiError: As that does.
    """
    pool = await asyncio.to_thread(start_local_pool, models, refiners, device, threads)
    try:
        yield pool
    finally:
        pool.close()
