"""The dynamic batcher: an entry waits in the queue; the loop hands batches to the device thread."""

from bs_server.batching.entry import BatchKey, Decoded, Entry
from bs_server.batching.loop import run_batches
from bs_server.batching.queue import BatchQueue

__all__ = ["BatchKey", "BatchQueue", "Decoded", "Entry", "run_batches"]
