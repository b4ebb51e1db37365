import os
import sys
import threading

import pytest

from bs_server.pools.local import NICE, start_local_pool


@pytest.mark.skipif(sys.platform != "linux", reason="threads are not scheduled by themselves")
def test_the_thread_that_decodes_steps_back_behind_the_event_loop() -> None:
    before = {thread.native_id for thread in threading.enumerate()}
    pool = start_local_pool([], [], "cpu", threads=1)
    try:
        (device,) = {thread.native_id for thread in threading.enumerate()} - before
        assert device is not None
        own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        assert os.getpriority(os.PRIO_PROCESS, device) == min(NICE, 19) > own
    finally:
        pool.close()
