import numpy as np
import pytest
import torch

from shared.errors import InvalidArgumentError
from shared.metrics import sgcs


def random_channels(seed: int, num_rx_ant: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, num_rx_ant, 4, 8, dtype=torch.complex64, generator=generator)


@pytest.mark.parametrize("num_rx_ant", [1, 2, 5])
def test_it_is_the_squared_cosine_of_the_strongest_right_singular_vectors(num_rx_ant: int) -> None:
    h, h_hat = random_channels(1, num_rx_ant), random_channels(2, num_rx_ant)
    wanted = np.zeros(3)
    for report in range(3):
        for f in range(8):
            v, v_hat = (np.linalg.svd(x[report, :, :, f].numpy())[2][0] for x in (h, h_hat))
            wanted[report] += abs(np.vdot(v, v_hat)) ** 2 / 8
    found = sgcs(h_hat, h)
    assert found.dtype == torch.float64
    assert found.numpy() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("num_rx_ant", [1, 2])
def test_a_phase_and_scale_of_each_subcarrier_change_nothing(num_rx_ant: int) -> None:
    h = random_channels(1, num_rx_ant)
    turned = h * torch.polar(torch.linspace(0.1, 9, 8), torch.linspace(-3, 3, 8))
    assert sgcs(turned, h).tolist() == pytest.approx([1] * 3, abs=1e-6)


@pytest.mark.parametrize("num_rx_ant", [1, 2])
def test_a_subcarrier_without_a_reconstruction_counts_zero(num_rx_ant: int) -> None:
    h = random_channels(1, num_rx_ant)
    h_hat = h.clone()
    h_hat[..., :2] = 0
    assert sgcs(h_hat, h).tolist() == pytest.approx([6 / 8] * 3, abs=1e-6)
    assert sgcs(torch.zeros_like(h), h).tolist() == [0, 0, 0]


def test_orthogonal_directions_count_zero() -> None:
    h, h_hat = torch.zeros(2, 1, 1, 4, 8, dtype=torch.complex64)
    h[..., 0, :], h_hat[..., 1, :] = 1, 1
    assert sgcs(h_hat, h).tolist() == [0]


def test_another_shape_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"\[3, 1, 4, 8\]; got \[3, 2, 4, 8\]"):
        sgcs(random_channels(1, 2), random_channels(1))
