import os
import subprocess
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
