"""A small street to trace, where Sionna RT and LLVM are installed."""

from dataclasses import replace

import pytest

from shared.channels.raytraced import Raytraced, settings_of
from shared.channels.raytraced.settings import Rectangle
from shared.channels.raytraced.tracing import Tracer

STREET = replace(
    settings_of(None, "simple_street_canyon"),
    area=(Rectangle(-20.0, 20.0, -7.0, 7.0),),
    num_tx_ant=4,
    num_rays=2000,
    max_depth=2,
    bandwidth_hz=100e6,
    num_subcarriers=64,
)


@pytest.fixture(scope="session")
def street() -> Raytraced:
    return STREET


@pytest.fixture(scope="session")
def tracer() -> Tracer:
    """Return a tracer of `STREET`; its test is skipped where nothing can be traced."""
    try:
        return Tracer(STREET, num_threads=1)
    except ImportError as error:
        pytest.skip(str(error))
