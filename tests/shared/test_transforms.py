import math

import numpy as np
import pytest
import torch

from shared.transforms import from_angular_delay, normalize_power, to_angular_delay

NUM_ANT, NUM_SUBCARRIERS, BANDWIDTH_HZ = 32, 1024, 20e6


def random_channels(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))


def on_grid_path(angle: int, delay: int) -> torch.Tensor:
    """One path, h[n, f] = exp(-j 2 pi f tau) exp(-j pi n sin(aod)), on point (angle, delay) of the DFT grid."""
    tau, sine = delay / BANDWIDTH_HZ, 2 * angle / NUM_ANT
    f = np.arange(NUM_SUBCARRIERS) * BANDWIDTH_HZ / NUM_SUBCARRIERS
    steering = np.exp(-1j * np.pi * np.arange(NUM_ANT) * sine)
    return torch.from_numpy(steering[:, None] * np.exp(-2j * np.pi * f * tau))


def test_the_transform_keeps_every_energy_and_inner_product() -> None:
    a, b = random_channels(2, 3, NUM_ANT, 64)
    inner = (a.conj() * b).sum()
    assert torch.allclose((to_angular_delay(a).conj() * to_angular_delay(b)).sum(), inner)
    assert torch.allclose((from_angular_delay(a).conj() * from_angular_delay(b)).sum(), inner)


@pytest.mark.parametrize("num_ant", [1, 8, 9])
def test_each_transform_inverts_the_other(num_ant: int) -> None:
    h = random_channels(2, 1, num_ant, 48)
    assert torch.allclose(from_angular_delay(to_angular_delay(h)), h)
    assert torch.allclose(to_angular_delay(from_angular_delay(h)), h)


@pytest.mark.parametrize(("angle", "delay"), [(0, 0), (5, 3), (-16, 31), (15, 700)])
def test_a_path_on_the_grid_fills_the_one_tap_of_its_angle_row_and_delay_column(angle: int, delay: int) -> None:
    x = to_angular_delay(on_grid_path(angle, delay))
    wanted = torch.zeros_like(x)
    wanted[(NUM_ANT // 2 - angle) % NUM_ANT, delay] = math.sqrt(NUM_ANT * NUM_SUBCARRIERS)
    assert torch.allclose(x, wanted, atol=1e-8)


def test_a_cropped_channel_comes_back_as_every_32nd_subcarrier_of_itself() -> None:
    cropped = to_angular_delay(random_channels(NUM_ANT, NUM_SUBCARRIERS))
    cropped[:, 32:] = 0
    # Both transforms are unitary, so the same energy stands on 32 times fewer subcarriers.
    assert torch.allclose(from_angular_delay(cropped[:, :32]), from_angular_delay(cropped)[:, ::32] * math.sqrt(32))


def test_each_report_is_scaled_to_unit_mean_power_and_keeps_its_direction() -> None:
    h = (random_channels(4, 2, 8, 8) * torch.tensor([1e-6, 1.0, 3.0, 1e6])[:, None, None, None]).to(torch.complex64)
    scaled = normalize_power(h)
    assert scaled.dtype == torch.complex64
    assert torch.allclose(scaled.abs().square().mean(dim=(1, 2, 3)), torch.ones(4))
    ratio = scaled / h
    assert torch.allclose(ratio, ratio[:, :1, :1, :1].expand_as(ratio))


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_a_report_without_power_or_not_finite_has_no_scale(value: float) -> None:
    h = torch.ones(2, 1, 4, 4, dtype=torch.complex64)
    h[1] = value
    with pytest.raises(ValueError, match="`h` must be finite and have power"):
        normalize_power(h)
