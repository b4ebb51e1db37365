import pytest
import torch

from shared.networks.unet import UNet
from shared.training.jscc_presets import UNETS
from shared.training.macs import count_macs


def perturbed(num_planes: int = 4) -> UNet:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        unet = UNet(num_planes, width=8, multipliers=(1, 2), num_blocks=1).eval()
        torch.nn.init.normal_(unet.last[-1].get_parameter("weight"), std=0.1)
    return unet


def test_an_untrained_unet_returns_the_coarse_channel() -> None:
    planes = torch.randn(2, 4, 32, 32)
    assert torch.equal(UNet(4, 8, (1, 2))(planes, torch.rand(2), torch.rand(2)), planes[:, 2:])


def test_it_heeds_every_input() -> None:
    unet, planes = perturbed(), torch.randn(1, 4, 32, 32)
    level, snr_db = torch.tensor([0.3]), torch.tensor([5.0])
    with torch.no_grad():
        usual = unet(planes, level, snr_db)
        others = [unet(planes + 0.1, level, snr_db), unet(planes, level + 0.1, snr_db), unet(planes, level, snr_db + 5)]
    assert all((usual - other).abs().max() > 1e-4 for other in others)


def test_a_report_does_not_depend_on_its_batch() -> None:
    unet, planes = perturbed(), torch.randn(5, 4, 32, 32)
    level, snr_db = torch.rand(5), torch.rand(5)
    with torch.no_grad():
        together = unet(planes, level, snr_db)
        alone = torch.cat([unet(planes[i : i + 1], level[i : i + 1], snr_db[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "num_planes", "count", "published"),
    [("small", 4, 1_256_978, 1.28e6), ("small", 2, 1_256_546, 1.25e6), ("large", 4, 13_495_938, 13.9e6)],
)
def test_the_sizes_are_within_3_percent_of_the_published_ones(
    size: str, num_planes: int, count: int, published: float
) -> None:
    settings = UNETS["small" if size == "small" else "large"]
    with torch.device("meta"):
        unet = UNet(num_planes, settings.width, settings.multipliers, settings.num_blocks)
    found = sum(weight.numel() for weight in unet.parameters())
    assert found == count
    assert abs(found - published) / published < 0.03


def test_multiply_accumulates_are_those_of_convolutions_and_dense_layers() -> None:
    unet = UNet(4, 8, (1,), 1)
    macs = count_macs(unet, torch.zeros(1, 4, 32, 32), torch.zeros(1), torch.zeros(1))
    convs = 9 * (4 * 8 + 8 * 8 * 2 + 2 * 8 * 8 * 2 + 16 * 8 + 8 * 8 + 8 * 2) + 16 * 8
    dense = 33 * 16 + 4 * 16 * 8
    assert macs == 1024 * convs + dense
