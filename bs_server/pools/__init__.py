"""Where batches are decoded, a `bs_server.batching.DecoderPool`: threads of this process, or replicas in a cluster."""

import contextlib
from collections.abc import Sequence

from bs_server.batching import DecoderPool
from bs_server.config import Settings
from bs_server.pools.local import LocalPool, local_pool
from bs_server.pools.ray_serve import Replicas, ray_pool
from shared.model_files import ModelFile
from shared.refinement import RefinerFile

__all__ = ["LocalPool", "make_pool"]


def make_pool(
    settings: Settings, models: Sequence[ModelFile], refiners: Sequence[RefinerFile]
) -> contextlib.AbstractAsyncContextManager[DecoderPool]:
    """Return the pool that the settings ask for, to be entered.

    Raises:
        CsiError: On entering, if it cannot start; says why.
    """
    device, threads = settings.device, settings.threads
    if settings.pool == "ray":
        return ray_pool(models, refiners, Replicas(settings.replicas, device, threads), settings.ray_address)
    return local_pool(models, refiners, device, threads)
