r"""Refinement by diffusion: noise is added to the coarse channel, and a U-Net takes it away again in a few steps.

    x_N = sqrt(abar_N) h_coarse + sqrt(1 - abar_N) eps                                            (residual: eq. 5)
    x_N = eps                                                                                  (generative)
    D = U-Net(x_n, h_coarse, 1 - abar_n, snr)
    x_m = sqrt(abar_m) D + sqrt((1 - abar_m) / (1 - abar_n)) (x_n - sqrt(abar_n) D),  n > m, ..., x_0 = h_hat

In training (`shared.training.refiner`), with r = h_coarse - h, lambda = sqrt(abar_N / (1 - abar_N)), or 0 generative:

    x_n = sqrt(abar_n) h + sqrt(1 - abar_n) (lambda r + eps),   loss |h - D|^2                    (eqs. 10, 11)

eps is standard normal in the real and in the imaginary part of a channel at unit mean power (its scale against that of
h is ours: the text gives none). It is the report's own (run, ue, sequence): a result never depends on batch companions.
The network predicts the channel itself ("x-prediction"), so that one step will do.

One step gives the mean of h given h_coarse, the estimate of least error. More steps draw from its distribution: the
error of a draw is up to twice the least one. A number of steps is therefore a choice, and the card has the figures.

Source: Ankireddy et al., RD-JSCC, section IV; the generative one: section VIII-A, after H. Kim et al., "Generative
diffusion model-based compression of MIMO CSI", 2025.
"""

import math
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.errors import DataFileError, InvalidArgumentError
from shared.networks.inference import for_inference
from shared.networks.loading import load_network
from shared.networks.unet import UNet
from shared.refinement.card import RefinerCard, RefinerFile, RefinerKind
from shared.refinement.schedule import abar_of, steps_of
from shared.rng import Randomness, Stage
from shared.transforms import from_planes, to_planes
from shared.types import CsiShape

SHAPE = CsiShape("angular-delay", 1, 32, 32)  # what the U-Net takes


class Diffusion:
    """The process of one schedule, of real planes.

    Attributes:
        abar: [N + 1] float64.
        residual_gain: lambda; 0 where the process starts from noise alone.
    """

    def __init__(self, kind: RefinerKind, abar: Tensor) -> None:
        self.abar = abar
        final = float(abar[-1])
        self.residual_gain = math.sqrt(final / (1 - final)) if kind == "residual" else 0.0

    def noised(self, h: Tensor, h_coarse: Tensor, n: Tensor, eps: Tensor) -> Tensor:
        """Return x_n of the training.

        Args:
            h: [batch, 2, 32, 32] float32, the channel.
            h_coarse: Likewise, the decoder's.
            n: [batch] int64, 1 to N, on the host.
            eps: Likewise, standard normal.
        """
        abar = self.abar[n].float().to(h.device)[:, None, None, None]
        return abar.sqrt() * h + (1 - abar).sqrt() * (self.residual_gain * (h_coarse - h) + eps)

    def noise_level(self, n: Tensor) -> Tensor:
        """Return what the U-Net is told of step ``n: [batch] int64``: [batch] float32."""
        return (1 - self.abar[n]).float()

    def sample(self, unet: nn.Module, h_coarse: Tensor, snr_db: Tensor, eps: Tensor, num_steps: int) -> Tensor:
        """Return h_hat: [batch, 2, 32, 32] float32.

        Args:
            unet: The network, a `shared.networks.unet.UNet`.
            h_coarse: [batch, 2, 32, 32] float32.
            snr_db: [batch] float32.
            eps: [batch, 2, 32, 32] float32, standard normal.
            num_steps: Steps of the sampler.
        """
        stations = steps_of(len(self.abar) - 1, num_steps)
        abar = self.abar.tolist()
        start = abar[-1] if self.residual_gain else 0.0
        x = math.sqrt(start) * h_coarse + math.sqrt(1 - start) * eps
        for n, m in pairwise(stations):
            level = torch.full_like(snr_db, 1 - abar[n])
            predicted = unet(torch.cat([x, h_coarse], dim=1), level, snr_db)
            rest = math.sqrt((1 - abar[m]) / (1 - abar[n]))
            x = math.sqrt(abar[m]) * predicted + rest * (x - math.sqrt(abar[n]) * predicted)
        return x


class DiffusionRefiner:
    """A refiner by diffusion, residual or generative as its card says.

    Args:
        refiner: Its file.
        device: Where it runs.

    Raises:
        DataFileError: If the file is no such refiner.
    """

    def __init__(self, refiner: RefinerFile, device: torch.device) -> None:
        card = refiner.card
        if card.shape != SHAPE:
            raise DataFileError(f"`shape` of refiner {card.name} must be {SHAPE}; its card says {card.shape}.")
        self.card = card
        self._device = device
        self._diffusion = Diffusion(card.kind, abar_of(card.schedule, card.num_train_steps))
        self._unet = _load_unet(card, refiner.tensors).to(device)

    @torch.no_grad()
    def refine(self, h_coarse: Tensor, snr_db: NDArray[np.float32], num_steps: int, randomness: Randomness) -> Tensor:
        """See `shared.refinement.base.Refiner.refine`."""
        self.card.shape.require(h_coarse, "h_coarse")
        if not 1 <= num_steps <= self.card.num_train_steps:
            wanted = f"in [1, {self.card.num_train_steps}]"
            raise InvalidArgumentError(f"`num_steps` of refiner {self.card.name} must be {wanted}; got {num_steps}.")
        normal = randomness.normal(Stage.REFINEMENT, 2 * self.card.shape.num_complex)
        eps = torch.from_numpy(normal).view(-1, 2, *self.card.shape.dims[1:]).to(self._device)
        snr = torch.from_numpy(np.asarray(snr_db, dtype=np.float32)).clamp(*self.card.snr_db).to(self._device)
        coarse = h_coarse.to(self._device)
        return from_planes(self._diffusion.sample(self._unet, to_planes(coarse), snr, eps, num_steps))


def make_unet(card: RefinerCard) -> UNet:
    """Return the U-Net of a card: x_n's two planes beside the coarse channel's."""
    return UNet(4, card.unet.width, card.unet.multipliers, card.unet.num_blocks)


def _load_unet(card: RefinerCard, tensors: dict[str, Tensor]) -> UNet:
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise DataFileError(f"weights of refiner {card.name} must be finite; they are not.")
    what = f"refiner {card.name} is no U-Net of its card's settings"
    state = {name.removeprefix("network.unet."): value for name, value in tensors.items()}  # a foreign name is refused
    unet = load_network(lambda: make_unet(card), state, "", what)
    return for_inference(unet)
