"""DCRNet's size against its paper, and what its layers see.

The paper's table is not in our copy. Its multiply-accumulates are quoted in the first author's next project
(github.com/tangshunpu/DCRNetV2, archive/local_experiments/V9_EXPERIMENT_20260511.md, section 4), its parameters in a
reader's notes on arXiv 2106.04043; none at M = 32.
"""

import pytest
import torch
from torch import nn

from shared.codecs.autoencoder.dcrnet import DcrNetDecoder, DcrNetEncoder, DecoderBlock, EncoderBlock
from shared.training.macs import count_macs


def macs_of(encoder: nn.Module, decoder: nn.Module, num_latents: int) -> int:
    return count_macs(encoder, torch.zeros(1, 2, 32, 32)) + count_macs(decoder, torch.zeros(1, num_latents))


def norms_of(*halves: nn.Module) -> int:
    """Count two operations for each output of a batch norm, as the authors' counter (thop) does; all are 32 x 32."""
    layers = [layer for half in halves for layer in half.modules() if isinstance(layer, nn.BatchNorm2d)]
    return 2 * 1024 * sum(layer.num_features for layer in layers)


@pytest.mark.parametrize(
    ("expansion", "num_latents", "published"),
    [
        *((1, 512, 4.01e6), (1, 256, 2.96e6), (1, 128, 2.44e6), (1, 64, 2.18e6)),
        *((10, 512, 17.57e6), (10, 256, 16.52e6), (10, 128, 16.00e6), (10, 64, 15.74e6)),
    ],
)
def test_the_operations_with_those_of_the_norms_are_the_published_ones(
    expansion: int, num_latents: int, published: float
) -> None:
    encoder, decoder = DcrNetEncoder(num_latents), DcrNetDecoder(num_latents, expansion)
    found = macs_of(encoder, decoder, num_latents) + norms_of(encoder, decoder)
    assert found == pytest.approx(published, abs=0.0075e6)  # 16.527M is printed as 16.52, 2.437M as 2.44


@pytest.mark.parametrize(("num_latents", "published"), [(512, 2.102e6), (128, 0.528e6), (64, 0.266e6)])
def test_the_parameters_are_the_published_ones(num_latents: int, published: float) -> None:
    halves = DcrNetEncoder(num_latents), DcrNetDecoder(num_latents)
    found = sum(weight.numel() for half in halves for weight in half.parameters())
    assert found == 4097 * num_latents + 2048 + 270 + 1726  # dense; convolutions, norms and slopes of UE, base station
    assert found == pytest.approx(published, abs=0.0005e6)


def test_the_multiply_accumulates_are_those_that_a_person_counts() -> None:
    encoder = 2 * 2 * (25 + 6 * 3 + 9) + 4 * 2  # 5x5; 3x1 and 1x3 three times, 3x3 beside them; 1x1
    dilated = 2 * 8 * 9 + 2 * 8 * (3 + 3) + 8 * 2 * 9  # 3x3; 3x1, 1x3, each output sees a pair of channels; 3x3
    plain = 2 * 8 * 3 + 2 * 8 * (5 + 5) + 8 * 2 * 3  # 1x3; 5x1, 1x5; 3x1
    decoder = 2 * 2 * 25 + 2 * (dilated + plain + 4 * 2)
    assert macs_of(DcrNetEncoder(16), DcrNetDecoder(16), 16) == 1024 * (encoder + decoder) + 2 * 2048 * 16


def test_the_shapes_are_a_codeword_and_the_two_planes() -> None:
    z = DcrNetEncoder(16).eval()(torch.randn(3, 2, 32, 32))
    assert z.shape == (3, 16)
    assert DcrNetDecoder(16).eval()(z).shape == (3, 2, 32, 32)


@pytest.mark.parametrize("block", [EncoderBlock(), DecoderBlock(1)], ids=["encoder", "decoder"])
def test_a_block_sees_six_angles_and_six_taps_to_each_side(block: nn.Module) -> None:
    x = torch.randn(1, 2, 32, 32, requires_grad=True)  # the dilated branch: 1 + 2 + 3; 2 + 3 + 1
    block.eval()(x)[0, :, 16, 16].sum().backward()
    assert x.grad is not None
    angles, taps = torch.nonzero(x.grad[0].abs().sum(dim=0), as_tuple=True)
    assert [int(i) for i in (angles.min(), angles.max(), taps.min(), taps.max())] == [10, 22, 10, 22]


def test_a_shuffle_brings_channels_of_two_pairs_together() -> None:
    shuffle = DecoderBlock(1).path1.get_submodule("shuffle1")
    shuffled = shuffle(torch.arange(8.0).view(1, 8, 1, 1))
    assert shuffled.flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


def test_the_weights_are_named_as_in_the_authors_code() -> None:
    block = "decoder_feature.DCRDecoderBlock2"
    names = {name for name in DcrNetDecoder(4).state_dict() if name.startswith(block) and name.endswith(".weight")}
    norms = {name for name in names if ".bn." in name}
    assert {name.replace(".bn.", ".conv.") for name in norms} == {
        f"{block}.{layer}.conv.weight"
        for layer in (
            *("path1.conv_3x3", "path1.conv_1x5", "path1.conv_5x1", "path1.conv_1x1"),
            *("path2.0", "path2.2", "path2.5", "path2.8", "conv1x1"),
        )
    }
    assert {name for name in names - norms if ".conv." not in name} == {
        f"{block}.{slope}.weight"
        for slope in (
            "path1.prelu1",
            "path1.prelu2",
            "path1.prelu4",
            "path2.1",
            "path2.4",
            "path2.7",
            "prelu",
            "prelu2",
        )
    }
    encoder = DcrNetEncoder(4).state_dict()
    assert {"encoder_fc.bias", "encoder_feature.DCREncoderBlock1.conv1.10.bn.running_var"} <= set(encoder)
