"""The TOML file of a sweep: which points are measured.

num_reports = 500              # of each point
seed = 1
downlink_snr_db = [0, 10]      # left out: it is not scored; downlink_num_ue, downlink_mcs: docs/metrics.md
num_subbands = 4               # left out: no SGCS per layer and subband
channel_uses = 16              # left out: any; else only combinations of rate and link that take so many a report
refiners = ["out/mine.safetensors"]   # refiner files beside the shipped ones
[grid]                         # every combination
data = ["indoor-open-office"]  # shipped data sets or files
codec = ["klt", "csinet"]      # models of the zoo or files
rate = [64, 128]
link = ["digital:soft"]
snr_db = "-5:15:5"             # or a list
estimator = ["perfect", "ls"]  # left out: perfect
cnr_db = [10]                  # for every estimator but perfect
refinement = ["never", "always:steps-2"]   # left out: never
[train]                        # for --matrix: the codecs of the grid are trained on each
data = ["training.npz"]
epochs = 5                     # of networks
max_channels = 2000            # left out: all
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared.errors import DataFileError, InvalidArgumentError
from shared.estimation import ESTIMATORS, require_estimation
from shared.frame import SNR_DB_RANGE, points_of_range
from shared.scoring import Scoring

MAX_REPORTS = 10_000_000  # of a point, whose scores are held in memory


def _expand(value: object) -> object:
    """Return the numbers of ``first:last:step``, last included; a list is left as it is."""
    if not isinstance(value, str):
        return value
    try:
        return points_of_range(value)
    except ValueError:
        raise ValueError("must be a list of numbers or a range first:last:step") from None


def _different(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        raise ValueError("must have every value once")
    return values


def _in_snr_range(values: tuple[float, ...]) -> tuple[float, ...]:
    low, high = SNR_DB_RANGE
    if not all(low <= value <= high for value in values):
        raise ValueError(f"must be in [{low:g}, {high:g}]")
    return tuple(round(value, 4) for value in values)  # as `csi-ue run` rounds them


Word = Annotated[str, Field(strict=True, min_length=1)]
Whole = Annotated[int, Field(strict=True)]
Words = Annotated[tuple[Word, ...], Field(min_length=1), AfterValidator(_different)]
Decibels = Annotated[
    tuple[Annotated[float, Field(strict=True)], ...],
    BeforeValidator(_expand),
    AfterValidator(_in_snr_range),
    AfterValidator(_different),
]
Rates = Annotated[tuple[Annotated[Whole, Field(ge=1)], ...], Field(min_length=1), AfterValidator(_different)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Grid(_Section):
    """What is combined; see the head of this file."""

    data: Words
    codec: Words
    rate: Rates
    link: Words
    snr_db: Annotated[Decibels, Field(min_length=1)]
    estimator: Words = ("perfect",)
    cnr_db: Decibels = ()
    refinement: Words = ("never",)

    @property
    def estimations(self) -> list[tuple[str, float | None]]:
        """Each estimator with each CNR; the perfect one alone."""
        return [
            (name, cnr_db)
            for name in self.estimator
            for cnr_db in ((None,) if name == "perfect" else (self.cnr_db or (None,)))
        ]


class Train(_Section):
    """What the codecs are trained on for a matrix."""

    data: Words
    epochs: Whole = Field(default=5, ge=1, le=100_000)
    max_channels: Whole | None = Field(default=None, ge=2)


class SweepFile(_Section):
    """A sweep as its author wrote it."""

    num_reports: Whole = Field(default=500, ge=1, le=MAX_REPORTS)
    seed: Whole = Field(default=1, ge=0, le=2**63 - 1)
    downlink_snr_db: Decibels = ()
    downlink_num_ue: Whole = 1
    downlink_mcs: Whole | None = None
    num_subbands: Whole = 0
    channel_uses: Whole | None = Field(default=None, ge=1)
    refiners: Annotated[tuple[Word, ...], AfterValidator(_different)] = ()
    grid: Grid
    train: Train | None = None

    @property
    def scoring(self) -> Scoring:
        """What is scored besides what always is."""
        return Scoring(self.downlink_snr_db, self.downlink_num_ue, self.downlink_mcs, self.num_subbands)


def read_sweep(path: Path) -> SweepFile:
    """Read the file of a sweep.

    Raises:
        DataFileError: If it is not there or no TOML.
        InvalidArgumentError: Naming the key, the wanted and the found.
    """
    try:
        return parse_sweep(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataFileError(f"`{path}` cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataFileError(f"`{path}` cannot be read as TOML: {error}") from error


def parse_sweep(document: dict[str, Any]) -> SweepFile:
    """Hold a document against what a sweep may say.

    Raises:
        InvalidArgumentError: Naming the key, the wanted and the found.

    Example:
        >>> grid = {"data": ["umi-nlos"], "codec": ["klt"], "rate": [64], "link": ["ideal"], "snr_db": "0:10:5"}
        >>> parse_sweep({"grid": grid}).grid.snr_db
        (0.0, 5.0, 10.0)
        >>> parse_sweep({"grid": grid | {"rate": [0]}})
        Traceback (most recent call last):
        shared.errors.InvalidArgumentError: `grid.rate.0` must be greater than or equal to 1; got 0.
    """
    try:
        sweep = SweepFile.model_validate(document)
    except ValidationError as error:
        raise InvalidArgumentError(_sentence(error)) from None
    for name, cnr_db in sweep.grid.estimations:
        require_estimation(name, cnr_db)
    sweep.scoring.require_groups(sweep.num_reports, "num_reports")
    if sweep.grid.cnr_db and set(sweep.grid.estimator) == {"perfect"}:
        others = ", ".join(name for name in ESTIMATORS if name != "perfect")
        raise InvalidArgumentError(f"`grid.estimator` must name one of {others} for a `cnr_db`; got perfect alone.")
    if sweep.refiners and set(sweep.grid.refinement) == {"never"}:
        raise InvalidArgumentError("`grid.refinement` must say what `refiners` refine; got never alone.")
    return sweep


def _sentence(error: ValidationError) -> str:
    """Say what is wrong with the first wrong key."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    found = repr(first["input"])[:80]
    if first["type"] == "extra_forbidden":
        sections: dict[str, type[_Section]] = {"grid": Grid, "train": Train}
        section = sections.get(str(first["loc"][0]), SweepFile)
        return f"`{key[:80]}` is not a key of a sweep; wanted are {', '.join(section.model_fields)}."
    if first["type"] == "missing":
        return f"`{key}` must be given; got none."
    said = first["msg"].removeprefix("Value error, ").partition("; got ")[0]
    for begin in ("Input", "Value", "Tuple", "String"):
        said = said.replace(f"{begin} should", "must")
    for theirs, ours in (
        (" after validation, not 0", ""),
        ("tuple", "list"),
        ("dictionary or instance of ", "section "),
    ):
        said = said.replace(theirs, ours)
    return f"`{key}` {said}; got {found}."
