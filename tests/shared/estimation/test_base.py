import numpy as np
import torch
from scipy.stats import kstest

from shared.estimation.base import complex_noise
from shared.rng import Randomness, Stage

NUM_REPORTS, DIMS = 4000, (1, 4, 8)


def noise(cnr_db: float) -> torch.Tensor:
    randomness = Randomness(3, np.zeros(NUM_REPORTS, dtype=np.int64), np.arange(NUM_REPORTS))
    return complex_noise(DIMS, np.full(NUM_REPORTS, cnr_db), randomness)


def test_the_noise_is_white_circular_and_gaussian_with_power_one_over_the_cnr() -> None:
    flat = noise(-6.0).flatten(1) / np.sqrt(10**0.6)
    covariance = flat.T @ flat.conj() / NUM_REPORTS
    pseudo_covariance = flat.T @ flat / NUM_REPORTS
    spread = 5 / np.sqrt(NUM_REPORTS)  # standard errors of one entry
    assert float((covariance - torch.eye(flat.shape[1])).abs().max()) < spread
    assert float(pseudo_covariance.abs().max()) < np.sqrt(2) * spread
    for part in (flat.real, flat.imag):
        assert kstest(part.flatten().numpy() * np.sqrt(2), "norm").pvalue > 1e-3


def test_the_noise_of_the_estimate_is_not_that_of_the_link() -> None:
    randomness = Randomness(3, np.array([0]), np.array([0]))
    link = randomness.normal(Stage.LINK, 2)
    ours = torch.view_as_real(complex_noise((1,), np.array([0.0]), randomness)).numpy().ravel() * np.sqrt(2)
    assert not np.isclose(link, ours).any()
