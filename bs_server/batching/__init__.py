"""The dynamic batcher: entries wait in the queue of their lane; the loops hand batches to the threads that decode."""

from bs_server.batching.entry import BatchKey, ChannelDecoded, Decoded, Entry
from bs_server.batching.lanes import CHEAP_CODES, Lanes
from bs_server.batching.loop import run_batches
from bs_server.batching.queue import BatchQueue

__all__ = [
    "CHEAP_CODES",
    "BatchKey",
    "BatchQueue",
    "ChannelDecoded",
    "Decoded",
    "Entry",
    "Lanes",
    "run_batches",
]
