"""Foreign files -> csilink's own, with a card; whole environments to one split."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from shared.channels import DatasetCard
from shared.channels.card import write_dataset_card
from shared.channels.deepmimo import base_station_files
from shared.channels.file import open_stream
from shared.channels.stream import ChannelStream, Configuration, ReadOptions, cropped, in_its_folder, joined, selected
from shared.channels.writing import ARRAY_OF, write_channels
from shared.digests import sha256_of
from shared.errors import InvalidArgumentError

REST = "train"  # name of the split that takes what no other does


@dataclass(frozen=True, slots=True)
class ImportJob:
    """What to import.

    Attributes:
        sources: Files, or folders of DeepMIMO's files.
        out: The .npz to write; with splits, ``<stem>-<split>.npz`` each.
        name: Name of the data set.
        options: What the sources do not say themselves.
        num_taps: Delay taps to keep, None to keep domain and size.
        splits: Share of the environments of each split; the rest is `REST`.
        recipe: Command that makes the file again.
    """

    sources: Sequence[Path]
    out: Path
    name: str
    options: ReadOptions
    num_taps: int | None
    splits: dict[str, float]
    recipe: str


@dataclass(slots=True)
class _Losses:
    """What the crop left out, added up: shares of energy, and the number of channels."""

    total: float = 0.0
    count: int = 0


def import_channels(job: ImportJob, progress: Callable[[int, int], None]) -> list[DatasetCard]:
    """Read foreign files chunk by chunk, write csilink's own and a card beside each.

    Args:
        job: What to import.
        progress: Called with the channels written so far and to write, of all splits.

    Returns:
        The card of each file written.

    Raises:
        DataFileError: If a source cannot be used; nothing is then written.
        InvalidArgumentError: If an option does not fit the sources.
    """
    if job.out.suffix != ".npz":
        raise InvalidArgumentError(f"`out` must end in .npz; got {job.out.name!r}.")
    if job.out.resolve() in [source.resolve() for source in job.sources]:
        raise InvalidArgumentError(f"`out` must be another file than the sources; got `{job.out}`.")
    files = [file for source in job.sources for file in _files(source, job.options)]
    stream = joined([open_stream(file, job.options) for file in files])
    stream = stream if job.num_taps is None else cropped(stream, job.num_taps)
    digests: Configuration = {f"sha256_of_{in_its_folder(file)}": sha256_of(file) for file in files}
    done, cards = 0, []

    def report(n: int) -> None:
        nonlocal done
        done += n
        progress(done, stream.num_channels)

    for suffix, part in _splits(stream, job.splits).items():
        path = job.out.with_stem(job.out.stem + suffix)
        losses = _Losses()
        digest = write_channels(path, _kept(part, losses), part.num_channels, part.shape.domain, report)
        card = _card(job, part, path, job.name + suffix, digest, losses, digests)
        write_dataset_card(path, card)
        cards.append(card)
    return cards


def _files(source: Path, options: ReadOptions) -> list[Path]:
    return base_station_files(source, options.base_stations) if source.is_dir() else [source]


def _kept(stream: ChannelStream, losses: _Losses) -> Iterator[Tensor]:
    """Yield the channels, and put what the crop left out of each aside."""
    for h, crop_loss in stream.chunks():
        if crop_loss is not None:
            losses.total += float(crop_loss.sum())
            losses.count += len(crop_loss)
        yield h


def _splits(stream: ChannelStream, splits: dict[str, float]) -> dict[str, ChannelStream]:
    """Return suffix of the file's name -> its channels."""
    if not splits:
        return {"": stream}
    if stream.environments is None:
        raise InvalidArgumentError(
            f"`split` needs the environment of each channel (`env_id`), for splits not to share one; "
            f"`{stream.path}` has none."
        )
    if min(splits.values()) <= 0 or sum(splits.values()) >= 1 or REST in splits:
        raise InvalidArgumentError(f"`split` must be shares above 0 that leave a rest, `{REST}`; got {splits}.")
    place = _places(stream.environments)
    names, bounds = [*splits, REST], np.cumsum([0.0, *splits.values(), 1.0])
    bounds[-1] = 1.0
    parts = {
        f"-{name}": selected(stream, (place >= low) & (place < high))
        for name, low, high in zip(names, bounds[:-1], bounds[1:], strict=True)
    }
    for name, part in parts.items():
        if not part.num_channels:
            raise InvalidArgumentError(f"`split` {name[1:]} must get at least one environment; got none of so few.")
    return parts


def _places(environments: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each channel that depends on its environment alone.

    An environment so falls into the same split whatever files it is imported with.
    """
    numbers, index = np.unique(environments, return_inverse=True)
    digests = [hashlib.sha256(str(number).encode()).digest() for number in numbers.tolist()]
    return np.array([int.from_bytes(digest[:6], "big") / 2**48 for digest in digests])[index]


def _card(
    job: ImportJob,
    stream: ChannelStream,
    path: Path,
    name: str,
    digest: str,
    losses: _Losses,
    digests: Configuration,
) -> DatasetCard:
    shape, array = stream.shape, ARRAY_OF[stream.shape.domain]
    axes = "angle, delay" if shape.domain == "angular-delay" else "antenna, subcarrier"
    environments: Configuration = {}
    if stream.environments is not None:
        environments["num_environments"] = len(np.unique(stream.environments))
    return DatasetCard(
        name=name,
        title=f"{stream.layout}, imported: {stream.num_channels} channels, {shape}",
        file=path.name,
        sha256=digest,
        num_channels=stream.num_channels,
        domain=shape.domain,
        num_rx_ant=shape.num_rx_ant,
        num_tx_ant=shape.num_tx_ant,
        num_subcarriers=shape.num_subcarriers,
        storage=f"{array} [N, rx, {axes}, (re, im)] float16, unit mean power per channel",
        time_correlation=False,
        crop_loss=round(losses.total / losses.count, 5) if losses.count else None,
        generator=f"csilink {version('csilink')}, csi-lab data import",
        source=", ".join(str(source.name) for source in job.sources),
        configuration=stream.configuration | environments | digests,
        recipe=job.recipe,
        licence="that of the source files",
    )


def parse_splits(texts: Sequence[str]) -> dict[str, float]:
    """Parse ``name=share`` of the command line.

    Raises:
        InvalidArgumentError: If one does not read so, or a name comes twice.
    """
    splits: dict[str, float] = {}
    for text in texts:
        name, _, share = text.partition("=")
        try:
            splits[name] = float(share)
        except ValueError:
            splits.clear()
        if not splits or not name.replace("_", "").isalnum():
            raise InvalidArgumentError(f"`split` must be name=share, like test=0.1; got {text!r}.")
    if len(splits) != len(texts):
        raise InvalidArgumentError(f"`split` must name each split once; got {list(texts)}.")
    return splits
