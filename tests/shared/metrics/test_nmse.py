import math

import pytest
import torch

from shared.errors import InvalidArgumentError
from shared.metrics import nmse


def random_channels() -> torch.Tensor:
    return torch.randn(3, 2, 4, 8, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("scale", "wanted"), [(1, 0), (0, 1), (2, 1), (-1, 4), (1j, 2)])
def test_a_scaled_channel_has_the_error_of_its_scale(scale: complex, wanted: float) -> None:
    h = random_channels()
    error = nmse(scale * h, h)
    assert error.dtype == torch.float64
    assert error.tolist() == pytest.approx([wanted] * 3, rel=1e-6)


def test_each_report_is_divided_by_its_own_energy() -> None:
    h = random_channels()
    loud = h * torch.tensor([1.0, 100.0, 0.01])[:, None, None, None]
    assert nmse(loud * 0.9, loud).tolist() == pytest.approx([0.01] * 3, rel=1e-4)


def test_an_error_far_below_single_precision_of_the_energy_is_still_seen() -> None:
    h = torch.ones(1, 1, 1, 4, dtype=torch.complex128)
    assert float(nmse(h + 1e-9, h)) == pytest.approx(1e-18, rel=1e-6)
    assert math.isfinite(float(nmse(h * 1e30, h)))


def test_another_shape_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"\[3, 2, 4, 8\]; got \[3, 2, 4, 7\]"):
        nmse(random_channels()[..., :7], random_channels())
