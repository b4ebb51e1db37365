"""A sweep: a grid of points, each measured once and kept at once, so that a run that was ended goes on.

SweepFile --plan_sweep--> Plan --run_sweep--> points.jsonl --rows_of--> rows --sweep_results, sweep_plots--> tables, pictures
"""  # noqa: E501  (a drawing)

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from shared.experiments.common_random_numbers import KeptDraws
from shared.experiments.simulate import make_simulator
from shared.experiments.sweep_file import SweepFile
from shared.experiments.sweep_plan import Plan, Point, Row, Series
from shared.experiments.sweep_results import PointsFile

Measure = Callable[[Series, Sequence[Point]], Iterable[tuple[Point, Row]]]


def run_sweep(
    plan: Plan, folder: Path, measure: Measure, progress: Callable[[int, str], None] = lambda _done, _label: None
) -> None:
    """Measure the points that ``points.jsonl`` does not hold yet; each is written as soon as it is there.

    Args:
        plan: What to measure.
        folder: Where ``points.jsonl`` is.
        measure: `simulate_series`, or `shared.experiments.sweep_service.ServiceRun.measure`.
        progress: Called with how many points are there, and what was or is measured.
    """
    file = PointsFile(folder)
    finished = file.rows()
    done = sum(point.key in finished for point in plan.points)
    progress(done, "")
    for series, points in itertools.groupby(plan.points, key=lambda point: point.series):
        missing = [point for point in points if point.key not in finished]
        if not missing:
            continue
        card = series.model.card
        label = f"{series.channels.name}, {card.name}, {series.rate} {card.payload}, {series.link}"
        label += "" if series.refiner is None else f", {series.refinement}"
        progress(done, label)
        for point, row in measure(series, missing):
            file.append(point.key, {**series.labels, **row})
            done += 1
            progress(done, label)


def simulate_series(file: SweepFile) -> Measure:
    """Return what measures in this process, one point after the other."""
    kept = KeptDraws()

    def measure(series: Series, points: Sequence[Point]) -> Iterator[tuple[Point, Row]]:
        simulator = make_simulator(
            series.channels,
            series.model,
            series.link,
            series.rate,
            series.estimator,
            series.cnr_db,
            file.scoring,
            file.seed,
            refinement=series.refinement,
            refiners=() if series.refiner is None else (series.refiner,),
            make_randomness=kept.randomness,
        )
        simulator.point(
            points[0].snr_db, file.scoring.downlink_num_ue
        )  # what is loaded at first use is no part of a point's time
        for point in points:
            simulated = simulator.point(point.snr_db, file.num_reports, point.first_sequence)
            seconds = {name: round(value, 6) for name, value in asdict(simulated.seconds).items()}
            yield point, {**simulated.row(), **seconds}

    return measure


def rows_of(plan: Plan, folder: Path) -> list[Row]:
    """Return the rows of the points that are finished, in the order of the plan."""
    finished = PointsFile(folder).rows()
    return [finished[point.key] for point in plan.points if point.key in finished]
