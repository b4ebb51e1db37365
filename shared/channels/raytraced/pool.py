"""Trace a pool of UEs part by part; a run that breaks off, however, goes on where it was.

    places -> parts of UES_A_PART UEs, a file each in a folder -> the first covered UEs of all parts, end to end

A part file appears under its name once it is complete. The folder's name holds a digest of the settings, the seed and
the versions, so that another run never takes parts that it would not have made.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.channels.multipath import Paths
from shared.channels.raytraced.places import places
from shared.channels.raytraced.settings import Raytraced
from shared.channels.raytraced.tracing import Traced, Tracer
from shared.errors import InvalidArgumentError

UES_A_PART = 1000
MOST_UES = 200_000  # their places, drawn at once, take 0.55 GB
MOST_TRIED = 20  # places for each UE that is wanted: below 5 % coverage something is wrong with site or area


@dataclass(frozen=True, slots=True)
class Pool:
    """UEs with at least one path, in random order.

    Attributes:
        positions: [num_ues, 3] float32, m.
        traced: Their paths.
        walls: [n, 4] float32, the walls around them as seen from above.
        num_without_path: Places that were tried and left out.
        trace_s: Seconds of tracing, of all runs that had a share in it.
        traced_by: Programs and their versions.
    """

    positions: NDArray[np.float32]
    traced: Traced
    walls: NDArray[np.float32]
    num_without_path: int
    trace_s: float
    traced_by: str

    @property
    def offsets(self) -> NDArray[np.int64]:
        """[num_ues + 1] int64, first path of each UE."""
        return np.concatenate([[0], np.cumsum(self.traced.counts)])

    def paths_of(self, ues: NDArray[np.integer]) -> Paths:
        """Return the paths of these UEs, as channels are computed from them.

        Args:
            ues: [n] integer, n >= 1.
        """
        counts, traced = self.traced.counts[ues], self.traced
        offsets = np.concatenate([[0], np.cumsum(counts)])
        of_path = np.repeat(self.offsets[ues] - offsets[:-1], counts) + np.arange(offsets[-1])
        sine = np.sin(traced.aod[of_path].astype(np.float64))
        return Paths(offsets, sine, traced.delay_s[of_path], traced.amplitude[of_path])


def trace_pool(
    settings: Raytraced,
    num_ues: int,
    seed: int,
    out: Path,
    progress: Callable[[int], None],
    num_threads: int | None = None,
) -> Pool:
    """Trace until ``num_ues`` UEs have a path.

    The same settings and seed give the same UEs: fewer of them are the first of more.

    Args:
        settings: What to trace.
        num_ues: How many.
        seed: Seed of the places, in [0, 2^64).
        out: File that is being made: the parts lie in a folder beside it, `parts_folder`, until they are removed.
        progress: Called with the number of UEs just covered, by this run or an earlier one; with 0 before the first.
        num_threads: Threads that trace; None for one a core.

    Raises:
        InvalidArgumentError: If a number is out of its range, or the area has too few places with a path.
        ImportError: If Sionna RT or LLVM is not installed, or LLVM is too old.
    """
    if not 1 <= num_ues <= MOST_UES:
        raise InvalidArgumentError(f"`num_channels`, of all splits, must be in [1, {MOST_UES}]; got {num_ues}.")
    if not 0 <= seed < 2**64:
        raise InvalidArgumentError(f"`seed` must be in [0, 2^64); got {seed}.")
    all_places = places(settings, MOST_TRIED * num_ues, seed)
    _require_enough(num_ues, len(all_places), len(all_places), settings)
    tracer = Tracer(settings, num_threads)
    folder = parts_folder(settings, seed, out)
    folder.mkdir(parents=True, exist_ok=True)
    progress(0)
    parts, covered, seconds = [], 0, 0.0
    for number in range(-(-len(all_places) // UES_A_PART)):
        part = all_places[number * UES_A_PART : (number + 1) * UES_A_PART]
        traced, part_s = _part(folder / f"part-{number:05d}.npz", part, tracer)
        parts.append(traced)
        seconds += part_s
        new = int((traced.counts > 0).sum())
        progress(min(new, num_ues - covered))
        covered += new
        if covered >= num_ues:
            break
    _require_enough(num_ues, covered, len(all_places), settings)
    joined = _joined(parts)
    tried = 1 + int(np.flatnonzero(joined.counts)[num_ues - 1])
    kept = np.flatnonzero(joined.counts[:tried])
    num_paths = int(joined.counts[:tried].sum())
    traced = Traced(
        joined.counts[kept],
        joined.line_of_sight[kept],
        joined.aod[:num_paths],
        joined.delay_s[:num_paths],
        joined.amplitude[:num_paths],
    )
    return Pool(all_places[kept], traced, tracer.walls(), tried - num_ues, seconds, _versions())


def parts_folder(settings: Raytraced, seed: int, out: Path) -> Path:
    """Return the folder of the parts of a file."""
    key = hashlib.sha256(repr((asdict(settings), seed, _versions(), UES_A_PART)).encode()).hexdigest()
    return out.with_name(f".{out.stem}.{key[:12]}.parts")


def remove_parts(settings: Raytraced, seed: int, out: Path) -> None:
    """Remove the parts of a file, once it is written."""
    shutil.rmtree(parts_folder(settings, seed, out), ignore_errors=True)


def _versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("sionna-rt", "mitsuba", "drjit"))


def _require_enough(wanted: int, found: int, tried: int, settings: Raytraced) -> None:
    if found < wanted:
        on_grid = "" if settings.grid_spacing_m is None else f" on a grid of {settings.grid_spacing_m:g} m"
        raise InvalidArgumentError(
            f"`area` must have {wanted} places with a path{on_grid}; found {found} of {tried}. "
            "Take fewer UEs, a larger area or a finer grid, or move the BS."
        )


def _part(path: Path, part: NDArray[np.float32], tracer: Tracer) -> tuple[Traced, float]:
    """Return the paths of a part and the seconds that they took, from its file where that holds as many places."""
    if path.exists():
        with np.load(path) as stored:
            if len(stored["counts"]) == len(part):  # the last part of a run that wanted fewer UEs is shorter
                fields = [stored[name] for name in ("counts", "line_of_sight", "aod", "delay_s", "amplitude")]
                return Traced(*fields), float(stored["seconds"])
    start = time.perf_counter()
    step = tracer.num_ues_at_once
    traced = _joined([tracer.trace(part[i : i + step]) for i in range(0, len(part), step)])
    seconds = time.perf_counter() - start
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with unfinished.open("wb") as stream:
        np.savez(stream, seconds=seconds, **asdict(traced))
    unfinished.replace(path)
    return traced, seconds


def _joined(parts: list[Traced]) -> Traced:
    return Traced(
        np.concatenate([part.counts for part in parts]),
        np.concatenate([part.line_of_sight for part in parts]),
        np.concatenate([part.aod for part in parts]),
        np.concatenate([part.delay_s for part in parts]),
        np.concatenate([part.amplitude for part in parts]),
    )
