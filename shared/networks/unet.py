r"""A U-Net over angle and delay that corrects a coarse channel, with the step and the SNR as conditions.

    planes -> conv 3x3 -> [blocks, down] -> [blocks, down] -> ... -> middle -> ... -> [up, skip, blocks] -> conv 3x3 -> + h_coarse
    block: x + conv 3x3 (SiLU, norm (conv 3x3 (SiLU, norm x) + condition))

The U-Net predicts what is to be added to the coarse channel (ours), and its last convolution starts at zero: untrained,
it returns the coarse channel. The condition is a sinusoidal
embedding of the noise level and the SNR through a dense layer.

Source: O. Ronneberger et al., "U-Net", MICCAI 2015; blocks after J. Ho et al., "Denoising diffusion probabilistic
models", NeurIPS 2020, without attention. The paper (RD-JSCC, section V-C) gives width and multipliers alone.
"""  # noqa: E501  (a drawing)

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from shared.networks.snr_adaptation import SNR_UNIT_DB

NUM_FREQUENCIES = 16
GROUPS = 8  # of the group norm


class Block(nn.Module):
    """Two convolutions beside the identity, the condition added between them."""

    def __init__(self, num_in: int, num_out: int, num_condition: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, num_in), nn.GroupNorm(GROUPS, num_out)
        self.conv1 = nn.Conv2d(num_in, num_out, 3, padding=1)
        self.conv2 = nn.Conv2d(num_out, num_out, 3, padding=1)
        self.condition = nn.Linear(num_condition, num_out)
        self.skip = nn.Conv2d(num_in, num_out, 1) if num_in != num_out else nn.Identity()
        self.activation = nn.SiLU()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Refine ``x: [batch, num_in, height, width]`` under ``condition: [batch, num_condition]``."""
        y = self.conv1(self.activation(self.norm1(x))) + self.condition(condition)[:, :, None, None]
        refined: Tensor = self.skip(x) + self.conv2(self.activation(self.norm2(y)))
        return refined


class UNet(nn.Module):
    """``[batch, num_planes, 32, 32] -> [batch, 2, 32, 32]`` float32.

    Args:
        num_planes: Real planes that it sees; the coarse channel's two are the last.
        width: Channels of the first level.
        multipliers: Channels of each level, in units of ``width``; each level halves angle and delay.
        num_blocks: Blocks of a level on each way.

    Example:
        >>> unet = UNet(num_planes=4, width=8, multipliers=(1, 2))
        >>> planes = torch.randn(3, 4, 32, 32)
        >>> refined = unet(planes, torch.zeros(3), torch.zeros(3))
        >>> bool((refined == planes[:, 2:]).all())
        True
    """

    def __init__(
        self, num_planes: int, width: int = 32, multipliers: tuple[int, ...] = (1, 2, 3, 4), num_blocks: int = 1
    ) -> None:
        super().__init__()
        num_condition = 2 * width
        self.embed = nn.Sequential(nn.Linear(2 * NUM_FREQUENCIES + 1, num_condition), nn.SiLU())
        channels = [width * multiplier for multiplier in multipliers]
        self.first = nn.Conv2d(num_planes, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        num_in = width
        for num_out in channels:
            self.down.append(_level(num_in, num_out, num_condition, num_blocks))
            num_in = num_out
        self.narrow = nn.ModuleList(nn.Conv2d(c, c, 3, stride=2, padding=1) for c in channels[:-1])
        self.middle = _level(num_in, num_in, num_condition, 2)
        for num_below, num_out in pairwise([channels[-1], *reversed(channels)]):
            self.up.append(_level(num_below + num_out, num_out, num_condition, num_blocks))
        self.last = nn.Sequential(nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Conv2d(width, 2, 3, padding=1))
        nn.init.zeros_(self.last[-1].get_parameter("weight"))
        nn.init.zeros_(self.last[-1].get_parameter("bias"))

    def forward(self, planes: Tensor, noise_level: Tensor, snr_db: Tensor) -> Tensor:
        """Return the corrected channel.

        Args:
            planes: [batch, num_planes, 32, 32] float32, the last two the coarse channel.
            noise_level: [batch] float32 in [0, 1], 1 - abar_n of the diffusion step; 0 without diffusion.
            snr_db: [batch] float32, of the feedback link: per antenna in a refiner, after combining in `unet-jscc`.
        """
        condition = self.embed(_embedding(noise_level, snr_db))
        x, skips = self.first(planes), []
        for index, level in enumerate(self.down):
            x = self.narrow[index - 1](x) if index else x
            x = level(x, condition)
            skips.append(x)
        x = self.middle(x, condition)
        for level, skip in zip(self.up, reversed(skips), strict=True):
            if x.shape[-1] != skip.shape[-1]:
                x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = level(torch.cat([x, skip], dim=1), condition)
        corrected: Tensor = planes[:, -2:] + self.last(x)
        return corrected


class Level(nn.ModuleList):
    """Blocks one after the other."""

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Refine ``x`` under ``condition``."""
        for block in self:
            x = block(x, condition)
        return x


def _level(num_in: int, num_out: int, num_condition: int, num_blocks: int) -> Level:
    return Level(Block(num_in if index == 0 else num_out, num_out, num_condition) for index in range(num_blocks))


def _embedding(noise_level: Tensor, snr_db: Tensor) -> Tensor:
    """Return [batch, 2 NUM_FREQUENCIES + 1]: sines and cosines of the noise level, and the SNR."""
    frequencies = math.pi * 2.0 ** (torch.arange(NUM_FREQUENCIES, device=noise_level.device) / 2)
    angles = noise_level[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos(), snr_db[:, None] / SNR_UNIT_DB], dim=1)
