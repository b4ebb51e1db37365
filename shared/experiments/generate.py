"""Generate data sets and their cards (extra `data`)."""

import hashlib
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from torch import Tensor

from shared.channels import DatasetCard
from shared.channels.card import write_dataset_card
from shared.channels.crop_loss import CropLosses
from shared.channels.stream import Configuration
from shared.channels.tr38901 import SCENARIOS, Tr38901, generate
from shared.channels.tr38901.settings import Cell, Office
from shared.channels.writing import write_channels
from shared.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class Split:
    """One file to make.

    Attributes:
        path: The .npz file; its card goes beside it.
        num_channels: How many.
        seed: Seed of the generator.
        arguments: What makes this file again, after `csi-lab data generate tr38901` and the settings.
    """

    path: Path
    num_channels: int
    seed: int
    arguments: str


def plan(out: Path, num_channels: int, seed: int, splits: list[str]) -> list[Split]:
    """Return the files to make.

    Args:
        out: The .npz file; with ``splits``, each of their names goes before the suffix.
        num_channels: Channels of the one file, without ``splits``.
        seed: Seed of the generator. Each split has its own, made from this one and the split's name, so that no two
            splits share a drop, and one of them can be made again, or made longer, without the others.
        splits: NAME=COUNT each.

    Raises:
        InvalidArgumentError: If ``out`` has another suffix, or a split cannot be read or is named twice.
    """
    if out.suffix != ".npz":
        raise InvalidArgumentError(f"`out` must end in .npz; got {out.name!r}.")
    file = shlex.quote(out.name)
    if not splits:
        return [Split(out, num_channels, seed, f"--num-channels {num_channels} --seed {seed} --out {file}")]
    return [
        Split(
            out.with_name(f"{out.stem}-{name}.npz"),
            count,
            split_seed(seed, name),
            f"--split {name}={count} --seed {seed} --out {file}",
        )
        for name, count in parse_counts(splits).items()
    ]


def parse_counts(splits: Sequence[str]) -> dict[str, int]:
    """Parse ``NAME=COUNT`` of the command line.

    Raises:
        InvalidArgumentError: If one does not read so, or a name comes twice.

    Example:
        >>> parse_counts(["train=20000", "test=2400"])
        {'train': 20000, 'test': 2400}
    """
    counts: dict[str, int] = {}
    for split in splits:
        match = re.fullmatch(r"([A-Za-z0-9_-]+)=([0-9]{1,8})", split)
        if not match or int(match[2]) < 1:
            raise InvalidArgumentError(f"`split` must be NAME=COUNT, such as train=20000; got {split!r}.")
        if match[1] in counts:
            raise InvalidArgumentError(f"`split` must name each split once; got {match[1]!r} twice.")
        counts[match[1]] = int(match[2])
    return counts


def split_seed(seed: int, name: str) -> int:
    """Return the seed, in [0, 2^48), of the split ``name`` of the data set with ``seed``."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:6])


def recipe_of(options: str, split: Split) -> str:
    """Return the command that makes a split again."""
    return f"csi-lab data generate tr38901 {options} {split.arguments}"


def generate_tr38901(settings: Tr38901, options: str, split: Split, progress: Callable[[int], None]) -> DatasetCard:
    """Make one split of TR 38.901 channels, and write it and its card.

    Args:
        settings: What to make.
        options: The command line's options that say it, for the recipe.
        split: The file.
        progress: Called with the number of channels just made.

    Raises:
        InvalidArgumentError: If the number of channels is no multiple of the reports of a drop.
        ImportError: If Sionna is not installed.
    """
    losses = CropLosses()

    def channels() -> Iterator[Tensor]:
        for x, crop_loss in generate(settings, split.num_channels, split.seed):
            losses.add(crop_loss)
            yield x

    digest = write_channels(split.path, channels(), split.num_channels, progress=progress, crop_loss=losses.of_each)
    card = DatasetCard(
        name=split.path.stem,
        title=settings.title,
        file=split.path.name,
        sha256=digest,
        num_channels=split.num_channels,
        domain="angular-delay",
        num_rx_ant=settings.num_rx_ant,
        num_tx_ant=settings.num_tx_ant,
        num_subcarriers=settings.num_delay_taps,
        storage="x_re_im [N, rx, angle, delay, (re, im)] float16, unit mean power per channel; crop_loss [N] float32",
        time_correlation=settings.reports_per_drop > 1,
        crop_loss=losses.mean,
        generator=f"sionna-no-rt {version('sionna-no-rt')}, torch {version('torch')}",
        source=_source(settings),
        configuration={"seed": split.seed, **_radio(settings), **_place(settings), **_motion(settings)},
        recipe=recipe_of(options, split),
        licence="Apache-2.0",
    )
    write_dataset_card(split.path, card)
    return card


def _source(settings: Tr38901) -> str:
    place = SCENARIOS[settings.scenario]
    if not isinstance(place, Office | Cell):
        return f"3GPP TR 38.901 v19.2, clause 7.7.{1 if place.model == 'CDL' else 2}, {place.model}-{place.letter}"
    kind = f"indoor office ({place.kind})" if isinstance(place, Office) else place.title
    sight = "LOS drawn by Table 7.4.2-1" if settings.los == "auto" else f"always {settings.los.upper()}"
    return f"3GPP TR 38.901 v19.2, clause 7.5, {kind}, {sight}"


def _radio(settings: Tr38901) -> Configuration:
    ula = "half wavelength, V polarised omni elements, along y"
    bs = f"ULA of {settings.num_tx_ant}, {ula}" if settings.num_tx_ant > 1 else "one V polarised omni element"
    if settings.polarization == "dual":
        pairs = "pairs of omni elements slanted by 45 degrees either way, half wavelength, along y"
        bs = f"row of {settings.num_tx_ant // 2} {pairs}; the first half of the antennas is the one slant"
    ue = f"ULA of {settings.num_rx_ant}, {ula}" if settings.num_rx_ant > 1 else "one V polarised omni element"
    if settings.is_tdl:
        bs, ue = (f"{num} antennas that fade independently" for num in (settings.num_tx_ant, settings.num_rx_ant))
    elif settings.num_rx_ant > 1:
        ue += ", turned by 180 degrees" if settings.scenario.startswith("cdl") else ", turned by a random azimuth"
    return {
        "carrier_frequency_hz": settings.carrier_frequency_hz,
        "bandwidth_hz": settings.bandwidth_hz,
        "num_subcarriers_before_crop": settings.num_subcarriers,
        "bs_array": bs,
        "ue_array": ue,
    }


def _place(settings: Tr38901) -> Configuration:
    place = SCENARIOS[settings.scenario]
    if isinstance(place, Office):
        length, width, height = place.room_m
        return {
            "room_m": list(place.room_m),
            "bs_position_m": [length / 2, width / 2, height],
            "ue_drop": "uniform over the room, one UE a drop",
            "ue_height_m": place.ue_height_m,
        }
    if isinstance(place, Cell):
        return {
            "bs_height_m": place.bs_height_m,
            "ue_distance_m": [place.min_distance_m, place.max_distance_m],
            "ue_drop": "outdoors, uniform over a sector of 120 degrees around broadside, one UE a drop",
            "ue_height_m": place.ue_height_m,
        }
    drawn = "antennas and taps independent" if settings.is_tdl else "the table's angles and powers in every drop"
    return {
        "delay_spread_s": settings.delay_spread_s or 0.0,
        "ue_drop": f"none: {drawn}, phases drawn anew",
    }


def _motion(settings: Tr38901) -> Configuration:
    if settings.reports_per_drop == 1:
        return {}
    return {
        "speed_m_s": settings.speed_m_s,
        "reports_per_drop": settings.reports_per_drop,
        "report_interval_ms": settings.report_interval_ms,
        "order": "the reports of a drop stand together, in the order of time; paths keep delay, angle and power",
    }
