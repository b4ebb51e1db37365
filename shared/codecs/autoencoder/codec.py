r"""A network's latent vector as a report: `csinet` and its kin, which differ in the networks alone.

    h_est -> scaling -> network -> z -> quantiser -> [peak, 8 bits] index of each latent -> bits
    h_hat <- scaling <- network <- [corrector] <- z_hat <- [peak]         <----------------- bits

A model's rate is ``num_latents`` to ``8 num_latents`` bits, spread evenly (`shared.coding.latents`), and 8 more for the
peak where its scaling needs one. Natural binary labels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.codecs.autoencoder import scaling
from shared.codecs.autoencoder.atnet import AtNetDecoder
from shared.codecs.autoencoder.correctors import (
    Corrector,
    error_correction_block,
    noise_extraction_unit,
    offline_dequantizer,
)
from shared.codecs.autoencoder.crnet import CrNetDecoder, CrNetEncoder
from shared.codecs.autoencoder.csinet import CsiNetDecoder, CsiNetEncoder
from shared.codecs.autoencoder.csinet_plus import CsiNetPlusDecoder, CsiNetPlusEncoder
from shared.codecs.autoencoder.dcrnet import DcrNetDecoder, DcrNetEncoder
from shared.codecs.autoencoder.transnet import TransNetDecoder, TransNetEncoder
from shared.codecs.base import DecodeContext, EncodeContext, require_length
from shared.codecs.network_files import SHAPE, mean_csi, require_finite
from shared.coding.bits import bits_to_fields, fields_to_bits
from shared.coding.latents import MAX_WIDTH, LatentQuantizer, latent_widths
from shared.errors import DataFileError
from shared.model_files import ModelFile
from shared.network_settings import NetworkSettings
from shared.networks.inference import for_inference
from shared.networks.loading import load_network
from shared.types import Payload, Reconstruction

Build = Callable[[NetworkSettings], nn.Module]
AnyDecoder = CsiNetDecoder | CsiNetPlusDecoder | CrNetDecoder | AtNetDecoder | TransNetDecoder | DcrNetDecoder

ENCODERS: dict[str, Build] = {
    "csinet": lambda s: CsiNetEncoder(s.num_latents, s.norm_axis),
    "csinet-plus": lambda s: CsiNetPlusEncoder(s.num_latents),
    "crnet": lambda s: CrNetEncoder(s.num_latents),
    "dnnet": lambda s: CsiNetEncoder(s.num_latents),
    "atnet": lambda s: CsiNetEncoder(s.num_latents),
    "transnet": lambda s: TransNetEncoder(s.num_latents),
    "dcrnet": lambda s: DcrNetEncoder(s.num_latents),
}
DECODERS: dict[str, Callable[[NetworkSettings], AnyDecoder]] = {
    "csinet": lambda s: CsiNetDecoder(s.num_latents, s.norm_axis, s.final_norm),
    "csinet-plus": lambda s: CsiNetPlusDecoder(s.num_latents),
    "crnet": lambda s: CrNetDecoder(s.num_latents),
    "dnnet": lambda s: CsiNetDecoder(s.num_latents),
    "atnet": lambda s: AtNetDecoder(s.num_latents),
    "transnet": lambda s: TransNetDecoder(s.num_latents),
    "dcrnet": lambda s: DcrNetDecoder(s.num_latents),
}
CORRECTORS: dict[str, Callable[[NetworkSettings], Corrector]] = {
    "csinet-plus": lambda s: offline_dequantizer(s.num_latents),
    "dnnet": lambda s: noise_extraction_unit(s.num_latents),
    "atnet": lambda s: error_correction_block(s.num_latents),
}


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """The parts of a network and its scale, as training and import need them.

    Attributes:
        encoder: [batch, 2, 32, 32] -> [batch, num_latents].
        decoder: [batch, num_latents] -> [batch, 2, 32, 32], before the output activation.
        scaling: See `shared.codecs.autoencoder.scaling`.
        corrector: [batch, num_latents] -> [batch, num_latents] of what is dequantised; None where the codec has none.
    """

    encoder: nn.Module
    decoder: nn.Module
    scaling: scaling.Scaling
    corrector: nn.Module | None = None

    @classmethod
    def build(cls, codec: str, settings: NetworkSettings) -> "Autoencoder":
        """Make a network with fresh weights, from torch's generator."""
        decoder = DECODERS[codec](settings)
        if settings.scaling == "power":
            decoder.scale_output(1 / scaling.POWER_SLOPE)
        encoder = ENCODERS[codec](settings)
        corrector = CORRECTORS[codec](settings) if codec in CORRECTORS else None  # last: the halves do not depend on it
        return cls(encoder, decoder, settings.scaling, corrector)

    @classmethod
    def load(cls, model: ModelFile) -> "Autoencoder":
        """Make the network of a model file, in evaluation mode on the host.

        Raises:
            DataFileError: If the model is no network, or its tensors are not the network's.
        """
        settings = _require_network(model)
        encoder = _load_half(model, settings, ENCODERS, "encoder")
        decoder = _load_half(model, settings, DECODERS, "decoder")
        return cls(encoder, decoder, settings.scaling, load_corrector(model, settings))

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The networks, by the names they have in a model file."""
        halves = {"encoder": self.encoder, "decoder": self.decoder}
        return halves if self.corrector is None else halves | {"corrector": self.corrector}

    def encode(self, x: Tensor) -> Tensor:
        """Return the latents of ``x: [batch, 1, 32, 32] complex64``."""
        z: Tensor = self.encoder(scaling.network_input(x, self.scaling))
        return z

    def decode(self, z: Tensor, peaks: Tensor | None = None) -> Tensor:
        """Return ``h_hat: [batch, 1, 32, 32] complex64``; ``peaks: [batch]`` where the scaling is ``peak``."""
        return scaling.network_output(self.decoder(z).float(), self.scaling, peaks)

    def __call__(self, x: Tensor) -> Tensor:
        """Encode and decode without quantiser and corrector, the peak known exactly."""
        return self.decode(self.encode(x), self.peaks(x))

    def peaks(self, x: Tensor) -> Tensor | None:
        """Return what `decode` wants of ``x: [batch, 1, 32, 32] complex64`` beside its latents: [batch] float32."""
        return scaling.peak(x) if self.scaling == "peak" else None


class _Half:
    """What both sides have: card, settings, quantiser, and their half of the network."""

    def __init__(self, model: ModelFile, device: torch.device, builders: Mapping[str, Build], half: str) -> None:
        self.card = card = model.card
        self.settings = _require_network(model)
        low, high = rate_range(self.settings)
        if not low <= card.min_rate <= card.max_rate <= high:
            found = f"{card.min_rate} ... {card.max_rate}"
            raise DataFileError(f"rates of model {card.name} must be in [{low}, {high}] bits; its card says {found}.")
        require_finite(model)
        self.device = device
        self.quantizer = LatentQuantizer.load(self.settings.quantizer, self.settings.num_latents, model.tensors, device)
        self.network = _load_half(model, self.settings, builders, half).to(device)

    def widths(self, rate: int) -> NDArray[np.int64]:
        """Return the bits of each field of a report: the peak's, where there is one, then each latent's."""
        self.card.require_rate(rate)
        widths = latent_widths(rate - peak_bits(self.settings), self.settings.num_latents)
        return np.concatenate([[scaling.PEAK_BITS], widths]) if self.settings.scaling == "peak" else widths


class AutoencoderEncoder(_Half):
    """The UE side.

    Example:
        >>> from shared.model_files import load_model
        >>> encoder = AutoencoderEncoder(load_model("csinet"), torch.device("cpu"))
        >>> x = torch.randn(3, 1, 32, 32, dtype=torch.complex64)
        >>> from shared.rng import Randomness
        >>> context = EncodeContext(128, np.zeros(3), Randomness(0, np.arange(3), np.arange(3)))
        >>> encoder.encode(x, context).bits.shape
        (3, 128)
    """

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device, ENCODERS, "encoder")

    @torch.no_grad()
    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """See `shared.codecs.base.Encoder.encode`."""
        self.card.shape.require(h_est, "h_est")
        widths = self.widths(context.rate)
        x = h_est.to(self.device)
        z = self.network(scaling.network_input(x, self.settings.scaling))
        fields = self.quantizer.index(z, widths[-self.settings.num_latents :]).cpu().numpy()
        if self.settings.scaling == "peak":
            fields = np.concatenate([scaling.peak_index(scaling.peak(x))[:, None], fields], axis=1)
        return Payload.of_equal_length(fields_to_bits(fields, widths))


class AutoencoderDecoder(_Half):
    """The base-station side."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device, DECODERS, "decoder")
        corrector = load_corrector(model, self.settings)
        self.corrector = None if corrector is None else corrector.to(device)
        self.network = for_inference(self.network)
        self.mean_csi = mean_csi(model, device)

    @torch.no_grad()
    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.Decoder.decode`."""
        widths = self.widths(context.rate)
        require_length(payload, context.rate)
        fields = bits_to_fields(payload.bits, widths)
        num_latents = self.settings.num_latents
        peaks = scaling.peak_value(fields[:, 0]).to(self.device) if self.settings.scaling == "peak" else None
        index = torch.from_numpy(fields[:, -num_latents:]).to(self.device)
        z_hat = self.quantizer.value(index, widths[-num_latents:])
        output = self.network(correct(z_hat, self.corrector, self.quantizer))
        h_hat = scaling.network_output(output, self.settings.scaling, peaks)
        return Reconstruction(h_hat, np.ones(len(h_hat), dtype=np.bool_))


def correct(z_hat: Tensor, corrector: nn.Module | None, quantizer: LatentQuantizer) -> Tensor:
    """Return the latents that the decoder gets for ``z_hat: [batch, num_latents]``."""
    if corrector is None:
        return z_hat
    unit: Tensor = corrector((z_hat - quantizer.centre) / quantizer.scale)
    return unit * quantizer.scale + quantizer.centre


def load_corrector(model: ModelFile, settings: NetworkSettings) -> nn.Module | None:
    """Make the corrector of a model file, in evaluation mode on the host; None where its codec has none.

    Raises:
        DataFileError: If its tensors are not exactly the corrector's.
    """
    if model.card.codec not in CORRECTORS:
        return None
    return _load_half(model, settings, CORRECTORS, "corrector")


def _require_network(model: ModelFile) -> NetworkSettings:
    card = model.card
    if card.codec not in ENCODERS or card.network is None or card.shape != SHAPE:
        raise DataFileError(f"model {card.name} must be {', '.join(ENCODERS)} for {SHAPE}; its card says otherwise.")
    return card.network


def peak_bits(settings: NetworkSettings) -> int:
    """Return the bits of a report that are not of a latent."""
    return scaling.PEAK_BITS if settings.scaling == "peak" else 0


def rate_range(settings: NetworkSettings) -> tuple[int, int]:
    """Return the least and the most information bits of a report."""
    fixed = peak_bits(settings)
    return settings.num_latents + fixed, MAX_WIDTH * settings.num_latents + fixed


def _load_half(model: ModelFile, settings: NetworkSettings, builders: Mapping[str, Build], half: str) -> nn.Module:
    """Make one part of a network, in evaluation mode, from the tensors ``network.<half>.*`` of a model file.

    Raises:
        DataFileError: If they are not exactly the network's.
    """
    what = f"model {model.card.name} is no {model.card.codec} {half}"
    return load_network(lambda: builders[model.card.codec](settings), model.tensors, f"network.{half}.", what)
