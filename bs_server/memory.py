"""Memory of a process that serves for long: what is freed is kept, and what stays is not looked through again.

By default glibc gives the memory of a large batch back to the system, and asks for it again at the next one, which
costs a page fault for every 4 KiB: of a large decoder hundreds a report, and up to a quarter of the CPU time. And
Python's garbage collector goes through half a million objects of torch and the models, which stops all for 0.2 s.
"""

import ctypes
import gc

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
KEPT_BYTES = 256 << 20  # free at the top of a heap; one of a thread has 64 MiB at most, and so is not trimmed at all
HEAP_BYTES = 64 << 20  # of a thread: as much of the next one counts as needed, so that none is given up
MAPPED_BYTES = 32 << 20  # blocks from here on are mapped alone, and given back; the most that glibc takes


def keep_freed_memory() -> bool:
    """Have the C library keep freed memory for what is allocated next.

    Returns:
        Whether it does; False where it is not glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    options = {_M_TRIM_THRESHOLD: KEPT_BYTES, _M_TOP_PAD: HEAP_BYTES, _M_MMAP_THRESHOLD: MAPPED_BYTES}
    taken = [mallopt(option, value) for option, value in options.items()]
    return all(taken)


def exempt_from_collection(*, anew: bool = False) -> None:
    """Have the garbage collector leave out, from now on, all objects that are there and in use.

    Args:
        anew: Whether some of those left out until now may be in use no more; looking through all of them takes 0.2 s.
    """
    if anew:
        gc.unfreeze()
    gc.collect()
    gc.freeze()
