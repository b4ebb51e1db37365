"""Propagation paths as flat arrays of many channels (.npz, .h5).

Channel i is the paths ``offsets[i] : offsets[i + 1]``.

| array | type | meaning |
|---|---|---|
| ``offsets`` | [N + 1] integer | first path of each channel |
| ``aod`` | [P] float | angle of departure off the broadside of the BS's ULA (elevation included), rad |
| ``delay`` | [P] float | s |
| ``amp`` | [P] complex | amplitude at the lowest subcarrier, carrier phase included |
| ``env_id`` | [N] integer, optional | environment; a split must not share one |
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.channels.multipath import Paths, Sampling, angular_delay_chunks
from shared.channels.stored import StoredArray
from shared.channels.stream import ChannelStream, Chunk, Configuration, ReadOptions
from shared.errors import DataFileError
from shared.types import CsiShape

PATH_ARRAYS = frozenset({"offsets", "aod", "delay", "amp"})
KINDS = {"offsets": "iu", "aod": "f", "delay": "f", "amp": "c"}


def read_paths(path: Path, arrays: Mapping[str, StoredArray], options: ReadOptions) -> ChannelStream:
    """Return the channels of flat arrays of paths.

    Raises:
        DataFileError: If the arrays do not fit each other.
    """
    for name, kinds in KINDS.items():
        if arrays[name].dtype.kind not in kinds or len(arrays[name].shape) != 1:
            found = f"{list(arrays[name].shape)} {arrays[name].dtype}"
            wanted = {"iu": "integer", "f": "real", "c": "complex"}[kinds]
            raise DataFileError(f"`{name}` of `{path}` must be [n] {wanted}; found {found}.")
    offsets = arrays["offsets"].load().astype(np.int64)
    num_paths = arrays["amp"].shape[0]
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != num_paths or (np.diff(offsets) < 1).any():
        raise DataFileError(
            f"`offsets` of `{path}` must rise from 0 to the {num_paths} paths, at least one a channel; "
            f"found {len(offsets)} from {offsets[:1].tolist()} to {offsets[-1:].tolist()}."
        )
    if not arrays["aod"].shape == arrays["delay"].shape == arrays["amp"].shape:
        shapes = [arrays[name].shape[0] for name in ("aod", "delay", "amp")]
        raise DataFileError(f"`aod`, `delay`, `amp` of `{path}` must be of one length; found {shapes}.")
    environments = _environments(path, arrays["env_id"], len(offsets) - 1) if "env_id" in arrays else None

    def load() -> Paths:
        aod, delay, amp = (arrays[name].load() for name in ("aod", "delay", "amp"))
        if not np.abs(aod).max() <= 2 * np.pi:
            raise DataFileError(f"`aod` of `{path}` must be in rad; found up to {np.abs(aod).max():.3g}.")
        return Paths(offsets, np.sin(aod.astype(np.float64)), delay, amp)  # type: ignore[arg-type]

    return paths_stream(path, "propagation paths", load, len(offsets) - 1, options.sampling, environments, {})


def _environments(path: Path, array: StoredArray, num_channels: int) -> NDArray[np.int64]:
    if array.shape != (num_channels,) or array.dtype.kind not in "iu":
        found = f"{list(array.shape)} {array.dtype}"
        raise DataFileError(f"`env_id` of `{path}` must be [{num_channels}] integer; found {found}.")
    return array.load().astype(np.int64)


def paths_stream(
    path: Path,
    layout: str,
    load: Callable[[], Paths],
    num_channels: int,
    sampling: Sampling,
    environments: NDArray[np.int64] | None,
    configuration: Configuration,
) -> ChannelStream:
    """Return the angular-delay channels of paths.

    Args:
        path: Their file.
        layout: What kind of file it is.
        load: () -> the paths; called when the channels are read.
        num_channels: Channels of ``load``.
        sampling: Antennas, band and crop.
        environments: [num_channels], or None.
        configuration: What a card should say besides the sampling.
    """

    def read() -> Iterator[Chunk]:
        paths = load()
        _require_usable(path, paths, sampling)
        yield from angular_delay_chunks(paths, sampling)

    sampled: Configuration = {
        "bandwidth_hz": sampling.bandwidth_hz,
        "num_subcarriers_before_crop": sampling.num_subcarriers,
        "bs_array": f"ULA of {sampling.num_tx_ant}, half wavelength",
    }
    shape = CsiShape("angular-delay", 1, sampling.num_tx_ant, sampling.num_delay_taps)
    return ChannelStream(path, layout, shape, num_channels, read, environments, sampled | configuration, loss="each")


def _require_usable(path: Path, paths: Paths, sampling: Sampling) -> None:
    if not (np.isfinite(paths.sine).all() and np.isfinite(paths.amplitude).all()):
        raise DataFileError(f"`{path}` must hold finite paths; found some that are not.")
    symbol_s = sampling.num_subcarriers / sampling.bandwidth_hz
    if not (paths.delay_s.min() >= 0 and paths.delay_s.max() < symbol_s):
        found = f"{paths.delay_s.min():.3g} ... {paths.delay_s.max():.3g}"
        raise DataFileError(f"the delays of `{path}` must be in [0, {symbol_s:.3g}) s, one symbol; found {found}.")
