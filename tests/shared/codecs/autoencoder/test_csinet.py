"""CsiNet's parameters against InvCSINet, Table II, and against the files that its authors published."""

import pytest
import torch
from torch import Tensor

from shared.codecs.autoencoder.csinet import CsiNetDecoder, CsiNetEncoder, DelayNorm, NormAxis
from shared.model_files import count_parameters


def both_halves(num_latents: int, axis: NormAxis = "channel", final_norm: bool = True) -> dict[str, Tensor]:
    encoder, decoder = CsiNetEncoder(num_latents, axis), CsiNetDecoder(num_latents, axis, final_norm)
    return {
        **{f"network.encoder.{key}": value for key, value in encoder.state_dict().items()},
        **{f"network.decoder.{key}": value for key, value in decoder.state_dict().items()},
    }


@pytest.mark.parametrize(
    ("num_latents", "published"),
    [(32, 136_560), (64, 267_664), (128, 529_872), (256, 1_054_288), (512, 2_103_120)],
)
def test_the_parameters_are_those_of_the_published_table_at_every_ratio(num_latents: int, published: int) -> None:
    assert published == 4097 * num_latents + 2048 + 3408
    assert count_parameters(both_halves(num_latents)) == published


@pytest.mark.parametrize(("axis", "published"), [("channel", 3404), ("delay", 3744)])
def test_the_convolutions_and_norms_of_the_published_files_are_counted(axis: NormAxis, published: int) -> None:
    assert count_parameters(both_halves(1, axis, final_norm=False)) - 4097 - 2048 == published


def test_the_delay_norm_has_one_mean_and_deviation_for_each_delay_tap() -> None:
    norm = DelayNorm().train()
    x = torch.randn(64, 2, 32, 32) * torch.arange(1, 33) + torch.arange(32)
    y = norm(x)
    torch.testing.assert_close(y.mean(dim=(0, 1, 2)), torch.zeros(32), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.std(dim=(0, 1, 2)), torch.ones(32), atol=2e-3, rtol=0)


def test_the_output_gain_scales_what_follows_the_last_norm() -> None:
    decoder = CsiNetDecoder(8).eval()
    z = torch.randn(3, 8)
    with torch.no_grad():
        before = decoder(z)
        decoder.scale_output(0.25)
        torch.testing.assert_close(decoder(z), 0.25 * before)


def test_the_codeword_depends_on_every_input_and_the_output_on_every_latent() -> None:
    encoder, decoder = CsiNetEncoder(8).eval(), CsiNetDecoder(8).eval()
    x = torch.randn(1, 2, 32, 32, requires_grad=True)
    z = encoder(x)
    z.sum().backward()
    assert isinstance(x.grad, Tensor)
    assert (x.grad != 0).all()
    z = z.detach().requires_grad_()
    output = decoder(z)
    assert output.shape == (1, 2, 32, 32)
    output.sum().backward()
    assert isinstance(z.grad, Tensor)
    assert (z.grad != 0).all()
