r"""InvCSINet as a codec: the forward pass at the UE, the inverse at the base station, the same weights in one file.

    h_est -> invertible network -> y [M] (z is not sent) -> u -> learned points -> index of each entry -> labels -> bits
    h_hat <- inverse of it <- y <- u + alignment(u), z = its learned mean <- points <- index <- labels <- bits

u is y without the mean and the deviation that each entry had in training (ours): y grows several times over while the
network gathers the channel's energy in it, and a quantiser that is learned in steps cannot follow.

A model has one set of points for each number of bits an entry that it was trained for, B_low to B_high, and takes every
rate from B_low M to B_high M bits: of the bits that B M leaves over each of the first entries gets one. A card may say
that z is a sample in place of its mean: one that the report's bits alone decide.

Source: InvCSINet, *Information-Preserving CSI Feedback*, sections III and IV.
"""

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.codecs.base import DecodeContext, EncodeContext, require_length
from shared.codecs.invcsinet.network import NUM_REALS, AlignmentNetwork, InvertibleNetwork
from shared.codecs.network_files import mean_csi, reconstruction, require_settings
from shared.coding.bits import bits_to_fields, fields_to_bits
from shared.coding.latents import latent_widths
from shared.errors import DataFileError
from shared.model_files import ModelFile
from shared.network_settings import InvertibleSettings
from shared.networks.adaptive_quantizer import AdaptiveQuantizer
from shared.networks.loading import load_network
from shared.transforms import to_planes
from shared.types import Payload, Reconstruction

MOMENTUM = 0.05  # of the running statistics of y


class InvCsiNet(nn.Module):
    """Everything that is learned.

    Attributes:
        invertible: The network.
        quantizers: One for each number of bits, under its name.
        alignment: Of the detected codeword u.
        aux_mean: [2048 - M] float32, mean of z.
        aux_deviation: [2048 - M] float32, its deviation; z starts as N(0, 1).
        centre: [M] float32, running mean of y in training; not learned.
        scale: [M] float32, running deviation of y in training; not learned.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, settings: InvertibleSettings) -> None:
        super().__init__()
        m = settings.num_latents
        self.invertible = InvertibleNetwork(m, settings.num_blocks)
        self.quantizers = nn.ModuleDict({str(bits): AdaptiveQuantizer(m, bits) for bits in widths_of(settings)})
        self.alignment = AlignmentNetwork(m)
        self.aux_mean = nn.Parameter(torch.zeros(NUM_REALS - m))
        self.aux_deviation = nn.Parameter(torch.ones(NUM_REALS - m))
        self.register_buffer("centre", torch.zeros(m))
        self.register_buffer("scale", torch.ones(m))

    def standardize(self, y: Tensor) -> Tensor:
        """Return u, [batch, M] float32, of ``y``; in training mode follow its statistics first."""
        if self.training:
            with torch.no_grad():
                self.centre.lerp_(y.mean(dim=0), MOMENTUM)
                self.scale.lerp_(y.std(dim=0), MOMENTUM)
        return (y - self.centre) / self.scale

    def restore(self, u: Tensor) -> Tensor:
        """Return y of the detected ``u: [batch, M]``, aligned."""
        y: Tensor = self.alignment(u) * self.scale + self.centre
        return y

    def quantizer(self, bits: int) -> AdaptiveQuantizer:
        """Return the quantiser of ``bits`` an entry."""
        quantizer = self.quantizers[str(bits)]
        if not isinstance(quantizer, AdaptiveQuantizer):
            raise TypeError(f"quantizers must be AdaptiveQuantizer; got {type(quantizer).__name__}.")
        return quantizer

    def index(self, u: Tensor, widths: NDArray[np.int64]) -> Tensor:
        """Return [batch, M] int64, the point of each entry of ``u`` among those of its width, [M] int64."""
        index = torch.zeros(u.shape, dtype=torch.int64, device=u.device)
        for bits in np.unique(widths):
            entries = torch.from_numpy(np.flatnonzero(widths == bits))
            index[:, entries] = self.quantizer(bits).index(u)[:, entries]
        return index

    def value(self, index: Tensor, widths: NDArray[np.int64]) -> Tensor:
        """Return [batch, M] float32, the points of ``index``."""
        value = torch.zeros(index.shape, device=index.device)
        for bits in np.unique(widths):
            entries = torch.from_numpy(np.flatnonzero(widths == bits))
            value[:, entries] = self.quantizer(bits).value(index[:, entries], entries)
        return value

    def auxiliary(self, count: int, eps: Tensor | float = 0.0) -> Tensor:
        """Return z, [count, 2048 - M] float32, ``eps`` deviations off its mean."""
        return (self.aux_mean + self.aux_deviation * eps).expand(count, -1)

    def forward(self, u_hat: Tensor, eps: Tensor | float = 0.0) -> Tensor:
        """Return [batch, 2, 32, 32] of the detected ``u_hat: [batch, M]``, z ``eps`` deviations off its mean."""
        x: Tensor = self.invertible.inverse(self.restore(u_hat), self.auxiliary(len(u_hat), eps))
        return x


class _Side:
    """What both sides have: card, settings and the whole network, which is one for encoder and decoder."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card, self.device = model.card, device
        self.settings = require_settings(model, model.card.invertible, rate_range, "an invertible network")
        self.network = load_invertible(model).to(device)

    def widths(self, rate: int) -> NDArray[np.int64]:
        """Return the bits of each entry, [M] int64."""
        self.card.require_rate(rate)
        return latent_widths(rate, self.settings.num_latents)


class InvCsiNetEncoder(_Side):
    """The UE side."""

    @torch.no_grad()
    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """See `shared.codecs.base.Encoder.encode`."""
        self.card.shape.require(h_est, "h_est")
        widths = self.widths(context.rate)
        y, _ = self.network.invertible(to_planes(h_est.to(self.device)))
        fields = self.network.index(self.network.standardize(y), widths).cpu().numpy()
        return Payload.of_equal_length(fields_to_bits(to_labels(fields, self.settings), widths))


class InvCsiNetDecoder(_Side):
    """The base-station side."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device)
        self.mean_csi = mean_csi(model, device)

    @torch.no_grad()
    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.Decoder.decode`."""
        widths = self.widths(context.rate)
        require_length(payload, context.rate)
        index = torch.from_numpy(from_labels(bits_to_fields(payload.bits, widths), self.settings)).to(self.device)
        eps = (
            sample_of(payload.bits, len(self.network.aux_mean)).to(self.device)
            if self.settings.auxiliary == "sample"
            else 0.0
        )
        return reconstruction(self.network(self.network.value(index, widths), eps))


def sample_of(bits: NDArray[np.uint8], size: int) -> Tensor:
    """Return [batch, size] float32, standard normal, of each report's bits ``[batch, rate]`` alone: it repeats."""
    keys = [int.from_bytes(hashlib.blake2b(row.tobytes(), digest_size=16).digest(), "little") for row in bits]
    return torch.from_numpy(
        np.stack([np.random.Generator(np.random.Philox(key=key)).standard_normal(size, np.float32) for key in keys])
    )


def load_invertible(model: ModelFile) -> InvCsiNet:
    """Make the network of a model file, in evaluation mode on the host.

    Raises:
        DataFileError: If its tensors are not exactly the network's.
    """
    settings = model.card.invertible
    if settings is None:
        raise DataFileError(f"model {model.card.name} must be an invertible network; its card says not.")
    what = f"model {model.card.name} is no invertible network of its card's settings"
    network = load_network(lambda: InvCsiNet(settings), model.tensors, "network.", what)
    if not (network.scale > 0).all():
        raise DataFileError(f"`network.scale` must be positive; its least entry is {float(network.scale.min())}.")
    return network


def widths_of(settings: InvertibleSettings) -> range:
    """Return the bits of an entry that the model has points for."""
    return range(settings.bits[0], settings.bits[1] + 1)


def rate_range(settings: InvertibleSettings) -> tuple[int, int]:
    """Return the least and the most information bits of a report."""
    return settings.bits[0] * settings.num_latents, settings.bits[1] * settings.num_latents


def to_labels(index: NDArray[np.int64], settings: InvertibleSettings) -> NDArray[np.int64]:
    """Return what is sent of each index: itself, or its Gray label, whose neighbours differ in one bit."""
    return index ^ (index >> 1) if settings.labels == "gray" else index


def from_labels(labels: NDArray[np.int64], settings: InvertibleSettings) -> NDArray[np.int64]:
    """Invert `to_labels`."""
    if settings.labels != "gray":
        return labels
    index = labels.copy()
    for shift in (1, 2, 4):  # of 8 bits at most
        index ^= index >> shift
    return index
