"""FISTA against scikit-learn's Lasso, the lasso's own conditions of optimality, and the published figure."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso as TheirLasso

from shared.channels.file import open_stream
from shared.codecs.compressed_sensing.front_end import measurement_matrix
from shared.codecs.compressed_sensing.lasso import CHUNK, Lasso
from shared.experiments.published_figures import LASSO_COST2100_INDOOR_DB
from shared.metrics import nmse, to_db


@pytest.mark.parametrize(("num_measurements", "num_taps"), [(20, 50), (60, 40)])
@pytest.mark.parametrize("threshold", [0.2, 0.5])
def test_real_vectors_are_those_of_scikit_learn(num_measurements: int, num_taps: int, threshold: float) -> None:
    generator = torch.Generator().manual_seed(1)
    matrix = torch.randn(num_measurements, num_taps, generator=generator, dtype=torch.float64)
    matrix = matrix / matrix.norm(dim=0)
    y = torch.randn(6, num_measurements, generator=generator, dtype=torch.float64)
    found = Lasso(matrix, threshold, num_iterations=5000)(y)
    theirs = TheirLasso(alpha=threshold / num_measurements, fit_intercept=False, tol=1e-10, max_iter=100_000)
    wanted = np.stack([theirs.fit(matrix.numpy(), row).coef_ for row in y.numpy()])
    assert np.abs(found.numpy() - wanted).max() < 1e-4


def test_complex_taps_meet_the_conditions_of_optimality() -> None:
    """A^H (y - A x) is lambda x / |x| where x is not 0, and no larger than lambda where it is."""
    matrix = measurement_matrix(30, 80, seed=1)
    y = torch.randn(5, 30, generator=torch.Generator().manual_seed(2), dtype=torch.complex64)
    x = Lasso(matrix, 0.4, num_iterations=3000)(y).to(torch.complex128)
    slope = (y - x @ matrix.T) @ matrix.conj()
    active = x != 0
    assert 0 < int(active.sum()) < active.numel()
    torch.testing.assert_close(slope[active], 0.4 * (x / x.abs())[active], atol=1e-4, rtol=0)
    assert float(slope[~active].abs().max()) < 0.4 + 1e-4


def test_iterations_approach_the_optimum_and_sixty_are_near() -> None:
    matrix = measurement_matrix(64, 1024, seed=1)
    x = torch.zeros(20, 1024, dtype=torch.complex64)
    x[:, ::128] = 11.3 * torch.randn(20, 8, generator=torch.Generator().manual_seed(1), dtype=torch.complex64)
    y = (x.to(torch.complex128) @ matrix.T).to(torch.complex64)

    def objective(found: torch.Tensor) -> float:
        misfit = (y - found @ matrix.T.to(found.dtype)).abs().square().sum(dim=1) / 2
        return float((misfit + 2.0 * found.abs().sum(dim=1)).mean())

    values = [objective(Lasso(matrix, 2.0, num_iterations)(y)) for num_iterations in (15, 60, 2000)]
    assert values[0] > values[1] > values[2]
    assert values[1] == pytest.approx(values[2], rel=0.02)


def test_more_reports_than_a_chunk_give_what_each_gives() -> None:
    y = torch.randn(CHUNK + 3, 16, generator=torch.Generator().manual_seed(1), dtype=torch.complex64)
    lasso = Lasso(measurement_matrix(16, 64, seed=1), 0.3, num_iterations=50)
    torch.testing.assert_close(lasso(y)[-5:], lasso(y[-5:]))


def test_a_threshold_above_every_correlation_gives_zeros() -> None:
    matrix = measurement_matrix(16, 64, seed=1)
    y = torch.ones(2, 16, dtype=torch.complex64)
    most = float((y.to(torch.complex128) @ matrix.conj()).abs().max())
    assert not Lasso(matrix, 1.01 * most, 50)(y).any()
    assert Lasso(matrix, 0.99 * most, 50)(y).any()


def test_on_cost2100_indoor_a_large_lambda_gives_the_published_figures_and_a_good_one_is_ahead(
    shared_data: Path,
) -> None:
    """At 1/4 and 1/16, of real vectors as published."""
    x, _ = next(open_stream(shared_data / "cost2100-indoor/paths_train_0.npz").chunks())
    x = torch.cat([x.flatten(1).real, x.flatten(1).imag], dim=1)[:200]
    for num_reals, large, good in ((512, 1.6, 0.25), (128, 5.2, 1.4)):
        matrix = measurement_matrix(num_reals, 2048, seed=1).real
        matrix = matrix / matrix.norm(dim=0)
        y = (x.double() @ matrix.T).float()
        found = [to_db(float(nmse(Lasso(matrix, threshold, 100)(y), x).mean())) or 0.0 for threshold in (large, good)]
        published = LASSO_COST2100_INDOOR_DB[num_reals]
        assert found[0] == pytest.approx(published, abs=0.7)
        assert published - 5 < found[1] < published - 0.5
