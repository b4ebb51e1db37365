r"""Quantise a latent vector entry by entry: uniform steps, or uniform steps behind mu-law companding.

    z -> (z - centre) / (scale clip[b]) -> compress -> index of 2^b equal steps over [-1, 1]
    z_hat <- * (scale clip[b]) + centre <- expand <- middle of the step

    mu-law:  compress(u) = sign(u) ln(1 + mu |u|) / ln(1 + mu)

Values beyond the clip take the outermost step. A rate of ``r`` bits gives each of M entries ``r // M`` bits, and the
first ``r % M`` one bit more.

Source: ITU-T G.711 (mu-law); J. Guo et al., "Convolutional neural network-based multiple-rate compressive sensing for
massive MIMO CSI feedback", IEEE Trans. Wireless Commun. 19(4), 2020 (mu-law behind a CSI network).
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import DataFileError

Companding = Literal["uniform", "mu-law"]
COMPANDINGS: tuple[Companding, ...] = get_args(Companding)

MU = 50.0
MAX_WIDTH = 8


@dataclass(frozen=True, slots=True)
class LatentQuantizer:
    """The quantiser of one model.

    Attributes:
        companding: ``uniform`` or ``mu-law``.
        centre: [num_latents] float32, mean of each entry over the training split.
        scale: [num_latents] float32, standard deviation of each entry.
        clip: [max_width] float32, largest magnitude that ``b`` bits represent, in standard deviations, at ``b - 1``.

    Example:
        >>> quantizer = LatentQuantizer("uniform", torch.zeros(2), torch.ones(2), torch.ones(8))
        >>> index = quantizer.index(torch.tensor([[-0.9, 0.3]]), latent_widths(4, 2))
        >>> index.tolist(), quantizer.value(index, latent_widths(4, 2)).tolist()
        ([[0, 2]], [[-0.75, 0.25]])
    """

    companding: Companding
    centre: Tensor
    scale: Tensor
    clip: Tensor

    @classmethod
    def load(
        cls,
        companding: Companding,
        num_latents: int,
        tensors: dict[str, Tensor],
        device: torch.device,
        max_width: int = MAX_WIDTH,
    ) -> "LatentQuantizer":
        """Make the quantiser of a model file, from its tensors `quantizer.centre`, `.scale` and `.clip`.

        Raises:
            DataFileError: If a tensor is not what the class wants.
            KeyError: If a tensor is missing.
        """
        loaded = []
        for name, size in (("centre", num_latents), ("scale", num_latents), ("clip", max_width)):
            tensor = tensors[f"quantizer.{name}"]
            if tuple(tensor.shape) != (size,) or tensor.dtype != torch.float32:
                found = f"{list(tensor.shape)} {tensor.dtype}"
                raise DataFileError(f"`quantizer.{name}` must be [{size}] float32; got {found}.")
            if name != "centre" and not (tensor > 0).all():
                raise DataFileError(f"`quantizer.{name}` must be positive; its least entry is {float(tensor.min())}.")
            loaded.append(tensor.to(device))
        return cls(companding, *loaded)

    def to(self, device: torch.device) -> "LatentQuantizer":
        """Return the same quantiser on ``device``."""
        return replace(self, centre=self.centre.to(device), scale=self.scale.to(device), clip=self.clip.to(device))

    def index(self, z: Tensor, widths: NDArray[np.int64]) -> Tensor:
        """Quantise.

        Args:
            z: [batch, num_latents] float32.
            widths: [num_latents], 1 ... max_width bits of each entry.

        Returns:
            [batch, num_latents] int64, below ``2 ** widths``.
        """
        u = ((z - self.centre) / self._reach(widths)).clamp(-1, 1)
        if self.companding == "mu-law":
            u = u.sign() * torch.log1p(MU * u.abs()) / math.log1p(MU)
        levels = torch.from_numpy(2**widths).to(z.device)
        return torch.minimum((levels * (u + 1) / 2).long(), levels - 1)

    def value(self, index: Tensor, widths: NDArray[np.int64]) -> Tensor:
        """Invert `index` to the middle of each step: [batch, num_latents] float32."""
        levels = torch.from_numpy(2**widths).to(index.device)
        u = ((2 * index + 1).float() / levels) - 1
        if self.companding == "mu-law":
            u = u.sign() * torch.expm1(u.abs() * math.log1p(MU)) / MU
        return u * self._reach(widths) + self.centre

    def points(self, widths: NDArray[np.int64]) -> Tensor:
        """Return [num_latents, 2^b], increasing, the values that each entry may take; all have as many bits, b."""
        index = torch.arange(2 ** int(widths[0]), device=self.centre.device)[:, None].expand(-1, len(widths))
        return self.value(index, widths).T

    def _reach(self, widths: NDArray[np.int64]) -> Tensor:
        return self.scale * self.clip[torch.from_numpy(widths - 1).to(self.clip.device)]


def latent_widths(num_bits: int, num_latents: int) -> NDArray[np.int64]:
    """Spread ``num_bits`` evenly over ``num_latents`` entries, the first ones taking what is left over."""
    return np.full(num_latents, num_bits // num_latents) + (np.arange(num_latents) < num_bits % num_latents)
