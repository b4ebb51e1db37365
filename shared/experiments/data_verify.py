"""Which file is this? Told by its SHA-256: an original of the CsiNet data set, or csilink's own beside its card."""

import csv
from dataclasses import dataclass
from pathlib import Path

from shared.channels import DATASETS
from shared.channels.file import open_stream, read_card_of
from shared.channels.stream import ReadOptions
from shared.errors import DataFileError

ORIGINALS = DATASETS / "csinet-originals.tsv"  # digests and sizes that the authors' Git LFS pointers state


@dataclass(frozen=True, slots=True)
class Original:
    """A file of the CsiNet data set as its authors published it.

    Attributes:
        sha256: Digest.
        num_bytes: Size.
        file: Its name.
        what: Scenario, split, array and number of channels.
    """

    sha256: str
    num_bytes: int
    file: str
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a file turned out to be.

    Attributes:
        file: The file.
        known: Whether it is an original, or the file of its card.
        original: Name of the original that it is; None for another file.
        sentence: The finding in one sentence.
    """

    file: str
    known: bool
    original: str | None
    sentence: str


def originals() -> list[Original]:
    """Return the table of the original files."""
    with ORIGINALS.open(newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t")
        return [Original(row["sha256"], int(row["bytes"]), row["file"], row["what"]) for row in rows]


def verify(path: Path) -> Verified:
    """Say which file this is.

    Raises:
        DataFileError: If there is no such file.
    """
    if not path.is_file():
        raise DataFileError(f"`{path}` is not a file.")
    try:
        card, digest = read_card_of(path)
    except DataFileError as error:
        return Verified(str(path), False, None, str(error))
    for original in originals():
        if digest == original.sha256:
            sentence = f"`{path}` is the original {original.file}: {original.what}."
            return Verified(str(path), True, original.file, sentence)
    if card is None:
        return Verified(str(path), False, None, _unknown(path, digest))
    stream = open_stream(path, ReadOptions(trust_layout=True))
    if stream.shape != card.shape or stream.num_channels != card.num_channels:
        found = f"{stream.num_channels} x {stream.shape}"
        wanted = f"{card.num_channels} x {card.shape}"
        return Verified(str(path), False, None, f"`{path}` must hold {wanted}, says its card; found {found}.")
    sentence = f"`{path}` is the file of its card: {card.name}, {card.num_channels} channels, {card.shape}."
    return Verified(str(path), True, None, sentence)


def _unknown(path: Path, digest: str) -> str:
    for original in originals():
        if original.file == path.name:
            num_bytes = path.stat().st_size
            wanted, found = f"SHA-256 {original.sha256}", digest
            if num_bytes != original.num_bytes:
                wanted, found = f"{original.num_bytes:,} bytes", f"{num_bytes:,}"
            return f"`{path}` is not the original {original.file}: {wanted} wanted, {found} found."
    return f"`{path}` is none of the original CsiNet files, and has no card beside it."
