import numpy as np
import pytest
import torch

from shared.errors import InvalidArgumentError
from shared.metrics import nmse, nmse_full, nmse_full_from_loss
from shared.transforms import crop_taps


def uncropped() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    decay = torch.tensor([[0.8], [0.9], [0.99]]) ** torch.arange(64)
    return torch.randn(3, 2, 4, 64, dtype=torch.complex128, generator=generator) * decay[:, None, None]


def test_what_the_crop_left_out_is_all_error() -> None:
    x = uncropped()
    cropped, crop_loss = crop_taps(x, 32)
    assert nmse_full(cropped, x).numpy() == pytest.approx(crop_loss.numpy(), rel=1e-9)
    assert nmse_full(torch.zeros_like(cropped), x).tolist() == pytest.approx([1] * 3)


def test_it_follows_exactly_from_the_nmse_and_the_loss_of_each_report() -> None:
    x = uncropped()
    cropped, crop_loss = crop_taps(x, 32)
    h_hat = cropped * torch.tensor([0.9, 0.5j, 1.7])[:, None, None, None]
    wanted = nmse_full(h_hat, x)
    assert nmse_full_from_loss(nmse(h_hat, cropped), crop_loss).numpy() == pytest.approx(wanted.numpy(), rel=1e-12)


def test_from_the_means_it_is_off_by_the_covariance() -> None:
    inside, crop_loss = torch.tensor([0.1, 0.4], dtype=torch.float64), torch.tensor([0.0, 0.2], dtype=torch.float64)
    of_means = float(nmse_full_from_loss(inside.mean(), crop_loss.mean()))
    covariance = float(np.cov(inside, crop_loss, ddof=0)[0, 1])
    assert float(nmse_full_from_loss(inside, crop_loss).mean()) == pytest.approx(of_means - covariance)


def test_shapes_that_do_not_fit_are_refused() -> None:
    x = uncropped()
    with pytest.raises(InvalidArgumentError, match=r"`x_full` must have the shape \[3, 2, 4, at least 64\]; got"):
        nmse_full(x, x[..., :32])
    with pytest.raises(InvalidArgumentError, match="`x_full`"):
        nmse_full(x[:, :1], x)
    with pytest.raises(InvalidArgumentError, match=r"`crop_loss` must have the shape of `nmse`, \[3\]; got \[\]"):
        nmse_full_from_loss(torch.zeros(3), torch.tensor(0.1))
