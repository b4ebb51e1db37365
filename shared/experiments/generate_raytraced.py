"""Generate ray-traced data sets, their cards, and the file of paths beside them (extra `raytracing`).

    pool of UEs --+--> OUT-train.npz, OUT-val.npz, OUT-test.npz                   split at random, as the papers do
                  +--> OUT-area-train.npz, OUT-area-val.npz, OUT-area-test.npz    split by the ground they stand on
                  +--> OUT-both-test.npz                                          some that are test in both
                  '--> OUT-paths.npz                                              paths, places, walls of all of them

A random split of a dense area gives each test UE neighbours in the training set; the split by area gives none.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from shared.channels import DatasetCard
from shared.channels.card import write_dataset_card
from shared.channels.crop_loss import CropLosses
from shared.channels.multipath import angular_delay_chunks
from shared.channels.raytraced import Pool, Raytraced, trace_pool
from shared.channels.raytraced.area_split import split_by_area
from shared.channels.raytraced.pool import remove_parts
from shared.channels.stream import Configuration
from shared.channels.writing import write_arrays, write_channels
from shared.errors import InvalidArgumentError
from shared.transforms import normalize_power

MOST_IN_BOTH = 1000  # channels of 32 x 32: 4 MB, small enough to ship


@dataclass(frozen=True, slots=True)
class RaytracedJob:
    """What to generate.

    Attributes:
        settings: What to trace.
        out: The .npz file; with ``splits``, each of their names goes before the suffix.
        num_channels: Channels of the one file, without ``splits``.
        splits: Name -> channels of the random split; the split by area has about as many. The last is the test.
        seed: Seed of the places, and of which split a block goes to.
        block_m: Side of the blocks of ground of the split by area.
        gap_m: Smallest distance between UEs of two of its splits.
        recipe: Command that makes the files again.
        num_threads: Threads that trace; None for one a core.
    """

    settings: Raytraced
    out: Path
    num_channels: int
    splits: dict[str, int]
    seed: int
    block_m: float
    gap_m: float
    recipe: str
    num_threads: int | None = None

    @property
    def num_ues(self) -> int:
        """UEs to trace."""
        return sum(self.splits.values()) if self.splits else self.num_channels

    def path(self, part: str) -> Path:
        """Return the file of a part: of a split, or of the paths."""
        return self.out.with_name(f"{self.out.stem}-{part}.npz") if part else self.out

    def data_files(self) -> list[Path]:
        """Return the files of channels that will be written.

        Raises:
            InvalidArgumentError: If ``out`` has another suffix, or a split the name of a file that is made beside it.
        """
        if self.out.suffix != ".npz":
            raise InvalidArgumentError(f"`out` must end in .npz; got {self.out.name!r}.")
        names = list(self.splits)
        for name in names:
            if name == "paths" or name.replace("_", "-").startswith(("area-", "both-")):
                raise InvalidArgumentError(f"`split` must not be paths, nor begin with area- or both-; got {name!r}.")
        if len({_index_name(name) for name in names}) < len(names):  # a-b and a_b
            raise InvalidArgumentError(f"`split` must have names that differ in more than - and _; got {names}.")
        of_both = [f"both-{names[-1]}"] if len(names) > 1 else []
        by_area = [f"area-{name}" for name in names] if len(names) > 1 else []
        return [self.path(part) for part in ([*names, *by_area, *of_both] or [""])]


def generate_raytraced(job: RaytracedJob, progress: Callable[[int], None]) -> list[DatasetCard]:
    """Trace the UEs, write the channels of each split and its card, and the paths of all.

    A run that breaks off goes on where it was when it is started again (`shared.channels.raytraced.pool`).

    Args:
        job: What to generate.
        progress: Called with the number of UEs just traced.

    Returns:
        The card of each file of channels.

    Raises:
        InvalidArgumentError: If the area has too few places with a path, or a split gets no UE.
        ImportError: If Sionna RT or LLVM is not installed, or LLVM is too old.
    """
    job.data_files()
    pool = trace_pool(job.settings, job.num_ues, job.seed, job.out, progress, job.num_threads)
    cards = write_pool(job, pool)
    remove_parts(job.settings, job.seed, job.out)
    return cards


def write_pool(job: RaytracedJob, pool: Pool) -> list[DatasetCard]:
    """Write the channels of each split of traced UEs, a card each, and the file of paths.

    Args:
        job: What to generate.
        pool: ``job.num_ues`` UEs.

    Raises:
        InvalidArgumentError: If a split gets no UE.
    """
    ues = _ues_of_parts(job, pool)
    cards = [_write(job, pool, part, chosen) for part, chosen in ues.items()]
    write_arrays(job.path("paths"), _path_arrays(job, pool, ues))
    return cards


def _ues_of_parts(job: RaytracedJob, pool: Pool) -> dict[str, NDArray[np.int64]]:
    """Return which UEs of the pool each file holds.

    The pool is in random order. The last split takes its first UEs: the test of a smaller pool is in that of a larger.
    """
    if not job.splits:
        return {"": np.arange(job.num_ues)}
    at_random, start = {}, 0
    for name, count in reversed(job.splits.items()):
        at_random[name] = np.arange(start, start + count)
        start += count
    ues = {name: at_random[name] for name in job.splits}
    if len(job.splits) > 1:
        settings, counts = job.settings, list(job.splits.values())
        split = split_by_area(pool.positions, settings.area, counts, job.block_m, job.gap_m, job.seed)
        ues |= {f"area-{name}": np.flatnonzero(split == number) for number, name in enumerate(job.splits)}
        last = list(job.splits)[-1]
        both = np.intersect1d(ues[last], ues[f"area-{last}"])[:MOST_IN_BOTH]
        if not len(both):
            raise InvalidArgumentError(
                f"`split` must leave UEs that are {last} in both splits; got none of {job.num_ues} with --block-m "
                f"{job.block_m:g} and --gap-m {job.gap_m:g}. Take more UEs, or smaller blocks and gaps."
            )
        ues[f"both-{last}"] = both
    return ues


def _write(job: RaytracedJob, pool: Pool, part: str, ues: NDArray[np.int64]) -> DatasetCard:
    settings, path, losses = job.settings, job.path(part), CropLosses()

    def channels() -> Iterator[Tensor]:
        for x, loss in angular_delay_chunks(pool.paths_of(ues), settings.sampling):
            losses.add(loss)
            yield normalize_power(x)

    whole = settings.num_delay_taps == settings.num_subcarriers  # its card says 0, of every channel
    digest = write_channels(path, channels(), len(ues), crop_loss=None if whole else losses.of_each)
    card = DatasetCard(
        name=path.stem,
        title=settings.title,
        file=path.name,
        sha256=digest,
        num_channels=len(ues),
        domain="angular-delay",
        num_rx_ant=1,
        num_tx_ant=settings.num_tx_ant,
        num_subcarriers=settings.num_delay_taps,
        storage="x_re_im [N, rx, angle, delay, (re, im)] float16, unit mean power per channel"
        + ("" if whole else "; crop_loss [N] float32"),
        time_correlation=False,
        crop_loss=0.0 if whole else losses.mean,
        generator=pool.traced_by,
        source=f"scene {settings.scene} of Sionna RT, specular reflections and line of sight",
        configuration=_radio(settings) | _place(settings) | _measured(pool, ues) | _split(job, part),
        recipe=job.recipe,
        licence="Apache-2.0",
    )
    write_dataset_card(path, card)
    return card


def _radio(settings: Raytraced) -> Configuration:
    ula = "half wavelength, V polarised isotropic elements"
    return {
        "carrier_frequency_hz": settings.carrier_frequency_hz,
        "bandwidth_hz": settings.bandwidth_hz,
        "num_subcarriers_before_crop": settings.num_subcarriers,
        "bs_array": f"ULA of {settings.num_tx_ant}, {ula}, azimuth {settings.array_azimuth_deg:g} degrees",
        "ue_array": "one V polarised isotropic element",
        "delays": "from the BS to the UE, not from the first path; the carrier is the lowest subcarrier",
        "max_paths": settings.max_paths,
        "max_depth": settings.max_depth,
        "num_rays": settings.num_rays,
    }


def _place(settings: Raytraced) -> Configuration:
    spacing = settings.grid_spacing_m
    drop = "uniform over the area" if spacing is None else f"grid of {spacing:g} m over the area, in random order"
    return {
        "scale": settings.scale,
        "bs_position_m": list(settings.bs_position_m),
        "area_m": " ".join(rectangle.text for rectangle in settings.area),
        "ue_drop": drop,
        "ue_height_m": settings.ue_height_m,
    }


def _measured(pool: Pool, ues: NDArray[np.int64]) -> Configuration:
    return {
        "line_of_sight_share": round(float(pool.traced.line_of_sight[ues].mean()), 4),
        "mean_paths": round(float(pool.traced.counts[ues].mean()), 2),
        "ues_traced": len(pool.positions),
        "places_without_path": pool.num_without_path,
        "trace_s": round(pool.trace_s, 1),
    }


def _split(job: RaytracedJob, part: str) -> Configuration:
    described: Configuration = {
        "seed": job.seed,
        "paths_file": job.path("paths").name,
        "paths_index": _index_name(part),
    }
    blocks = f"whole blocks of about {job.block_m:g} m, at least {job.gap_m:g} m between UEs of two splits"
    if part.startswith("both-"):
        described["split"] = f"at random, and by area too: {blocks}; the first {MOST_IN_BOTH} at most"
    elif part.startswith("area-"):
        described["split"] = f"by area: {blocks}"
    elif part:
        described["split"] = "at random: a UE's neighbours may be in another split"
    return described


def _index_name(part: str) -> str:
    return f"ues_{part.replace('-', '_') or 'all'}"


def _path_arrays(job: RaytracedJob, pool: Pool, ues: dict[str, NDArray[np.int64]]) -> dict[str, NDArray[np.generic]]:
    return {
        "offsets": pool.offsets,
        "aod": pool.traced.aod,
        "delay": pool.traced.delay_s,
        "amp": pool.traced.amplitude,
        "los": pool.traced.line_of_sight,
        "ue_pos": pool.positions,
        "bs_pos": np.array(job.settings.bs_position_m, dtype=np.float32),
        "walls": pool.walls,
        "recipe": np.frombuffer(job.recipe.encode(), dtype=np.uint8),  # the readers take numbers alone
        **{_index_name(part): chosen.astype(np.int32) for part, chosen in ues.items()},
    }
