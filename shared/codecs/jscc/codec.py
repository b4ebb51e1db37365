r"""A network of joint source-channel coding as a codec: `rd-jscc`, `adjscc`, `djscc-csinet-plus`, `unet-jscc`.

    h_est -> network -> z -> its first `rate` symbols ~ analog link ~ y, zeros beyond -> network -> h_hat
    h_est -> network -> z -> mu-law, B bits a real -> bits ~ digital link ~ bits -> z_hat -> network -> h_hat

Symbol i is z[2 i] + j z[2 i + 1]. The link brings a report to unit power after it was cut to its rate; the decoder gets
what arrives, and the mean SNR after combining. A model trained for several prefixes (Matryoshka) takes every number of
symbols between the shortest and the longest; another one its own alone. The quantised variant is a model of its own,
trained with its quantiser, for B bits a real: a report has 2 B k bits.

Source: Ankireddy et al., RD-JSCC, sections II, III, VI (eq. 12), VII-C.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.codecs.base import DecodeContext, EncodeContext, Encoder, refuse_bits, require_length, require_symbols
from shared.codecs.jscc.network import COMBINING_DB, JsccDecoderNetwork, JsccEncoderNetwork
from shared.codecs.network_files import mean_csi, reconstruction, require_settings
from shared.coding.bits import bits_to_fields, fields_to_bits
from shared.coding.latents import MAX_WIDTH, LatentQuantizer
from shared.errors import DataFileError
from shared.model_files import ModelFile
from shared.network_settings import JsccSettings
from shared.networks.inference import for_inference
from shared.networks.loading import load_network
from shared.transforms import to_planes
from shared.types import Payload, Received, Reconstruction, Symbols


def latent_quantizer(settings: JsccSettings) -> LatentQuantizer:
    """Return the mu-law quantiser of latents in (-1, 1), the same for all; mu is ours, for the paper's was lost."""
    num_latents = 2 * settings.num_symbols
    return LatentQuantizer("mu-law", torch.zeros(num_latents), torch.ones(num_latents), torch.ones(MAX_WIDTH))


def latent_bits(settings: JsccSettings) -> NDArray[np.int64]:
    """Return the bits of each latent of a quantised model, [2 num_symbols] int64."""
    return np.full(2 * settings.num_symbols, settings.bits_per_real or 0, dtype=np.int64)


def to_symbols(z: Tensor) -> Tensor:
    """Return [batch, num_symbols] complex64 of latents ``[batch, 2 num_symbols]`` float32."""
    return torch.view_as_complex(z.reshape(len(z), -1, 2))


def to_latents(symbols: Tensor, num_symbols: int) -> Tensor:
    """Invert `to_symbols`; latents beyond what was sent are zero."""
    z = torch.view_as_real(symbols).flatten(1)
    return nn.functional.pad(z, (0, 2 * num_symbols - z.shape[1]))


def mean_snr_db(no_eff: Tensor) -> Tensor:
    """Return [batch] float32, the SNR after combining by the mean noise of a report's symbols.

    Args:
        no_eff: [batch, num_symbols] float32, noise variance of each symbol.
    """
    return -10 * torch.log10(no_eff.mean(dim=1))


class _Half:
    """What both sides have: card, settings, and their half of the network in evaluation mode."""

    def __init__(self, model: ModelFile, device: torch.device, half: str) -> None:
        self.card, self.device = model.card, device
        self.settings = require_settings(model, model.card.jscc, rate_range, "a network of joint coding")
        self.network = load_half(model, half).to(device)

    def snr_db(self, snr_db: NDArray[np.float32]) -> Tensor:
        """Move the SNR of each report to the device."""
        return torch.from_numpy(np.asarray(snr_db, dtype=np.float32)).to(self.device)


class JsccSymbolEncoder(_Half):
    """The UE side, over an analog link."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device, "encoder")

    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """Refuse to make bits."""
        raise refuse_bits(self.card)

    @torch.no_grad()
    def encode_symbols(self, h_est: Tensor, context: EncodeContext) -> Symbols:
        """See `shared.codecs.base.SymbolEncoder.encode_symbols`."""
        self.card.shape.require(h_est, "h_est")
        self.card.require_rate(context.rate)
        z = self.network(to_planes(h_est.to(self.device)), self.snr_db(context.snr_db))
        return Symbols(to_symbols(z[:, : 2 * context.rate]).cpu().numpy())


class JsccSymbolDecoder(_Half):
    """The base-station side, over an analog link."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device, "decoder")
        self.mean_csi = mean_csi(model, device)

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """Refuse bits."""
        raise refuse_bits(self.card)

    @torch.no_grad()
    def decode_symbols(self, received: Received, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.SymbolDecoder.decode_symbols`."""
        self.card.require_rate(context.rate)
        no_eff = torch.from_numpy(require_symbols(received, context.rate)).to(self.device)
        y = torch.from_numpy(received.values.astype(np.complex64)).to(self.device)
        z = to_latents(y * self._noise_limit(no_eff), self.settings.num_symbols)
        return reconstruction(self.network(z, mean_snr_db(no_eff)))

    def _noise_limit(self, no_eff: Tensor) -> Tensor:
        """Return what brings symbols noisier than those of the training to the power that its noisiest had; else 1.

        In a deep fade unbiased symbols are as large as their noise, and the network would follow them.
        """
        most = 10 ** (-(self.settings.snr_db[0] + COMBINING_DB[0]) / 10)
        return ((1 + no_eff.clamp(max=most)) / (1 + no_eff)).sqrt()


class JsccBitEncoder(_Half):
    """The UE side, quantised."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device, "encoder")

    @torch.no_grad()
    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """See `shared.codecs.base.Encoder.encode`."""
        self.card.shape.require(h_est, "h_est")
        self.card.require_rate(context.rate)
        z = self.network(to_planes(h_est.to(self.device)), self.snr_db(context.snr_db))
        widths = latent_bits(self.settings)
        fields = latent_quantizer(self.settings).index(z.cpu(), widths).numpy()
        return Payload.of_equal_length(fields_to_bits(fields, widths))


class JsccBitDecoder(_Half):
    """The base-station side, quantised."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device, "decoder")
        self.mean_csi = mean_csi(model, device)

    @torch.no_grad()
    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.Decoder.decode`."""
        self.card.require_rate(context.rate)
        require_length(payload, context.rate)
        widths = latent_bits(self.settings)
        index = torch.from_numpy(bits_to_fields(payload.bits, widths))
        z_hat = latent_quantizer(self.settings).value(index, widths).to(self.device)
        return reconstruction(self.network(z_hat, self.snr_db(context.snr_db)))


def make_jscc_encoder(model: ModelFile, device: torch.device) -> Encoder:
    """Build the UE side of a model, of symbols or of bits as its card says."""
    return (JsccSymbolEncoder if model.card.payload == "symbols" else JsccBitEncoder)(model, device)


def make_jscc_decoder(model: ModelFile, device: torch.device) -> JsccSymbolDecoder | JsccBitDecoder:
    """Build the base-station side of a model, of symbols or of bits as its card says."""
    return (JsccSymbolDecoder if model.card.payload == "symbols" else JsccBitDecoder)(model, device)


def rate_range(settings: JsccSettings) -> tuple[int, int]:
    """Return the least and the most symbols of a report, or its bits."""
    if settings.bits_per_real is not None:
        return (2 * settings.num_symbols * settings.bits_per_real,) * 2
    return min(settings.prefixes, default=settings.num_symbols), settings.num_symbols


def load_half(model: ModelFile, half: str) -> nn.Module:
    """Make one half of a network, in evaluation mode, from the tensors ``network.<half>.*`` of a model file.

    Raises:
        DataFileError: If they are not exactly the network's.
    """
    settings = model.card.jscc
    if settings is None:
        raise DataFileError(f"model {model.card.name} must be a network of joint coding; its card says not.")
    build = JsccEncoderNetwork if half == "encoder" else JsccDecoderNetwork
    what = f"model {model.card.name} is no {half} of its card's settings"
    network: nn.Module = load_network(lambda: build(settings), model.tensors, f"network.{half}.", what)
    return for_inference(network) if half == "decoder" else network  # the encoders are not faster
