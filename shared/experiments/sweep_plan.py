"""The plan of a sweep: which points its file asks for, by which digest each is known, and what cannot be.

What cannot be (a rate that a codec does not have, data of another shape) is left out with its sentence; a codec, link
or file that does not exist ends the sweep before anything is measured.
"""

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Literal

from shared.channels import ChannelSet, load_channels
from shared.codecs import load_codec
from shared.errors import CsiError, InvalidArgumentError, ModelMismatchError
from shared.estimation import Estimator, make_estimator
from shared.experiments.sweep_file import SweepFile
from shared.links import make_link
from shared.metrics.phy_abstraction import load_abstraction
from shared.model_files import ModelFile
from shared.refinement import RefinerFile
from shared.refinement.held import choose_refiner, load_refiners
from shared.refinement.label import parse_refinement
from shared.summary import Cell
from shared.training.manifest import git_revision
from shared.transmit import Transmitter, make_transmitter
from shared.types import CsiShape

Row = dict[str, Cell]
Through = Literal["process", "service"]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The points that differ in their SNR alone: one run of a UE.

    Attributes:
        channels: The data.
        data: By which name or file they were asked for.
        model: The codec.
        codec: By which name or file it was asked for.
        rate: Information bits of a report.
        link: Canonical label of the link.
        estimator: Of the channel at the UE.
        cnr_db: SNR of its pilots; None for a perfect estimate.
        refinement: Canonical label of how reports are refined.
        refiner: By what; None with ``never``.
    """

    channels: ChannelSet
    data: str
    model: ModelFile
    codec: str
    rate: int
    link: str
    estimator: Estimator
    cnr_db: float | None
    refinement: str = "never"
    refiner: RefinerFile | None = None

    @property
    def labels(self) -> Row:
        """What stands before the columns of the summary."""
        return {"data": self.channels.name, "trained_on": self.model.card.training_data.rsplit(", ", 2)[0]}


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One SNR of a series.

    Attributes:
        series: The series.
        snr_db: Es/N0 of the feedback link.
        first_sequence: Sequence number of its first report.
        key: Digest of all that decides its numbers.
    """

    series: Series
    snr_db: float
    first_sequence: int
    key: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What cannot be, and why."""

    data: str
    codec: str
    rate: int
    link: str
    estimator: str
    reason: str
    refinement: str = "any"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep measures.

    Attributes:
        file: As its author wrote it.
        through: In this process, or through the two commands.
        points: In the order of the grid; those of a series follow each other.
        left_out: What cannot be.
    """

    file: SweepFile
    through: Through
    points: tuple[Point, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def models(self) -> list[ModelFile]:
        """The models in use."""
        return list({point.series.model.card.name: point.series.model for point in self.points}.values())

    @property
    def refiners(self) -> list[RefinerFile]:
        """The refiners in use."""
        used = [point.series.refiner for point in self.points]
        return list({refiner.card.name: refiner for refiner in used if refiner is not None}.values())

    @property
    def data(self) -> list[ChannelSet]:
        """The data in use."""
        return list({point.series.channels.name: point.series.channels for point in self.points}.values())


def plan_sweep(
    file: SweepFile,
    through: Through = "process",
    codecs: Sequence[str] | None = None,
    left_out_before: Sequence[LeftOut] = (),
) -> Plan:
    """Find out what can be measured.

    Args:
        file: The grid.
        through: In this process, or through the two commands.
        codecs: Models instead of the grid's.
        left_out_before: What could not even be trained.

    Raises:
        CsiError: If a codec, link or file does not exist, or two of a kind have one name.
    """
    grid = file.grid
    links = list(dict.fromkeys(make_link(label).label for label in grid.link))
    models = [(name, load_codec(name)) for name in codecs or grid.codec]
    data = [(name, load_channels(name)) for name in grid.data]
    _require_different("codec", [model.card.name for _, model in models])
    _require_different("data", [channels.name for _, channels in data])
    if file.scoring.downlink_mcs is not None:
        load_abstraction()
    refinements = list(dict.fromkeys(str(parse_refinement(label)) for label in grid.refinement))
    refiners = load_refiners(file.refiners, _shapes(models)) if refinements != ["never"] else []
    revision = git_revision() or ""  # outside a checkout, the version is all there is
    points: list[Point] = []
    left_out = list(left_out_before)
    for data_name, channels in data:
        estimators = {name: _estimator(name, channels) for name in grid.estimator}
        for (codec, model), rate, link in itertools.product(models, grid.rate, links):
            combination = channels.name, model.card.name, rate, link
            try:
                _require_channel_uses(make_transmitter(model, channels.shape, link, rate), file.channel_uses)
                file.scoring.require_fit(channels.shape)
            except InvalidArgumentError as error:
                left_out.append(LeftOut(*combination, "any", str(error)))
                continue
            for (name, cnr_db), refinement in itertools.product(grid.estimations, refinements):
                estimator, refiner = estimators[name], _refiner(refinement, refiners, model, link)
                if isinstance(estimator, InvalidArgumentError):
                    left_out.append(LeftOut(*combination, name, str(estimator), refinement))
                elif isinstance(refiner, CsiError):
                    left_out.append(LeftOut(*combination, name, str(refiner), refinement))
                else:
                    fixed = (channels, data_name, model, codec, rate, link, estimator, cnr_db)
                    points += _points(Series(*fixed, refinement, refiner), file, through, revision)
    return Plan(file, through, tuple(points), tuple(left_out))


def _require_channel_uses(transmitter: Transmitter, wanted: int | None) -> None:
    """Refuse a report that takes more or fewer channel uses than the sweep compares at, or now so many, now so many."""
    if wanted is not None and transmitter.card.length == "variable":
        name = transmitter.card.name
        raise InvalidArgumentError(f"`channel_uses` must be left out with codec {name}: its reports take various ones.")
    found = transmitter.link.num_channel_uses(transmitter.link.code.num_coded_bits(transmitter.rate))
    if wanted not in (None, found):
        raise InvalidArgumentError(f"`channel_uses` must be {wanted}; a report takes {found}.")


def _points(series: Series, file: SweepFile, through: Through, revision: str) -> list[Point]:
    """Return the points of a series with their keys."""
    fixed: dict[str, object] = {
        "csilink": version("csilink"),
        "git": revision,
        "through": through,
        "data": series.channels.sha256,
        "model": series.model.card.sha256,
        "link": series.link,
        "rate": series.rate,
        "estimator": series.estimator.name,
        "cnr_db": series.cnr_db,
        "num_reports": file.num_reports,
        "scoring": asdict(file.scoring),
        "seed": file.seed,
    }
    if series.refiner is not None:  # else the key is that of a sweep from before there was refinement
        fixed |= {"refinement": series.refinement, "refiner": series.refiner.card.sha256}
    points = []
    for index, snr_db in enumerate(file.grid.snr_db):
        first = index * file.num_reports
        identity = fixed | {"snr_db": snr_db, "first_sequence": first, **series.labels, "codec": series.model.card.name}
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        points.append(Point(series, snr_db, first, key))
    return points


def _estimator(name: str, channels: ChannelSet) -> Estimator | InvalidArgumentError:
    """Return the estimator, or why it cannot work with these channels."""
    try:
        return make_estimator(name, channels.shape, channels.h)
    except InvalidArgumentError as error:
        return error


def _refiner(
    refinement: str, refiners: Sequence[RefinerFile], model: ModelFile, link: str
) -> RefinerFile | InvalidArgumentError | ModelMismatchError | None:
    """Return by what a model's channels are refined, None of ``never``, or why they cannot be."""
    by_name = {refiner.card.name: refiner for refiner in refiners}
    cards = [refiner.card for refiner in refiners]
    try:
        card = choose_refiner(parse_refinement(refinement), cards, model.card.name, model.card.sha256, link)
    except (InvalidArgumentError, ModelMismatchError) as error:
        return error
    return None if card is None else by_name[card.name]


def _shapes(models: Sequence[tuple[str, ModelFile]]) -> dict[str, CsiShape]:
    return {model.card.sha256: model.card.shape for _, model in models}


def _require_different(name: str, found: list[str]) -> None:
    if len(set(found)) != len(found):
        raise InvalidArgumentError(f"`grid.{name}` must have different names; got {', '.join(found)}.")
