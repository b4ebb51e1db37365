r"""CsiNet+'s network: CsiNet with larger kernels, and a dequantiser that undoes what mu-law quantising did.

    x [2, 32, 32] -> conv 7x7 (2) -> conv 7x7 (2) -> dense (M)  ~ z ~  z + offset(z)
      -> dense (2048) -> conv 7x7 (2) -> RefineNet+ -> RefineNet+ -> conv 7x7 (2) -> conv 3x3 (2)

    RefineNet+: x + conv 7x7 -> 5x5 -> 3x3 (8 -> 16 -> 2)        offset: three dense layers M x M

Batch norm after each convolution, LeakyReLU 0.3. Two RefineNet+ and these five convolutions have the 9,550 parameters
that InvCSINet's Table II leaves for them, 3 M^2 + 4,100 M + 11,598 in all (where the five stand is ours); the first
publication has five RefineNet+.

Source: J. Guo et al., "Convolutional neural network-based multiple-rate compressive sensing for massive MIMO CSI
feedback", IEEE Trans. Wireless Commun. 19(4), 2020; T. Chen et al., "A novel quantization method for deep
learning-based massive MIMO CSI feedback", GlobalSIP 2019 (the dequantiser).
"""

import torch
from torch import nn

from shared.codecs.autoencoder.csinet import EPS, NUM_REALS, SIDE, SLOPE, RefineNet, conv

KERNELS = 7, 5, 3


def _layer(kernel: int) -> tuple[nn.Module, ...]:
    return conv(2, 2, kernel), nn.BatchNorm2d(2, eps=EPS), nn.LeakyReLU(SLOPE)


class CsiNetPlusEncoder(nn.Sequential):
    """``[batch, 2, 32, 32] -> [batch, codeword_size]`` float32."""

    def __init__(self, codeword_size: int) -> None:
        super().__init__(*_layer(7), *_layer(7), nn.Flatten(), nn.Linear(NUM_REALS, codeword_size))


class CsiNetPlusDecoder(nn.Sequential):
    """``[batch, codeword_size] -> [batch, 2, 32, 32]`` float32, before the output activation."""

    def __init__(self, codeword_size: int) -> None:
        super().__init__(
            *(nn.Linear(codeword_size, NUM_REALS), nn.Unflatten(1, (2, SIDE, SIDE)), *_layer(7)),
            *(RefineNet("channel", KERNELS), RefineNet("channel", KERNELS)),
            *(*_layer(7), conv(2, 2), nn.BatchNorm2d(2, eps=EPS)),
        )

    def scale_output(self, gain: float) -> None:
        """Multiply the initial output by ``gain``."""
        with torch.no_grad():
            self[-1].get_parameter("weight").mul_(gain)
