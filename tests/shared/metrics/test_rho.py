from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shared.errors import InvalidArgumentError
from shared.metrics import rho, rho_full, sgcs
from shared.transforms import crop_taps, from_angles, from_angular_delay, from_csinet_rows, from_csinet_truth

Complex = NDArray[np.complexfloating[Any, Any]]


def random_crops(seed: int, num_rx_ant: int = 1, num_taps: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, num_rx_ant, 32, num_taps, dtype=torch.complex64, generator=generator)


def subcarriers(x: Complex) -> Complex:
    """Return [angle, 125] of a crop [angle, 32], by the sum that an FFT is."""
    f, tap = np.arange(125)[:, None], np.arange(x.shape[1])
    return np.asarray(x @ np.exp(-2j * np.pi * f * tap / 257).T)


def definition(h_hat: Complex, h: Complex) -> float:
    """Return rho of one report from its subcarriers [angle, 125]."""
    cosines = [abs(np.vdot(a, b)) / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in zip(h_hat.T, h.T, strict=True)]
    return float(np.mean(cosines))


@pytest.mark.parametrize("num_taps", [1, 2, 31, 32, 257])
def test_it_is_the_definition_of_csinet(num_taps: int) -> None:
    h_hat, h = random_crops(1, num_taps=num_taps), random_crops(2, num_taps=num_taps)
    wanted = [definition(subcarriers(h_hat[n, 0].numpy()), subcarriers(h[n, 0].numpy())) for n in range(3)]
    found = rho(h_hat, h)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx(wanted, rel=1e-9)


def test_a_subcarrier_on_which_a_channel_is_zero_counts_nothing() -> None:
    h = torch.zeros(1, 1, 32, 4, dtype=torch.complex64)
    h[..., 0], h[..., 1] = 1, -1  # zero on subcarrier 0 alone
    assert rho(h, h).item() == pytest.approx(124 / 125, rel=1e-9)
    assert rho(1e15 * h, h).item() == pytest.approx(124 / 125, rel=1e-9)


def test_delay_is_the_last_axis() -> None:
    h = random_crops(1)
    delayed = torch.roll(h, 1, dims=-1) * torch.tensor([0.0] + [1.0] * 31)  # a delay only turns each subcarrier
    kept = h * torch.tensor([1.0] * 31 + [0.0])
    assert rho(delayed, kept).tolist() == pytest.approx([1] * 3, rel=1e-6)
    assert rho(torch.roll(kept, 1, dims=-2), kept).max() < 0.5


def test_against_the_uncropped_truth_the_crop_counts() -> None:
    h_full = torch.fft.fft(random_crops(1, num_taps=64), n=257, dim=-1)[..., :125]  # a channel of 64 taps, in angles
    h, loss = crop_taps(random_crops(1, num_taps=64), 32)
    truth = from_csinet_truth(h_full.reshape(3, -1))
    wanted = [definition(subcarriers(h[n, 0].numpy()), h_full[n, 0].numpy()) for n in range(3)]
    assert rho_full(h, truth).tolist() == pytest.approx(wanted, rel=1e-5)
    assert rho_full(h, truth).numpy() == pytest.approx(np.sqrt(1 - loss.numpy()), abs=0.05)
    assert rho(h, h).tolist() == pytest.approx([1] * 3)


def test_antennas_in_place_of_angles_give_the_same() -> None:
    h_hat, h = random_crops(1, 2), random_crops(2, 2)
    assert rho(from_angles(h_hat), from_angles(h)).tolist() == pytest.approx(rho(h_hat, h).tolist(), rel=1e-5)


def test_a_subcarrier_without_a_reconstruction_counts_zero() -> None:
    h = random_crops(1)
    assert rho(torch.zeros_like(h), h).tolist() == [0, 0, 0]


def test_it_is_not_the_sgcs() -> None:
    h_hat, h = random_crops(1), random_crops(2)
    assert (rho(h_hat, h) > 3 * sgcs(from_angular_delay(h_hat), from_angular_delay(h))).all()


def test_shapes_that_do_not_fit_are_refused() -> None:
    h = random_crops(1)
    with pytest.raises(InvalidArgumentError, match=r"\[3, 1, 32, 32\]; got \[3, 2, 32, 32\]"):
        rho(random_crops(1, 2), h)
    with pytest.raises(InvalidArgumentError, match="at most 257 delay taps; got 258"):
        rho(random_crops(1, num_taps=258), random_crops(1, num_taps=258))
    with pytest.raises(InvalidArgumentError, match=r"`h_full` must have the shape \[3, 1, 32, 125\]; got"):
        rho_full(h, h)


def test_real_channels_of_cost_2100_are_alike_by_rho_where_their_error_is_small(shared_data: Path) -> None:
    x = from_csinet_rows(torch.from_numpy(np.load(shared_data / "cost2100-indoor" / "HT_val.npy")[:50]))
    noise = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(1))
    noise *= (x.abs().square().sum(dim=(1, 2, 3)) / noise.abs().square().sum(dim=(1, 2, 3))).sqrt()[:, None, None, None]
    found = [float(rho(x + amplitude * noise, x).mean()) for amplitude in (0.0, 0.1, 0.5, 1.0)]
    assert found[0] == pytest.approx(1, abs=1e-9)
    assert found == sorted(found, reverse=True)
    # an error of the channel's own power on each subcarrier would leave sqrt(1 / (1 + NMSE)); in fades it is more
    assert 0.95 < found[1] < (1 / 1.01) ** 0.5
