"""DeepMIMO's ray-traced files up to version 3: a .mat for each base station, in a folder for each city.

`channels` is a cell array with one struct a user, whose `p` is [8, paths]: phase (degrees), time of arrival (s), power
(dBm), arrival azimuth and elevation, departure azimuth and elevation (degrees), line-of-sight flag. Azimuth counts from
the x axis, and "elevation" from the z axis: 90 is level. Antenna n of the ULA stands n half wavelengths along
``array_axis``, so that a path departing in direction (az, el) has phase exp(+j pi n sin(el) sin(az)) for the y axis,
cos(az) for the x axis, as in DeepMIMO's own generator. Users without a path are left out and counted.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.channels.mat5 import Cells
from shared.channels.multipath import Paths
from shared.channels.path_files import paths_stream
from shared.channels.stored import Array, StoredArray
from shared.channels.stream import ChannelStream, Configuration, ReadOptions, in_its_folder
from shared.errors import DataFileError, InvalidArgumentError

ROWS = 8
MOST_DB = 1000  # far beyond any link; beyond it amplitudes would overflow
RAY_ROWS = [0, 1, 2, 5, 6]  # what `rays_stream` takes
FILE_OF = ("BS{}_UE_*.mat", "TX{}-*_RX*.mat")  # the generator's name, and the ray tracer's


def read_deepmimo(path: Path, arrays: Mapping[str, StoredArray | Cells], options: ReadOptions) -> ChannelStream:
    """Return the channels of one base station.

    Args:
        path: The .mat file.
        arrays: What it holds.
        options: Sampling, and the axis of the array.

    Raises:
        DataFileError: If `channels` is not what DeepMIMO writes, no user has a path, or a power is none.
    """
    channels = arrays["channels"]
    users = channels.items if isinstance(channels, Cells) else []
    tables = [_table(path, user) for user in users]
    counts = np.array([table.shape[1] for table in tables], dtype=np.int64)
    tables.append(np.zeros((ROWS, 0), dtype=np.float32))  # for a file without users
    rays = np.concatenate(tables, axis=1)[RAY_ROWS].astype(np.float64)
    return rays_stream(path, counts, rays, options)


def rays_stream(
    path: Path, counts: NDArray[np.int64], rays: NDArray[np.float64], options: ReadOptions
) -> ChannelStream:
    """Return the channels of rays that are described as DeepMIMO does.

    Args:
        path: Their file, for sentences and the card.
        counts: [users] paths of each user; users without any are left out and counted in the card.
        rays: [5, paths] phase (degrees), delay (s), power (dB of any reference), azimuth from the x axis and angle from
            the z axis of departure (degrees).
        options: Sampling, and the axis of the array.

    Raises:
        DataFileError: If no user has a path, a power is none, or something is not finite.
    """
    if not counts.any():
        raise DataFileError(f"`{path}` must hold users with paths; found {len(counts)} users, none with a path.")
    phase_deg, delay_s, power_db, azimuth_deg, elevation_deg = rays
    usable = np.abs(power_db) <= MOST_DB  # so put, not-a-number is refused too
    if not usable.all():
        worst = power_db[np.argmin(usable)]
        raise DataFileError(f"powers of `{path}` must be in [-{MOST_DB}, {MOST_DB}] dB; found {worst:.3g}.")
    if not np.isfinite(rays).all():
        raise DataFileError(f"`{path}` must hold finite paths; found some that are not.")
    elevation, azimuth = np.radians(elevation_deg), np.radians(azimuth_deg)
    along = np.sin(elevation) * (np.sin(azimuth) if options.array_axis == "y" else np.cos(azimuth))
    paths = Paths(
        offsets=np.concatenate([[0], np.cumsum(counts[counts > 0])]),
        sine=-along,  # `Paths` counts phase as exp(-j pi n u)
        delay_s=delay_s,
        amplitude=10 ** (power_db / 20) * np.exp(1j * np.radians(phase_deg)),
    )
    covered = int((counts > 0).sum())
    configuration: Configuration = {
        f"users_without_coverage_of_{in_its_folder(path)}": len(counts) - covered,
        "array_axis": options.array_axis,
        "angles": "azimuth from x, elevation from z; phase of antenna n exp(+j pi n cos(angle to the array's axis))",
    }
    return paths_stream(path, "DeepMIMO paths", lambda: paths, covered, options.sampling, None, configuration)


def base_station_files(folder: Path, base_stations: tuple[int, ...]) -> list[Path]:
    """Return the files of these base stations in a folder.

    Raises:
        InvalidArgumentError: If none is asked for, or one is not there.
    """
    found = {number: path for number in range(1, 65) if (path := _file_of(folder, number))}
    if not found:
        raise DataFileError(
            f"`{folder}` must hold DeepMIMO's files (BS1_UE_*.mat, or power_t*_tx*_r*.npz); found none."
        )
    there = ", ".join(map(str, found))
    missing = [number for number in base_stations if number not in found]
    if missing or not base_stations:
        got = ", ".join(map(str, missing)) or "none"
        raise InvalidArgumentError(f"`base_station` must be of {there}, which `{folder}` holds; got {got}.")
    return [found[number] for number in base_stations]


def _file_of(folder: Path, number: int) -> Path | None:
    for pattern in FILE_OF:
        for path in sorted(folder.glob(pattern.format(number))):
            return path
    return None


def _table(path: Path, user: "Array | Cells | None") -> Array:
    """Return a user's [8, paths]."""
    empty = np.zeros((ROWS, 0), dtype=np.float32)
    if user is None or (isinstance(user, np.ndarray) and not user.size):
        return empty
    if not isinstance(user, Cells) or "p" not in user.fields or len(user.items) != len(user.fields):
        raise DataFileError(f"`channels` of `{path}` must hold one struct a user with the field `p`.")
    table = user.items[user.fields.index("p")]
    if table is None or (isinstance(table, np.ndarray) and not table.size):
        return empty
    if not isinstance(table, np.ndarray) or table.ndim != 2 or len(table) != ROWS or table.dtype.kind != "f":
        found = f"{list(table.shape)}"
        raise DataFileError(f"`p` of a user in `{path}` must be [{ROWS}, paths] real; found {found}.")
    return table
