"""The link inside a network: what it detects is what the real link does, and gradients pass."""

import numpy as np
import pytest
import torch

from shared.links.transition import transition_probability
from shared.networks.bit_channel import detect

POINTS = torch.tensor([[-3.0, -1.0, 1.0, 3.0]])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("temperature", [None, 1.0])
@pytest.mark.parametrize("snr_db", [-3.0, 3.0])
def test_points_are_detected_as_often_as_the_transition_matrix_says(snr_db: float, temperature: float | None) -> None:
    matrix = transition_probability(2, snr_db, "bpsk").matrix
    count = 40_000
    for sent, row in enumerate(matrix):
        index = torch.full((count, 1), sent)
        y = torch.randn(count, 1, generator=generator(9))  # what is sent decides, not what gradients reach
        transition = torch.from_numpy(matrix).float()
        detected = detect(y, index, POINTS, transition, generator(sent), temperature=temperature)
        share = np.array([float(((detected - point).abs() < 1e-4).float().mean()) for point in POINTS[0]])
        deviation = np.sqrt(row * (1 - row) / count)
        assert share.sum() == pytest.approx(1)
        assert (np.abs(share - row) <= 4 * deviation + 1e-9).all()


def test_each_report_can_have_a_link_of_its_own() -> None:
    clean, swapped = torch.eye(4), torch.eye(4).flip(0)
    index = torch.zeros(2, 1, dtype=torch.int64)
    detected = detect(POINTS[:, :1].expand(2, 1), index, POINTS, torch.stack([clean, swapped]), generator())
    assert detected.flatten().tolist() == [-3.0, 3.0]


def gradients(temperature: float | None, snr_db: float) -> tuple[torch.Tensor, torch.Tensor]:
    y = (torch.rand(4000, 1, generator=generator(2)) * 4 - 2).requires_grad_()
    points = POINTS.clone().requires_grad_()
    matrix = torch.from_numpy(transition_probability(2, snr_db, "bpsk").matrix).float()
    index = (y.detach()[:, :, None] > torch.tensor([-2.0, 0.0, 2.0])).sum(dim=2)
    total = detect(y, index, points, matrix, generator(3), temperature=temperature).sum()
    of_y, of_points = torch.autograd.grad(total, (y, points))
    return of_y, of_points


@pytest.mark.parametrize("temperature", [None, 1.0])
def test_gradients_reach_codeword_and_points(temperature: float | None) -> None:
    for gradient in gradients(temperature, 3.0):
        assert bool(gradient.isfinite().all())
        assert float(gradient.abs().sum()) > 0


def test_the_gradient_of_the_mean_is_about_one_where_nothing_goes_wrong_and_less_where_much_does() -> None:
    clean, noisy, gumbel = gradients(None, 12.0)[0], gradients(None, -3.0)[0], gradients(1.0, 12.0)[0]
    assert float(clean.mean()) == pytest.approx(1, abs=0.15)
    assert float(noisy.mean()) < 0.8 * float(clean.mean())
    assert float(gumbel.square().mean()) > 10 * float(clean.square().mean())
