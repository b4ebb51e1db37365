"""What every entry of `ESTIMATORS` must do, in both domains."""

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.errors import InvalidArgumentError
from shared.estimation import ESTIMATORS, Estimator, make_estimator, require_estimation
from shared.metrics import nmse
from shared.rng import Randomness
from shared.types import CsiShape

CNR_DB = (-10, 0, 10, 20, 30)


def estimate(
    estimator: Estimator, h: Tensor, cnr_db: float | list[float], run: int = 1, rows: list[int] | None = None
) -> Tensor:
    """Estimate some rows of ``h``, row i at UE 10 + i."""
    chosen = np.arange(len(h)) if rows is None else np.array(rows)
    cnr = np.broadcast_to(np.asarray(cnr_db, dtype=np.float64), len(h))[chosen]
    return estimator.estimate(h[torch.from_numpy(chosen)], cnr, Randomness(run, chosen + 10, 100 + chosen))


def assert_as_in_theory(estimator: Estimator, h: Tensor, cnr_db: float) -> None:
    """Hold the measured NMSE against the closed form; the spread is that of the noise alone, from two runs."""
    one, two = (nmse(estimate(estimator, h, cnr_db, run), h) for run in (3, 4))
    mean, variance = ((one + two) / 2).mean(), (one - two).square().mean() / 2
    standard_error = float((variance / (2 * len(h))).sqrt())
    expected = estimator.expected_nmse(h, cnr_db)
    assert standard_error <= 0.01 * expected
    assert float(mean) == pytest.approx(expected, abs=3 * standard_error, rel=1e-7)


@pytest.mark.parametrize("cnr_db", CNR_DB)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_error_is_within_three_standard_errors_of_its_closed_form(
    shape: CsiShape, channels: Tensor, others: Tensor, name: str, cnr_db: float
) -> None:
    for statistics in (channels, others):
        assert_as_in_theory(make_estimator(name, shape, statistics), channels, cnr_db)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_error_on_the_shipped_channels_is_that_of_the_closed_form(indoor: ChannelSet, name: str) -> None:
    estimator = make_estimator(name, indoor.shape, indoor.h)
    for cnr_db in (-5, 15):
        assert_as_in_theory(estimator, indoor.h[:600], cnr_db)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_same_streams_give_the_same_estimate_and_another_run_another(
    shape: CsiShape, channels: Tensor, name: str
) -> None:
    estimator = make_estimator(name, shape, channels)
    first = estimate(estimator, channels, 0)
    assert (first.shape, first.dtype) == (channels.shape, torch.complex64)
    assert torch.equal(first, estimate(make_estimator(name, shape, channels), channels, 0))
    assert torch.equal(first, estimate(estimator, channels, 0, run=2)) == (name == "perfect")


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimate_does_not_depend_on_who_shares_its_batch(shape: CsiShape, channels: Tensor, name: str) -> None:
    estimator = make_estimator(name, shape, channels)
    cnr_db = [float(i % 7) for i in range(len(channels))]
    whole = estimate(estimator, channels, cnr_db)
    for rows in ([3], [700, 2, 11]):
        torch.testing.assert_close(estimate(estimator, channels, cnr_db, rows=rows), whole[rows], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_cnr_belongs_to_its_own_report(shape: CsiShape, channels: Tensor, name: str) -> None:
    estimator = make_estimator(name, shape, channels)
    mixed = estimate(estimator, channels[:4], [0.0, 40.0, 0.0, 40.0])
    for cnr_db, rows in ((0.0, [0, 2]), (40.0, [1, 3])):
        same = estimate(estimator, channels[:4], cnr_db)
        torch.testing.assert_close(mixed[rows], same[rows], rtol=0, atol=1e-6)
        assert float(nmse(same, channels[:4]).mean()) <= 2 * 10 ** (-cnr_db / 10)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_without_noise_every_estimate_is_the_channel(shape: CsiShape, channels: Tensor, name: str) -> None:
    found = estimate(make_estimator(name, shape, channels), channels, 80)
    assert float(nmse(found, channels).max()) < 1e-7


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_knows_its_key_and_refuses_a_cnr_out_of_range(
    shape: CsiShape, channels: Tensor, name: str
) -> None:
    estimator = make_estimator(name, shape, channels)
    assert estimator.name == name
    if name == "perfect":
        return
    for cnr_db in (-41.0, 81.0, float("nan"), float("inf")):
        with pytest.raises(InvalidArgumentError, match=r"`cnr_db` must be in \[-40, 80\]; got \["):
            estimate(estimator, channels[:2], [0.0, cnr_db])
        with pytest.raises(InvalidArgumentError, match=r"`cnr_db` must be in \[-40, 80\]"):
            estimator.expected_nmse(channels, cnr_db)


def test_an_unknown_estimator_is_refused_with_the_names_of_the_known(shape: CsiShape, channels: Tensor) -> None:
    sentence = "`estimator` must be one of perfect, ls, lmmse, additive; got 'oracle'"
    with pytest.raises(InvalidArgumentError, match=sentence):
        make_estimator("oracle", shape, channels)
    with pytest.raises(InvalidArgumentError, match=sentence):
        require_estimation("oracle", 0.0)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_has_a_cnr_unless_it_is_perfect(name: str) -> None:
    good, bad = (None, 0.0) if name == "perfect" else (0.0, None)
    require_estimation(name, good)
    with pytest.raises(InvalidArgumentError, match=f"`cnr_db` must (not )?be given with estimator {name}; got "):
        require_estimation(name, bad)
    for cnr_db in (-40.5, float("nan"), float("-inf")):
        with pytest.raises(InvalidArgumentError, match="`cnr_db` must"):
            require_estimation(name, cnr_db)
