"""Train on A, test on B: each codec of a grid trained on each training split, measured on every data set.

[train] data x grid codec --train_models--> models/CODEC-DATA.safetensors --the sweep--> rows --matrix_rows--> A x B

A model that is there, of the same data and epochs, is not trained again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.channels import ChannelSet, load_channels
from shared.errors import InvalidArgumentError
from shared.experiments.sweep_file import SweepFile, Train
from shared.experiments.sweep_lines import number
from shared.experiments.sweep_plan import LeftOut, Plan, Row
from shared.model_files import CodecCard, load_model, read_codec_card
from shared.training.autoencoder import NetworkOptions
from shared.training.fit import CLOSED_FORM, fit_codec
from shared.training.loop import Epoch, Schedule
from shared.training.train import NETWORKS, train_codec

TRAINABLE = (*(codec for codec in CLOSED_FORM if codec != "float"), *NETWORKS)  # `float` learns nothing
CELL = ("family", "rate", "link", "estimator", "cnr_db", "snr_db")  # what the cells of one matrix have in common


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of the training.

    Attributes:
        files: Model files, in the order of codecs and splits.
        left_out: What could not be trained.
    """

    files: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def train_models(
    file: SweepFile, folder: Path, command: str, progress: Callable[[str, int, int], None] = lambda _n, _d, _t: None
) -> Trained:
    """Train each codec of the grid on each training split; what is there already is found again.

    Args:
        file: With a section ``[train]``.
        folder: Where the models go.
        command: The command line, for cards and manifests.
        progress: Called with the model's name, steps done and steps in all.

    Raises:
        InvalidArgumentError: If there is no section, a codec cannot be trained, or nothing could be.
        DataFileError: If a file cannot be used.
    """
    if file.train is None:
        raise InvalidArgumentError("`train` must be a section of the sweep for a matrix; got none.")
    for codec in file.grid.codec:
        if codec not in TRAINABLE:
            raise InvalidArgumentError(f"`grid.codec` of a matrix must be of {', '.join(TRAINABLE)}; got {codec!r}.")
    splits = [_split(name, file.train) for name in file.train.data]
    tests = [load_channels(name) for name in file.grid.data]
    files, left_out = [], []
    for codec in file.grid.codec:
        for split in splits:
            name = f"{codec}-{split.name}"
            progress(name, 0, 1)
            try:
                _train(codec, split, _test_of(split, tests), file.train, folder, command, progress)
            except InvalidArgumentError as error:
                left_out.append(LeftOut(split.name, codec, 0, "any", "any", f"not trained: {error}"))
            else:
                files.append(str(folder / f"{name}.safetensors"))
    if not files:
        raise InvalidArgumentError(f"`train.data` must be able to train a codec; {left_out[0].reason}")
    return Trained(tuple(files), tuple(left_out))


def matrix_rows(plan: Plan, rows: Sequence[Row]) -> list[Row]:
    """Return the NMSE in dB of each model on each data set, one row a model and point, one column a data set."""
    found: dict[tuple[object, ...], Row] = {}
    tested = list(dict.fromkeys(str(row["data"]) for row in rows))
    for row in _with_family(plan, rows):
        fixed = {name: row[name] for name in (*CELL, "trained_on")}
        line = found.setdefault(tuple(fixed.values()), {**fixed, **dict.fromkeys(tested)})
        line[str(row["data"])] = row["nmse_mean_db"]
    return list(found.values())


def pictures(plan: Plan, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return title -> cells of one picture: those of a link and estimator, at the highest SNR."""
    best = max(number(row["snr_db"]) for row in rows)
    found: dict[str, list[Row]] = {}
    for row in _with_family(plan, rows):
        if row["snr_db"] == best:
            cnr = "" if row["cnr_db"] is None else f" at CNR {row['cnr_db']:g} dB"
            title = f"{row['link']}, SNR {best:g} dB, {row['estimator']} estimate{cnr}"
            found.setdefault(title, []).append(row)
    return found


def _with_family(plan: Plan, rows: Sequence[Row]) -> list[Row]:
    """Add the key of the codec to each row, whose ``codec`` is the model's name."""
    families = {model.card.name: model.card.codec for model in plan.models}
    return [{"family": families[str(row["codec"])], **row} for row in rows]


def _split(name: str, train: Train) -> ChannelSet:
    channels = load_channels(name)
    return channels if train.max_channels is None else channels.part(0, train.max_channels)


def _test_of(split: ChannelSet, tests: Sequence[ChannelSet]) -> ChannelSet:
    """Return the data set on which the card's figures are measured: the first that can."""
    for test in tests:
        if test.shape == split.shape and test.sha256 != split.sha256:
            return test
    raise InvalidArgumentError(f"`grid.data` must hold another file of {split.shape} to test {split.name}; got none.")


def _train(
    codec: str,
    split: ChannelSet,
    test: ChannelSet,
    train: Train,
    folder: Path,
    command: str,
    progress: Callable[[str, int, int], None],
) -> None:
    name = f"{codec}-{split.name}"
    path = folder / f"{name}.safetensors"
    card_path = path.with_suffix(".card.json")
    if path.is_file() and card_path.is_file() and _is_of(read_codec_card(card_path), split, test, train):
        load_model(str(path))  # a file that was altered is no model to go on with
        return
    if codec in CLOSED_FORM:
        fit_codec(codec, split, test, folder, command, name)
        return

    def report(done: int, total: int, _epoch: Epoch | None) -> None:
        progress(name, done, total)

    options = NetworkOptions(schedule=Schedule(epochs=train.epochs))
    train_codec(codec, split, test, options, folder, command, name, report)


def _is_of(card: CodecCard, split: ChannelSet, test: ChannelSet, train: Train) -> bool:
    """Return whether a model was made of this split; a network also in so many epochs."""
    same_data = (card.training_data, card.test_data) == (split.identity, test.identity)
    return same_data and (card.training is None or card.training.epochs == train.epochs)
