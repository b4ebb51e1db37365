r"""ATNet's network: CsiNet's encoder, three residual blocks with channel attention, an error correction block.

    x [2, 32, 32] -> conv 3x3 (2) -> dense (M)  ~ z ~  z + correction(z) -> dense (2048) -> block -> block -> block

    block: x + conv 3x3 (2 -> 24 -> 32), times attention, conv 3x3 (32 -> 2)
    attention: sigmoid(dense (32) of LeakyReLU(dense (4) of the mean of each channel))
    correction: two dense layers M x M with batch norm

Batch norm after each convolution, LeakyReLU 0.3 except after the last block. The layers of the publication are not in
the paper that we follow, which counts its parameters: 2 M^2 + 4,103 M + 27,248 (InvCSINet, Table II). These blocks are
ours and have the 25,200 that are neither the dense pair's nor the correction's.

Source: H. Chang et al., "Deep learning-based bitstream error correction for CSI feedback", IEEE Wireless Commun. Lett.
10(12), 2021; attention: J. Hu, L. Shen, G. Sun, "Squeeze-and-excitation networks", CVPR 2018.
"""

import torch
from torch import Tensor, nn

from shared.codecs.autoencoder.csinet import EPS, NUM_REALS, SIDE, SLOPE, conv

WIDTHS = 24, 32
SQUEEZED = 4  # WIDTHS[1] / 8
NUM_BLOCKS = 3


class ChannelAttention(nn.Module):
    """Each channel times a number in (0, 1) that the means of all of them decide."""

    def __init__(self, num_channels: int, squeezed: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            *(nn.Linear(num_channels, squeezed), nn.LeakyReLU(SLOPE)), nn.Linear(squeezed, num_channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weigh ``x: [batch, num_channels, height, width] float32``."""
        weights: Tensor = self.weigh(x.mean(dim=(2, 3)))
        return x * weights[:, :, None, None]


class AttentionBlock(nn.Module):
    """Three convolutions with attention, beside the identity."""

    def __init__(self) -> None:
        super().__init__()
        first, second = WIDTHS
        self.body = nn.Sequential(
            *(conv(2, first), nn.BatchNorm2d(first, eps=EPS), nn.LeakyReLU(SLOPE)),
            *(conv(first, second), nn.BatchNorm2d(second, eps=EPS), nn.LeakyReLU(SLOPE)),
            *(ChannelAttention(second, SQUEEZED), conv(second, 2), nn.BatchNorm2d(2, eps=EPS)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``x: [batch, 2, 32, 32] float32``."""
        y: Tensor = x + self.body(x)
        return y


class AtNetDecoder(nn.Sequential):
    """``[batch, codeword_size] -> [batch, 2, 32, 32]`` float32, before the output activation."""

    def __init__(self, codeword_size: int) -> None:
        blocks: list[nn.Module] = []
        for _ in range(NUM_BLOCKS):
            blocks += [AttentionBlock(), nn.LeakyReLU(SLOPE)]
        super().__init__(nn.Linear(codeword_size, NUM_REALS), nn.Unflatten(1, (2, SIDE, SIDE)), *blocks[:-1])

    def scale_output(self, gain: float) -> None:
        """Multiply the initial output by ``gain``, about."""
        dense, *rest = self.children()
        with torch.no_grad():
            for parameter in dense.parameters():
                parameter.mul_(gain)
            for block in rest:
                if isinstance(block, AttentionBlock):
                    block.body[-1].get_parameter("weight").mul_(gain)
