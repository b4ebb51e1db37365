"""Foreign files -> csilink's own, with a card; whole environments to one split."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from shared.channels import DatasetCard
from shared.channels.card import write_dataset_card
from shared.channels.crop_loss import CropLosses
from shared.channels.deepmimo import base_station_files
from shared.channels.deepmimo_scenario import is_scenario, scenario_streams
from shared.channels.eigenvectors import eigenvectors_of_card
from shared.channels.file import open_stream, read_card_of
from shared.channels.stream import ChannelStream, Configuration, ReadOptions, cropped, in_its_folder, joined, selected
from shared.channels.writing import write_channels
from shared.errors import InvalidArgumentError
from shared.experiments.import_card import described, import_card
from shared.experiments.replacing import require_replaceable

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
        overwrite: Whether to replace what another command made.
    """

    sources: Sequence[Path]
    out: Path
    name: str
    options: ReadOptions
    num_taps: int | None
    splits: dict[str, float]
    recipe: str
    overwrite: bool = False


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
    paths = {suffix: job.out.with_stem(job.out.stem + suffix) for suffix in _suffixes(job.splits)}
    for path in paths.values():
        require_replaceable(path, job.recipe, job.overwrite)
    sources: list[tuple[str, DatasetCard | None]] = []
    streams, digests = [], Configuration()
    for source in job.sources:
        if is_scenario(source):
            sources.append((source.name, None))
            streams += scenario_streams(source, job.options)
            continue
        for file in _files(source, job.options):
            known, digests[f"sha256_of_{in_its_folder(file)}"] = read_card_of(file)
            if known is not None and eigenvectors_of_card(known) is not None:
                raise InvalidArgumentError(f"`sources` must hold channels; {file.name} holds eigenvectors.")
            options = replace(job.options, trust_layout=job.options.trust_layout or known is not None)
            sources.append((source.name, known))
            streams.append(described(open_stream(file, options), known))
    stream = joined(streams)
    stream = stream if job.num_taps is None else cropped(stream, job.num_taps)
    done, cards = 0, []

    def report(n: int) -> None:
        nonlocal done
        done += n
        progress(done, stream.num_channels)

    for suffix, part in _splits(stream, job.splits).items():
        path, losses = paths[suffix], CropLosses()
        crop_loss = losses.of_each if part.loss == "each" else None
        digest = write_channels(path, _kept(part, losses), part.num_channels, part.shape.domain, report, crop_loss)
        card = import_card(part, path, job.name + suffix, digest, losses.mean, digests, sources, job.recipe)
        write_dataset_card(path, card)
        cards.append(card)
    return cards


def _files(source: Path, options: ReadOptions) -> list[Path]:
    return base_station_files(source, options.base_stations) if source.is_dir() else [source]


def _suffixes(splits: dict[str, float]) -> list[str]:
    """Return what the splits' files have behind the stem of `out`."""
    return [f"-{name}" for name in (*splits, REST)] if splits else [""]


def _kept(stream: ChannelStream, losses: CropLosses) -> Iterator[Tensor]:
    """Yield the channels, and put what the crop left out of each aside."""
    for h, crop_loss in stream.chunks():
        if crop_loss is not None:
            losses.add(crop_loss)
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
    place = _places(stream.environments)
    bounds = np.cumsum([0.0, *splits.values(), 1.0])
    bounds[-1] = 1.0
    parts = {
        suffix: selected(stream, (place >= low) & (place < high))
        for suffix, low, high in zip(_suffixes(splits), bounds[:-1], bounds[1:], strict=True)
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


def parse_splits(texts: Sequence[str]) -> dict[str, float]:
    """Parse ``name=share`` of the command line.

    Raises:
        InvalidArgumentError: If one does not read so, a name comes twice, or the shares leave no rest.
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
    got = " ".join(texts)
    if REST in splits:
        raise InvalidArgumentError(f"`split` must not name {REST}, which gets the rest; got {got}.")
    if len(splits) != len(texts):
        raise InvalidArgumentError(f"`split` must name each split once; got {got}.")
    if splits and not (min(splits.values()) > 0 and sum(splits.values()) < 1):
        raise InvalidArgumentError(f"`split` must be shares above 0 that leave a rest for {REST}; got {got}.")
    return splits
