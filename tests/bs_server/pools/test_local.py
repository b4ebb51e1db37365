import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bs_server.batching import ChannelDecoded, Decoded, Work
from bs_server.pools.local import NICE, LocalPool, start_local_pool
from shared.model_files import ModelFile
from shared.types import Received, ReceivedKind
from tests.bs_server.test_worker import entry
from ue_client.pipeline import Pipeline


@pytest.mark.skipif(sys.platform != "linux", reason="threads are not scheduled by themselves")
def test_the_thread_that_decodes_steps_back_behind_the_event_loop() -> None:
    before = {thread.native_id for thread in threading.enumerate()}
    pool = start_local_pool([], [], "cpu", threads=1)
    try:
        (device,) = {thread.native_id for thread in threading.enumerate()} - before
        assert device is not None
        own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        assert os.getpriority(os.PRIO_PROCESS, device) == min(own + NICE, 19)
    finally:
        pool.close()


NOT_ROOT = """
import os
from bs_server.pools.local import start_local_pool
os.nice(18)
if os.getuid() == 0:  # who may do anything
    os.setuid(65534)
start_local_pool([], [], "cpu", threads=1).close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are not scheduled by themselves")
def test_a_process_that_stepped_back_already_decodes_too() -> None:
    subprocess.run([sys.executable, "-c", NOT_ROOT], check=True, capture_output=True)


class Noting:
    """Halves that note what they are asked to do; the channel's waits until it may go on."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.started, self.may_go_on = threading.Event(), threading.Event()

    def decode_channel(self, batch: Sequence[Work]) -> ChannelDecoded:
        self.started.set()
        assert self.may_go_on.wait(20)
        self.asked.append("channel")
        return ChannelDecoded(
            Received(ReceivedKind.HARD_BITS, np.zeros((1, 1), np.uint8), np.ones(1, np.int64)), None, 0.0
        )

    def reconstruct(self, batch: Sequence[Work], decided: ChannelDecoded, refine: bool) -> list[Decoded]:
        self.asked.append("device")
        return []

    def hold(self, models: Sequence[ModelFile]) -> None:
        self.asked.append("hold")

    def release(self, digests: Set[str]) -> None:
        self.asked.append("release")


async def test_a_model_is_released_after_the_batches_that_are_under_way(make_ue: Callable[..., Pipeline]) -> None:
    halves = Noting()
    with ThreadPoolExecutor(1) as channel_thread, ThreadPoolExecutor(1) as device_thread:
        pool, ue = LocalPool(halves, channel_thread, device_thread), make_ue("klt")
        decoding = asyncio.create_task(pool.decode([entry(ue, range(1), code="conv-1/2")], refine=False))
        await asyncio.to_thread(halves.started.wait, 20)
        releasing = asyncio.create_task(pool.release({ue.card.sha256}))
        await asyncio.sleep(0)
        halves.may_go_on.set()
        await asyncio.gather(decoding, releasing)
    assert halves.asked == ["channel", "device", "release"]
