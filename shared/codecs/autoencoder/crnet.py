r"""CRNet's network: convolutions of several sizes side by side, at the UE and in the base station's two CRBlocks.

    x [2, 32, 32] -+-> conv 3x3 -> 1x9 -> 9x1 -+-> conv 1x1 (4 -> 2) -> dense (M)  ~ z ~
                   +-> conv 3x3 ---------------+
    z -> dense (2048) -> conv 5x5 -> CRBlock -> CRBlock

    CRBlock: x + conv 1x1 (14 -> 2) of [conv 3x3 -> 1x9 -> 9x1 (7), conv 1x5 -> 5x1 (7)]

Batch norm after each convolution, which has no bias; LeakyReLU 0.3. The names of the weights are those of the authors'
files, so that a published file loads as it is. The sigmoid that follows belongs to the scaling
(`shared.codecs.autoencoder.scaling`).

Source: Z. Lu, J. Wang, J. Song, "Multi-resolution CSI feedback with deep learning in massive MIMO system", ICC 2020,
Figs. 1 and 2.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from shared.codecs.autoencoder.csinet import NUM_REALS, SIDE, SLOPE

WIDTH = 7  # channels inside a CRBlock


class ConvNorm(nn.Sequential):
    """A convolution without bias that keeps the size, and its batch norm."""

    def __init__(
        self, num_in: int, num_out: int, height: int, width: int, *, dilation: int = 1, groups: int = 1
    ) -> None:
        size, padding = (height, width), (dilation * (height // 2), dilation * (width // 2))
        conv = nn.Conv2d(num_in, num_out, size, padding=padding, dilation=dilation, groups=groups, bias=False)
        super().__init__(OrderedDict([("conv", conv), ("bn", nn.BatchNorm2d(num_out))]))


def _chain(**layers: ConvNorm) -> nn.Sequential:
    """Put LeakyReLUs between the layers, none after the last."""
    chain: OrderedDict[str, nn.Module] = OrderedDict()
    for name, layer in layers.items():
        if chain:
            chain[f"relu{len(chain) // 2 + 1}"] = nn.LeakyReLU(SLOPE)
        chain[name] = layer
    return nn.Sequential(chain)


class CRBlock(nn.Module):
    """Two receptive fields beside the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.path1 = _chain(
            conv3x3=ConvNorm(2, WIDTH, 3, 3), conv1x9=ConvNorm(WIDTH, WIDTH, 1, 9), conv9x1=ConvNorm(WIDTH, WIDTH, 9, 1)
        )
        self.path2 = _chain(conv1x5=ConvNorm(2, WIDTH, 1, 5), conv5x1=ConvNorm(WIDTH, WIDTH, 5, 1))
        self.conv1x1 = ConvNorm(2 * WIDTH, 2, 1, 1)
        self.relu = nn.LeakyReLU(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``x: [batch, 2, 32, 32] float32``."""
        y: Tensor = self.relu(x + self.conv1x1(self.relu(torch.cat([self.path1(x), self.path2(x)], dim=1))))
        return y


class CrNetEncoder(nn.Module):
    """``[batch, 2, 32, 32] -> [batch, codeword_size]`` float32."""

    def __init__(self, codeword_size: int) -> None:
        super().__init__()
        self.encoder1 = _chain(
            conv3x3_bn=ConvNorm(2, 2, 3, 3), conv1x9_bn=ConvNorm(2, 2, 1, 9), conv9x1_bn=ConvNorm(2, 2, 9, 1)
        )
        self.encoder2 = ConvNorm(2, 2, 3, 3)
        self.relu = nn.LeakyReLU(SLOPE)
        self.encoder_conv = _chain(conv1x1_bn=ConvNorm(4, 2, 1, 1))
        self.encoder_fc = nn.Linear(NUM_REALS, codeword_size)

    def forward(self, x: Tensor) -> Tensor:
        """Encode."""
        features = self.relu(torch.cat([self.encoder1(x), self.encoder2(x)], dim=1))
        z: Tensor = self.encoder_fc(self.relu(self.encoder_conv(features)).flatten(1))
        return z


class CrNetDecoder(nn.Module):
    """``[batch, codeword_size] -> [batch, 2, 32, 32]`` float32, before the output activation."""

    def __init__(self, codeword_size: int) -> None:
        super().__init__()
        self.decoder_fc = nn.Linear(codeword_size, NUM_REALS)
        self.decoder_feature = nn.Sequential(
            OrderedDict[str, nn.Module](
                conv5x5_bn=ConvNorm(2, 2, 5, 5), relu=nn.LeakyReLU(SLOPE), CRBlock1=CRBlock(), CRBlock2=CRBlock()
            )
        )

    def scale_output(self, gain: float) -> None:
        """Multiply the initial output by ``gain``, about."""
        feature = self.decoder_feature
        with torch.no_grad():
            for name in ("conv5x5_bn", "CRBlock1.conv1x1", "CRBlock2.conv1x1"):
                feature.get_parameter(f"{name}.bn.weight").mul_(gain)

    def forward(self, z: Tensor) -> Tensor:
        """Decode."""
        x: Tensor = self.decoder_feature(self.decoder_fc(z).view(-1, 2, SIDE, SIDE))
        return x
