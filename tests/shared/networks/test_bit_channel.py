"""The link inside a network: what it detects is what the real link does, and gradients pass."""

import numpy as np
import pytest
import torch

from shared.links.transition import transition_probability
from shared.networks.bit_channel import detect

POINTS = torch.tensor([[-3.0, -1.0, 1.0, 3.0]])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("snr_db", [-3.0, 3.0])
def test_points_are_detected_as_often_as_the_transition_matrix_says(snr_db: float) -> None:
    matrix = transition_probability(2, snr_db, "bpsk").matrix
    count = 40_000
    for sent, row in enumerate(matrix):
        y = POINTS[:, sent].expand(count, 1)
        detected = detect(y, POINTS, torch.from_numpy(matrix).float(), generator(sent))
        share = np.array([float((detected == point).float().mean()) for point in POINTS[0]])
        deviation = np.sqrt(row * (1 - row) / count)
        assert share.sum() == pytest.approx(1)
        assert (np.abs(share - row) <= 4 * deviation + 1e-9).all()


def test_each_report_can_have_a_link_of_its_own() -> None:
    clean, swapped = torch.eye(4), torch.eye(4).flip(0)
    y = POINTS[:, :1].expand(2, 1)
    detected = detect(y, POINTS, torch.stack([clean, swapped]), generator())
    assert detected.flatten().tolist() == [-3.0, 3.0]


def test_what_lies_between_two_points_is_one_of_them() -> None:
    y = torch.full((2000, 1), -0.02)  # just below the middle of -1 and 1
    detected = detect(y, POINTS, torch.eye(4), generator(), sharpness=0.1)
    assert set(detected.flatten().tolist()) == {-1.0, 1.0}
    assert float((detected == -1).float().mean()) > 0.5


def test_gradients_reach_codeword_and_points() -> None:
    y = torch.tensor([[-0.9, 0.8]]).repeat(64, 1).requires_grad_()
    points = POINTS.repeat(2, 1).requires_grad_()
    matrix = torch.from_numpy(transition_probability(2, 3.0, "bpsk").matrix).float()
    total = detect(y, points, matrix, generator(), sharpness=1.0).square().sum()
    for gradient in torch.autograd.grad(total, (y, points)):
        assert bool(gradient.isfinite().all())
        assert float(gradient.abs().sum()) > 0
