r"""CsiNet's network: one convolution and a dense layer at the UE, a dense layer and two RefineNets at the base station.

    x [2, 32, 32] -> conv 3x3 (2) -> dense (M)  ~ z ~  dense (2048) -> RefineNet -> RefineNet -> conv 3x3 (2)

    RefineNet: x + conv 3x3 (8 -> 16 -> 2), batch norm after each convolution, LeakyReLU 0.3

The sigmoid that follows belongs to the scaling (`shared.codecs.autoencoder.scaling`).

With the default norms it has 4,097 M + 5,456 parameters: InvCSINet, Table II, to the unit. The weights that CsiNet's
authors published have no norm after the last convolution, and the original ones normalise over the delay axis instead
of the channels (a Keras default meant for channels-last data).

Source: C.-K. Wen, W.-T. Shih, S. Jin, "Deep learning for massive MIMO CSI feedback", IEEE Wireless Commun. Lett. 7(5),
2018, Fig. 2.
"""

from typing import Literal

import torch
from torch import Tensor, nn

SIDE = 32  # angles, delay taps
NUM_REALS = 2 * SIDE * SIDE
SLOPE = 0.3
EPS = 1e-3  # Keras' default, with which the published weights were trained

NormAxis = Literal["channel", "delay"]


class DelayNorm(nn.Module):
    """Batch norm over the delay axis: one mean, deviation, scale and shift for each of the 32 delay taps."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(SIDE, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x: [batch, channel, angle, delay] float32``."""
        y: Tensor = self.norm(x.transpose(1, 3)).transpose(1, 3)
        return y


def _norm(num_channels: int, axis: NormAxis) -> nn.Module:
    return nn.BatchNorm2d(num_channels, eps=EPS) if axis == "channel" else DelayNorm()


def conv(num_in: int, num_out: int, kernel: int = 3) -> nn.Conv2d:
    """Return a convolution that keeps the size."""
    return nn.Conv2d(num_in, num_out, kernel, padding=kernel // 2)


class RefineNet(nn.Module):
    """Three convolutions beside the identity."""

    def __init__(self, axis: NormAxis, kernels: tuple[int, int, int] = (3, 3, 3)) -> None:
        super().__init__()
        first, second, third = kernels
        self.body = nn.Sequential(
            *(conv(2, 8, first), _norm(8, axis), nn.LeakyReLU(SLOPE)),
            *(conv(8, 16, second), _norm(16, axis), nn.LeakyReLU(SLOPE)),
            *(conv(16, 2, third), _norm(2, axis)),
        )
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """Refine ``x: [batch, 2, 32, 32] float32``."""
        y: Tensor = self.activation(x + self.body(x))
        return y


class CsiNetEncoder(nn.Sequential):
    """``[batch, 2, 32, 32] -> [batch, codeword_size]`` float32."""

    def __init__(self, codeword_size: int, axis: NormAxis = "channel") -> None:
        super().__init__(
            *(conv(2, 2), _norm(2, axis), nn.LeakyReLU(SLOPE)), nn.Flatten(), nn.Linear(NUM_REALS, codeword_size)
        )


class CsiNetDecoder(nn.Sequential):
    """``[batch, codeword_size] -> [batch, 2, 32, 32]`` float32, before the output activation."""

    def __init__(self, codeword_size: int, axis: NormAxis = "channel", final_norm: bool = True) -> None:
        super().__init__(
            *(nn.Linear(codeword_size, NUM_REALS), nn.Unflatten(1, (2, SIDE, SIDE))),
            *(RefineNet(axis), RefineNet(axis), conv(2, 2)),
            *([_norm(2, axis)] if final_norm else []),
        )

    def scale_output(self, gain: float) -> None:
        """Multiply the initial output by ``gain``, with a final norm over channels."""
        with torch.no_grad():
            self[-1].get_parameter("weight").mul_(gain)
