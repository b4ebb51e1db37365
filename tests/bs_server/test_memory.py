import platform
import subprocess
import sys

import pytest

KEEPING_CHILD = """
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
        int(subprocess.run([sys.executable, "-c", KEEPING_CHILD, what], check=True, capture_output=True).stdout)
        for what in ("keep", "give back")
    )
    assert keeping < 0.1 * giving_back


FREEZING_CHILD = """
import gc
from bs_server.memory import exempt_from_collection

there = [[] for _ in range(1000)]
exempt_from_collection()
later = []
found = {id(one) for one in gc.get_objects()}
print(id(later) in found, any(id(one) in found for one in there))
"""


def test_what_is_there_is_not_looked_through_again_and_what_comes_later_is() -> None:
    done = subprocess.run([sys.executable, "-c", FREEZING_CHILD], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]


RELEASING_CHILD = """
import weakref
from bs_server.memory import exempt_from_collection

class Decoder:
    def __init__(self):
        self.me = self  # a cycle, as a cached method makes one

decoder = Decoder()
there = weakref.ref(decoder)
exempt_from_collection()
del decoder
exempt_from_collection()
kept = there() is not None
exempt_from_collection(anew=True)
print(kept, there() is None)
"""


def test_what_was_left_out_and_is_in_use_no_more_goes_when_all_is_looked_through_anew() -> None:
    done = subprocess.run([sys.executable, "-c", RELEASING_CHILD], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"]
