import pytest
import torch

from shared.channels.tr38901 import generate

pytest.importorskip("sionna.phy")


@pytest.fixture(scope="module")
def generated() -> tuple[torch.Tensor, torch.Tensor]:
    x, crop_loss = zip(*generate(64, seed=3, chunk=48), strict=True)
    return torch.cat(x), torch.cat(crop_loss)


def test_channels_have_the_shape_of_the_crop_and_unit_power(generated: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, _ = generated
    assert (x.shape, x.dtype) == ((64, 1, 32, 32), torch.complex64)
    assert torch.allclose(x.abs().square().mean(dim=(1, 2, 3)), torch.ones(64))


def test_the_crop_leaves_out_little_of_the_energy(generated: tuple[torch.Tensor, torch.Tensor]) -> None:
    _, crop_loss = generated
    assert crop_loss.shape == (64,)
    assert float(crop_loss.min()) > 0
    assert float(crop_loss.mean()) < 0.1


def test_a_seed_repeats_its_channels_and_another_gives_others(generated: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, _ = generated
    again = torch.cat([chunk for chunk, _ in generate(64, seed=3, chunk=48)])
    assert torch.equal(again, x)
    other = torch.cat([chunk for chunk, _ in generate(8, seed=4, chunk=48)])
    assert not torch.isclose(other, x[:8]).any()
