r"""DCRNet's network: dilated convolutions, which see far with few weights, at the UE and in the base station's blocks.

    x [2, 32, 32] -> conv 5x5 -> encoder block -> dense (M)  ~ z ~
    z -> dense (2048) -> conv 5x5 -> decoder block -> decoder block

    encoder block: x + conv 1x1 (4 -> 2) of [conv 3x1 -> 1x3 -> 3x1 :2 -> 1x3 :2 -> 3x1 :3 -> 1x3 :3, conv 3x3]
    decoder block: x + conv 1x1 (4 -> 2) of [conv 3x3 :2 (8 rho) -> 3x1 :3 -> 1x3 :3 -> 3x3,
                                             conv 1x3 (8 rho) -> 5x1 -> 1x5 -> 3x1]

":2" is a dilation. The second and the third convolution of a decoder block's branch see the channels in pairs, which
are shuffled behind. Batch norm after each convolution, which has no bias; PReLU from 0.3, a slope for each channel. The
codec has the expansion rho = 1, the code's default; the paper also has rho = 10. Initial weights are torch's (ours).

Layers and names of weights are those of the authors' code (github.com/recusant7/DCRNet), the paper's text not being in
our copy. The sigmoid that follows belongs to the scaling (`shared.codecs.autoencoder.scaling`).

Source: S. Tang, J. Xia, L. Fan, X. Lei, W. Xu, A. Nallanathan, "Dilated convolution based CSI feedback compression for
massive MIMO systems", IEEE Trans. Veh. Technol. 71(10), 2022.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from shared.codecs.autoencoder.crnet import ConvNorm
from shared.codecs.autoencoder.csinet import NUM_REALS, SIDE, SLOPE

WIDTH, GROUPS = 8, 4  # channels inside a decoder block, and their pairs, at rho = 1


def _prelu(num_channels: int) -> nn.PReLU:
    return nn.PReLU(num_channels, init=SLOPE)


class EncoderBlock(nn.Module):
    """Growing dilations beside a plain convolution, both beside the identity."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for dilation in (1, 2, 3):
            layers += [ConvNorm(2, 2, 3, 1, dilation=dilation), _prelu(2)]
            layers += [ConvNorm(2, 2, 1, 3, dilation=dilation), _prelu(2)]
        self.conv1 = nn.Sequential(*layers[:-1])  # no PReLU after the last: `prelu1` follows
        self.conv2 = nn.Sequential(ConvNorm(2, 2, 3, 3))
        self.prelu1 = _prelu(4)
        self.conv1x1 = ConvNorm(4, 2, 1, 1)
        self.prelu2 = _prelu(2)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``x: [batch, 2, 32, 32] float32``."""
        branches = self.prelu1(torch.cat([self.conv1(x), self.conv2(x)], dim=1))
        y: Tensor = self.prelu2(x + self.conv1x1(branches))
        return y


class DecoderBlock(nn.Module):
    """A wide dilated branch and a plain one beside the identity.

    Args:
        expansion: rho, by which both are wider than `WIDTH`.
    """

    def __init__(self, expansion: int) -> None:
        super().__init__()
        width, groups = WIDTH * expansion, GROUPS * expansion
        self.path1 = nn.Sequential(
            OrderedDict[str, nn.Module](  # names of the authors' file, not sizes
                conv_3x3=ConvNorm(2, width, 3, 3, dilation=2),
                prelu1=_prelu(width),
                conv_1x5=ConvNorm(width, width, 3, 1, dilation=3, groups=groups),
                shuffle1=nn.ChannelShuffle(groups),
                prelu2=_prelu(width),
                conv_5x1=ConvNorm(width, width, 1, 3, dilation=3, groups=groups),
                # No shuffle: the authors' second one has the name of the first, so that it never runs. Before a
                # convolution of all channels it would only permute weights.
                prelu4=_prelu(width),
                conv_1x1=ConvNorm(width, 2, 3, 3),
            )
        )
        self.path2 = nn.Sequential(
            ConvNorm(2, width, 1, 3),
            _prelu(width),
            ConvNorm(width, width, 5, 1, groups=groups),
            nn.ChannelShuffle(groups),
            _prelu(width),
            ConvNorm(width, width, 1, 5, groups=groups),
            nn.ChannelShuffle(groups),
            _prelu(width),
            ConvNorm(width, 2, 3, 1),
        )
        self.prelu = _prelu(4)
        self.conv1x1 = ConvNorm(4, 2, 1, 1)
        self.prelu2 = _prelu(2)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``x: [batch, 2, 32, 32] float32``."""
        branches = self.prelu(torch.cat([self.path1(x), self.path2(x)], dim=1))
        y: Tensor = self.prelu2(x + self.conv1x1(branches))
        return y


class DcrNetEncoder(nn.Module):
    """``[batch, 2, 32, 32] -> [batch, codeword_size]`` float32."""

    def __init__(self, codeword_size: int) -> None:
        super().__init__()
        self.encoder_feature = nn.Sequential(
            OrderedDict[str, nn.Module](
                conv5x5_bn=ConvNorm(2, 2, 5, 5), prelu=_prelu(2), DCREncoderBlock1=EncoderBlock()
            )
        )
        self.encoder_fc = nn.Linear(NUM_REALS, codeword_size)

    def forward(self, x: Tensor) -> Tensor:
        """Encode."""
        z: Tensor = self.encoder_fc(self.encoder_feature(x).flatten(1))
        return z


class DcrNetDecoder(nn.Module):
    """``[batch, codeword_size] -> [batch, 2, 32, 32]`` float32, before the output activation."""

    def __init__(self, codeword_size: int, expansion: int = 1) -> None:
        super().__init__()
        self.decoder_fc = nn.Linear(codeword_size, NUM_REALS)
        self.decoder_feature = nn.Sequential(
            OrderedDict[str, nn.Module](
                conv5x5_bn=ConvNorm(2, 2, 5, 5),
                prelu=_prelu(2),
                DCRDecoderBlock1=DecoderBlock(expansion),
                DCRDecoderBlock2=DecoderBlock(expansion),
            )
        )

    def scale_output(self, gain: float) -> None:
        """Multiply the initial output by ``gain``, about."""
        feature = self.decoder_feature
        with torch.no_grad():
            for name in ("conv5x5_bn", "DCRDecoderBlock1.conv1x1", "DCRDecoderBlock2.conv1x1"):
                feature.get_parameter(f"{name}.bn.weight").mul_(gain)

    def forward(self, z: Tensor) -> Tensor:
        """Decode."""
        x: Tensor = self.decoder_feature(self.decoder_fc(z).view(-1, 2, SIDE, SIDE))
        return x
