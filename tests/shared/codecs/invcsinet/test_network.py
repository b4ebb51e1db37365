"""The invertible network: its inverse, what the codeword depends on, its parameters beside the published ones."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shared.codecs.invcsinet.codec import InvCsiNet
from shared.codecs.invcsinet.network import InvertibleNetwork, from_patches, to_patches
from shared.network_settings import InvertibleSettings

# InvCSINet, Table II: M -> parameters at 1, 2, 3, 4 bits
PUBLISHED = {
    32: (292_452, 292_580, 292_836, 293_348),
    64: (309_974, 310_230, 310_742, 311_766),
    128: (351_978, 352_490, 353_514, 355_562),
    256: (463_826, 464_850, 466_898, 470_994),
    512: (798_882, 800_930, 805_026, 813_218),
}


def network(num_latents: int, num_blocks: int = 3, seed: int = 0) -> InvertibleNetwork:
    """Return a network whose last convolutions are not zero: it maps as a trained one does."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = InvertibleNetwork(num_latents, num_blocks)
        for name, weight in made.named_parameters():
            if ".convs.3." in name:
                torch.nn.init.normal_(weight, std=0.02)
    return made.requires_grad_(requires_grad=False)


def planes(count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, 2, 32, 32, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=20, deadline=None)
@given(
    num_latents=st.sampled_from([16, 32, 128, 512, 1024, 2032]),
    num_blocks=st.integers(1, 3),
    seed=st.integers(0, 1000),
    scale=st.floats(0.1, 3),
)
def test_the_inverse_undoes_the_network(num_latents: int, num_blocks: int, seed: int, scale: float) -> None:
    made, x = network(num_latents, num_blocks, seed), scale * planes(2, seed)
    y, z = made(x)
    assert (y.shape, z.shape) == ((2, num_latents), (2, 2048 - num_latents))
    error = (made.inverse(y, z) - x).norm() / x.norm()
    assert float(error) <= 1e-5


def test_the_network_undoes_its_inverse() -> None:
    made, v = network(64), torch.randn(2, 2048, generator=torch.Generator().manual_seed(4))
    back = torch.cat(made(made.inverse(v[:, :64], v[:, 64:])), dim=1)
    assert float((back - v).abs().max()) <= 1e-4


@pytest.mark.parametrize("num_latents", [16, 32, 512])
def test_the_codeword_depends_on_every_input(num_latents: int) -> None:
    made = network(num_latents)
    jacobian = torch.func.jacrev(lambda x: made(x)[0])(planes(1))[0, :, 0]
    assert bool((jacobian.abs().sum(dim=0) > 0).all())


def test_patches_are_channels_the_real_ones_first() -> None:
    x = planes(2)
    u = to_patches(x)
    assert torch.equal(from_patches(u), x)
    assert torch.equal(u[:, 0], x[:, 0, :4, :4])
    assert torch.equal(u[:, 1], x[:, 0, 4:8, :4])  # the next angles, the same first delays
    assert torch.equal(u[:, 8], x[:, 0, :4, 4:8])
    assert torch.equal(u[:, 64], x[:, 1, :4, :4])


def test_an_untrained_network_is_linear_and_its_exact_inverse_needs_z() -> None:
    made, x = InvertibleNetwork(32).requires_grad_(requires_grad=False), planes(3)
    (y, z), (twice, _) = made(x), made(2 * x)
    torch.testing.assert_close(twice, 2 * y)
    assert float((made.inverse(y, torch.zeros_like(z)) - x).abs().max()) > 0.1


@pytest.mark.parametrize("num_latents", PUBLISHED)
def test_parameters_are_those_of_table_ii_and_grow_with_the_bits_exactly_so(num_latents: int) -> None:
    counts = []
    for bits in (1, 2, 3, 4):
        made = InvCsiNet(InvertibleSettings(num_latents=num_latents, bits=(bits, bits), labels="natural"))
        quantizer = sum(weight.numel() for weight in made.quantizers.parameters())
        assert quantizer == 2 * num_latents * (2**bits - 1)
        assert made.aux_mean.numel() + made.aux_deviation.numel() == 4096 - 2 * num_latents
        counts.append(sum(weight.numel() for weight in made.parameters()))
    for count, published in zip(counts, PUBLISHED[num_latents], strict=True):
        assert count == pytest.approx(published, rel=0.01)
    growth = [count - counts[0] for count in counts]
    assert growth == [published - PUBLISHED[num_latents][0] for published in PUBLISHED[num_latents]]
