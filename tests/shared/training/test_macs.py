import torch
from torch import Tensor, nn

from shared.codecs.autoencoder.csinet import CsiNetEncoder
from shared.training.macs import count_macs


def test_convolutions_of_any_stride_and_group_are_counted_by_their_outputs() -> None:
    network = nn.Sequential(nn.Conv2d(4, 8, (3, 5), stride=2, groups=2), nn.Flatten(), nn.LazyLinear(10))
    x = torch.zeros(1, 4, 9, 9)
    network(x)
    assert count_macs(network, x) == (8 * 4 * 3) * (2 * 3 * 5) + 96 * 10


def test_a_layer_that_runs_twice_counts_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.layer(self.layer(x))
            return y

    assert count_macs(Twice(), torch.zeros(1, 6)) == 2 * 36


def test_counting_leaves_the_network_as_it_was() -> None:
    network = CsiNetEncoder(4).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    count_macs(network, torch.randn(1, 2, 32, 32))
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
