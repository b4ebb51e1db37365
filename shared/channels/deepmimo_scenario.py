"""DeepMIMO's scenarios of version 4: a folder, with a file for each quantity from a transmitter to a set of receivers.

    power_t001_tx000_r002.npz    quantity, set of transmitters, transmitter in it, set of receivers; .npz or .mat

The file holds one array of the quantity's name, [receivers, most paths] float32, NaN behind the last path of each:
power (dBW at 0 dBW sent), phase (degrees), delay (s), azimuth and "elevation" of departure (degrees, as in
`shared.channels.deepmimo`: from the x axis, from the z axis). A path is there where its power is a number, as in
DeepMIMO's own generator. Source: DeepMIMO/DeepMIMO on GitHub, package deepmimo 4.0.5; docs/data.md says which file.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.channels.deepmimo import rays_stream
from shared.channels.file import open_arrays
from shared.channels.stored import StoredArray
from shared.channels.stream import ChannelStream, Configuration, ReadOptions, cannot_read, in_its_folder
from shared.digests import sha256_of
from shared.errors import DataFileError, InvalidArgumentError

QUANTITIES = ("phase", "delay", "power", "aod_az", "aod_el")  # the rows that `rays_stream` takes
FILE = re.compile(rf"({'|'.join(QUANTITIES)})_t(\d+)_tx(\d+)_r(\d+)\.(?:mat|npz)")

Link = tuple[int, int, int]  # set of transmitters, transmitter in it, set of receivers


def is_scenario(folder: Path) -> bool:
    """Return whether a path is a folder with files of version 4."""
    return folder.is_dir() and bool(_links(folder))


def scenario_streams(folder: Path, options: ReadOptions) -> list[ChannelStream]:
    """Return the channels of each base station asked for.

    Args:
        folder: A scenario, or one scene of a scenario with several.
        options: Sampling, axis of the array, and the base stations: n is the n-th transmitter, from 1, in the order of
            set and number. Their users are those of all sets of receivers that do not transmit (DeepMIMO's default).

    Raises:
        InvalidArgumentError: If no base station is asked for, or one is not there.
        DataFileError: If there is no set of receivers, a quantity is missing or damaged, or they do not fit.
    """
    links = _links(folder)
    receivers = {link[2] for link in links} - {link[0] for link in links}
    transmitters = sorted({link[:2] for link in links if link[2] in receivers})
    if not transmitters:
        there = ", ".join(map(_code, sorted(links)))
        raise DataFileError(f"`{folder}` must hold a set of receivers (r) that transmits nothing (t); found {there}.")
    wrong = [n for n in options.base_stations if not 1 <= n <= len(transmitters)]
    if wrong or not options.base_stations:
        there = ", ".join(f"{n} (t{t:03}_tx{tx:03})" for n, (t, tx) in enumerate(transmitters, 1))
        got = ", ".join(map(str, wrong)) or "none"
        raise InvalidArgumentError(f"`base_station` must be of {there}, which `{folder}` holds; got {got}.")
    return [_stream(folder, transmitters[n - 1], receivers, options) for n in options.base_stations]


def _links(folder: Path) -> dict[Link, dict[str, Path]]:
    """Return link -> quantity -> file; of a .mat and a .npz the .mat, as DeepMIMO's loader does."""
    links: dict[Link, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        if match := FILE.fullmatch(path.name):
            link = (int(match[2]), int(match[3]), int(match[4]))
            links.setdefault(link, {}).setdefault(match[1], path)
    return links


def _code(link: Link) -> str:
    """Return how a link is written in the names of its files."""
    return "t{:03}_tx{:03}_r{:03}".format(*link)


def _stream(folder: Path, transmitter: tuple[int, int], receivers: set[int], options: ReadOptions) -> ChannelStream:
    """Return the channels of a transmitter to all sets of receivers; one set may well be out of its reach."""
    counts, rays = [], []
    digests = Configuration()
    for link, files in sorted(_links(folder).items()):
        if link[:2] == transmitter and link[2] in receivers:
            arrays = _arrays(folder, link, files)
            there = ~np.isnan(arrays["power"])
            counts.append(there.sum(axis=1))
            rays.append(np.stack([arrays[quantity][there] for quantity in QUANTITIES]))
            digests |= {f"sha256_of_{in_its_folder(files[name])}": sha256_of(files[name]) for name in QUANTITIES}
    path = folder / "t{:03}_tx{:03}".format(*transmitter)
    stream = rays_stream(path, np.concatenate(counts), np.concatenate(rays, axis=1), options)
    return replace(stream, configuration=stream.configuration | digests)


def _arrays(folder: Path, link: Link, files: dict[str, Path]) -> dict[str, NDArray[np.float64]]:
    """Return quantity -> [receivers, most paths] of a link."""
    missing = [quantity for quantity in QUANTITIES if quantity not in files]
    if missing:
        wanted = f"`{folder}` must hold {', '.join(QUANTITIES)} of {_code(link)}"
        raise DataFileError(f"{wanted}; found no {', '.join(missing)}.")
    arrays = {quantity: _load(quantity, files[quantity]) for quantity in QUANTITIES}
    if len({array.shape for array in arrays.values()}) > 1:
        found = ", ".join(f"{quantity} {list(array.shape)}" for quantity, array in arrays.items())
        raise DataFileError(f"the files of {_code(link)} in `{folder}` must hold arrays of one shape; found {found}.")
    elevation = arrays["aod_el"]
    if (elevation < 0).any() or (elevation > 180).any():  # some are counted from the horizon (AODT, issue 63)
        found = f"{np.nanmin(elevation):.3g} ... {np.nanmax(elevation):.3g}"
        raise DataFileError(
            f"`aod_el` of `{files['aod_el']}` must be from the z axis, 0 to 180 degrees; found {found}."
        )
    return arrays


def _load(quantity: str, path: Path) -> NDArray[np.float64]:
    array = open_arrays(path).get(quantity)
    if not isinstance(array, StoredArray) or len(array.shape) != 2 or array.dtype.kind != "f":
        found = f"{list(array.shape)}" if array else "no such array"
        raise DataFileError(f"`{quantity}` of `{path}` must be [receivers, paths] real; found {found}.")
    try:
        return array.load().astype(np.float64)
    except Exception as error:  # zipfile, zlib and HDF5 each raise their own on a broken file
        raise cannot_read(path, error) from error
