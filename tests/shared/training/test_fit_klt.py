import numpy as np
import pytest
import torch

from shared.training.klt import MAX_RATE, MIN_RATE, fit_klt

STRENGTH = torch.tensor([100.0, 20.0, 5.0])


@pytest.fixture(scope="module")
def directions() -> torch.Tensor:
    """[256, 3] complex64, orthonormal."""
    q: torch.Tensor
    q, _ = torch.linalg.qr(torch.randn(256, 3, dtype=torch.complex64, generator=torch.Generator().manual_seed(1)))
    return q


@pytest.fixture(scope="module")
def fitted(directions: torch.Tensor) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    gains = torch.randn(3000, 3, dtype=torch.complex64, generator=generator) * STRENGTH
    noise = 0.01 * torch.randn(3000, 256, dtype=torch.complex64, generator=generator)
    return fit_klt((gains @ directions.T + noise + (3 - 1j)).reshape(3000, 1, 16, 16))


def test_the_directions_of_a_low_rank_signal_come_out_strongest_first_with_their_deviations(
    fitted: dict[str, torch.Tensor], directions: torch.Tensor
) -> None:
    overlap = (fitted["basis"][:, :3].conj().T @ directions).abs()
    assert torch.allclose(overlap, torch.eye(3), atol=0.1)  # 3,000 samples of each gain
    # As a subspace they are exact, up to the noise.
    assert torch.allclose(overlap.square().sum(dim=0), torch.ones(3), atol=1e-5)
    assert fitted["scale"][:6].tolist() == pytest.approx((STRENGTH / 2**0.5).repeat_interleave(2).tolist(), rel=0.05)
    assert float(fitted["scale"][6:].max()) < 0.02
    # The mean of 3,000 samples is the offset, up to their deviation along the three directions.
    off = fitted["mean"] - (3 - 1j)
    assert torch.allclose(directions @ (directions.conj().T @ off), off, atol=2e-3)


def test_each_budget_is_spent_to_the_bit_and_the_signal_before_the_noise(fitted: dict[str, torch.Tensor]) -> None:
    widths = fitted["widths"].numpy().astype(int)
    assert widths.sum(axis=1).tolist() == list(range(MIN_RATE, MAX_RATE + 1))
    assert widths[0, 6:].sum() == 0
    assert (np.diff(widths[0, :6:2]) < 0).all()
    # Reverse water-filling: a factor of 20 in deviation is worth log2(20) = 4.3 bits.
    assert widths[0, 0] - widths[0, 4] == pytest.approx(4.3, abs=1.5)


def test_the_levels_of_each_width_increase(fitted: dict[str, torch.Tensor]) -> None:
    for width, levels in enumerate(fitted["codebook"].numpy(), start=1):
        assert (np.diff(levels[: 2**width]) > 0).all()
        assert not levels[2**width :].any()
