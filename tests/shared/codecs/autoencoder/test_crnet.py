"""CRNet's size against its paper."""

import pytest
import torch

from shared.codecs.autoencoder.crnet import CrNetDecoder, CrNetEncoder
from shared.training.macs import count_macs


@pytest.mark.parametrize(
    ("num_latents", "published"), [(512, 5.12e6), (256, 4.07e6), (128, 3.55e6), (64, 3.28e6), (32, 3.16e6)]
)
def test_the_multiply_accumulates_are_those_of_the_paper_at_every_ratio(num_latents: int, published: float) -> None:
    encoder = count_macs(CrNetEncoder(num_latents), torch.zeros(1, 2, 32, 32))
    decoder = count_macs(CrNetDecoder(num_latents), torch.zeros(1, num_latents))
    assert encoder + decoder == 1024 * (152 + 100 + 2 * 1351) + 4096 * num_latents
    assert encoder + decoder == pytest.approx(published, abs=0.0075e6)  # 3.287M is printed as 3.28, 3.549M as 3.55


def test_the_multiply_accumulates_of_the_encoder_are_those_that_a_person_counts() -> None:
    convolutions = 2 * 2 * (9 + 9 + 9 + 9) + 4 * 2  # 3x3, 1x9, 9x1, and 3x3 beside them; 1x1
    assert count_macs(CrNetEncoder(16), torch.zeros(1, 2, 32, 32)) == 1024 * convolutions + 2048 * 16


def test_the_shapes_are_a_codeword_and_the_two_planes() -> None:
    z = CrNetEncoder(16).eval()(torch.randn(3, 2, 32, 32))
    assert z.shape == (3, 16)
    assert CrNetDecoder(16).eval()(z).shape == (3, 2, 32, 32)


def test_no_leaky_relu_follows_the_last_layer_of_a_branch() -> None:
    names = [name for name, _ in CrNetEncoder(4).encoder1.named_children()]
    assert names == ["conv3x3_bn", "relu1", "conv1x9_bn", "relu2", "conv9x1_bn"]
