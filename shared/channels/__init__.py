"""Where the channels come from. A new file format is one reader and one line in `CHANNELS`."""

from pathlib import Path

from shared.channels.card import DatasetCard, read_dataset_card
from shared.channels.file import CHANNELS, ChannelSet, load_file
from shared.errors import DataFileError
from shared.types import Domain

DATASETS = Path(__file__).parent.parent / "datasets"

__all__ = ["CHANNELS", "DATASETS", "ChannelSet", "DatasetCard", "find_channels", "load_channels", "shipped_datasets"]


def shipped_datasets() -> dict[str, Path]:
    """Return the data sets that ship with csilink: name -> file."""
    cards = [read_dataset_card(path) for path in sorted(DATASETS.glob("*.card.json"))]
    return {card.name: DATASETS / card.file for card in cards}


def load_channels(name_or_path: str, domain: Domain | None = None, option: str = "data") -> ChannelSet:
    """Load a shipped data set by name, or a file by path.

    Args:
        name_or_path: ``indoor-open-office``, or a path to a file of channels (`shared.channels.file`).
        domain: Domain of a file that does not say.
        option: What the name was given as, for the sentence that refuses it.

    Raises:
        DataFileError: If there is no such data set, or the file cannot be used.
    """
    return load_file(find_channels(name_or_path, option), domain)


def find_channels(name_or_path: str, option: str = "data") -> Path:
    """Return the file of a shipped data set, or the path itself.

    Raises:
        DataFileError: If there is neither.
    """
    shipped = shipped_datasets()
    path = shipped.get(name_or_path, Path(name_or_path))
    if path.is_file():
        return path
    got = f"got {name_or_path!r}"
    if path.is_dir():
        example = "csi-lab data import FOLDER --base-station 1 --out FILE.npz"
        raise DataFileError(f"`{option}` must be a file; {got}, a folder. DeepMIMO's become one by `{example}`.")
    if path.suffix in CHANNELS:
        raise DataFileError(f"`{option}` must be a file that exists; {got}.")
    names = ", ".join(shipped) or "none"
    raise DataFileError(f"`{option}` must be a shipped data set ({names}) or a file; {got}.")
