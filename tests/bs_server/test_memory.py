import platform
import subprocess
import sys

import pytest

CHILD = """
import resource, sys, threading
import numpy as np
from bs_server.memory import keep_freed_memory

def batches():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        arrays = [np.ones(1 << 20) for _ in range(8)]  # 8 MiB each
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def main():
    if sys.argv[1] == "keep":
        assert keep_freed_memory()
    batches()
    print(batches())

thread = threading.Thread(target=main)
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_that_is_kept_is_not_asked_for_again() -> None:
    keeping, giving_back = (
        int(subprocess.run([sys.executable, "-c", CHILD, what], check=True, capture_output=True).stdout)
        for what in ("keep", "give back")
    )
    assert keeping < 0.1 * giving_back
