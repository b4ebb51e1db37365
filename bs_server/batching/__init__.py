"""The dynamic batcher: entries wait in the queue of their lane; the loops hand batches to the decoder pool."""

from bs_server.batching.entry import BatchKey, ChannelDecoded, Decoded, Entry, Work
from bs_server.batching.lanes import CHEAP_CODES, Lanes
from bs_server.batching.loop import DecoderPool, TooSlowError, run_batches
from bs_server.batching.queue import BatchQueue

__all__ = [
    "CHEAP_CODES",
    "BatchKey",
    "BatchQueue",
    "ChannelDecoded",
    "Decoded",
    "DecoderPool",
    "Entry",
    "Lanes",
    "TooSlowError",
    "Work",
    "run_batches",
]
