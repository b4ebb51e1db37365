r"""CSI-INR as a codec: the UE fits a codeword to its channel by gradient steps, the base station runs the network once.

    h_est -> s_in gradient steps -> M [n] -> (M - centre) / scale -> indices, b bits each -> bits        `uniform`
                                                                     '-> arithmetic coder -> bits        `entropy`
                                          '-> n / 2 symbols ~ analog link ~                              `analog`
    h_hat <- network <- M_hat <- indices <- bits

`rate` bits spread over the n entries as in `shared.coding.latents`, 3 to 14 each; where they are entropy-coded 3 to 8,
each entry by a table of its own for its number of bits, counted on the training split, and a report has as many bits as
the code gives. Its bits are decoded and coded again: where that does not give what arrived, they are no report.

Over the analog link entry 2 i is the real part of symbol i, entry 2 i + 1 the imaginary part. The link brings a report
to unit power by a factor that the base station does not learn: the decoder takes the LMMSE estimate of standardised
entries and sets its norm to the training split's mean, times the share that such an estimate keeps. Ours: the paper
names analog feedback as future work.

Source: H. Wu et al., "MIMO Channel as a Neural Function", sections III-B to III-D, algorithms 2 and 3.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.codecs.base import (
    DecodeContext,
    Decoder,
    EncodeContext,
    Encoder,
    refuse_bits,
    require_length,
    require_symbols,
)
from shared.codecs.csi_inr.network import CsiInr, to_samples
from shared.codecs.network_files import mean_csi, reconstruction, require_settings
from shared.coding.arithmetic import FrequencyTable, decode_symbols, encode_symbols, require_cumulative
from shared.coding.bits import bits_to_fields, fields_to_bits
from shared.coding.latents import LatentQuantizer, latent_widths
from shared.errors import DataFileError, InvalidArgumentError
from shared.model_files import ModelFile
from shared.network_settings import CoordinateSettings
from shared.networks.loading import load_network
from shared.transforms import to_planes
from shared.types import Payload, Received, Reconstruction, Symbols

BITS: dict[str, tuple[int, int]] = {"uniform": (3, 14), "entropy": (3, 8)}  # of an entry, least and most
CHUNK = 16  # reports fitted at once: more of them no longer fit into caches, at twice the time a report


class _Side:
    """What both sides have: card, settings, network, quantiser."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card, self.device = model.card, device
        self.settings = require_settings(model, model.card.coordinates, rate_range, "a coordinate network")
        self.network = load_csi_inr(model).to(device)
        self.quantizer = LatentQuantizer.load(
            "uniform", self.settings.num_latents, model.tensors, device, BITS["uniform"][1]
        )

    def fit(self, h_est: Tensor, context: EncodeContext) -> Tensor:
        """Return the codewords of some channels, [batch, n] float32."""
        self.card.shape.require(h_est, "h_est")
        self.card.require_rate(context.rate)
        num_steps = self.settings.inner_steps if context.encode_steps is None else context.encode_steps
        return fit_codewords(self.network, h_est.to(self.device), num_steps)


class CsiInrBitEncoder(_Side):
    """The UE side, over a digital link."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device)
        self.tables = load_tables(model)

    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """See `shared.codecs.base.Encoder.encode`."""
        widths = latent_widths(context.rate, self.settings.num_latents)
        index = self.quantizer.index(self.fit(h_est, context), widths).cpu().numpy()
        if self.settings.coding == "uniform":
            return Payload.of_equal_length(fields_to_bits(index, widths))
        models = models_of(self.tables, widths)
        return Payload.of_rows([encode_symbols(row, models) for row in index.tolist()])


class CsiInrBitDecoder(_Side):
    """The base-station side, over a digital link."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device)
        self.tables = load_tables(model)
        self.mean_csi = mean_csi(model, device)

    @torch.no_grad()
    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.Decoder.decode`."""
        self.card.require_rate(context.rate)
        widths = latent_widths(context.rate, self.settings.num_latents)
        if self.settings.coding == "uniform":
            require_length(payload, context.rate)
            index, valid = bits_to_fields(payload.bits, widths), np.ones(len(payload.bits), dtype=np.bool_)
        else:
            index, valid = decode_rows(payload, models_of(self.tables, widths))
        codeword = self.quantizer.value(torch.from_numpy(index).to(self.device), widths)
        decoded = reconstruction(to_planes(self.network(codeword)))
        return Reconstruction(decoded.h_hat, decoded.valid & valid)


class CsiInrSymbolEncoder(_Side):
    """The UE side, over an analog link."""

    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """Refuse to make bits."""
        raise refuse_bits(self.card)

    def encode_symbols(self, h_est: Tensor, context: EncodeContext) -> Symbols:
        """See `shared.codecs.base.SymbolEncoder.encode_symbols`."""
        z = (self.fit(h_est, context) - self.quantizer.centre) / self.quantizer.scale
        return Symbols(torch.view_as_complex(z.reshape(len(z), -1, 2)).cpu().numpy())


class CsiInrSymbolDecoder(_Side):
    """The base-station side, over an analog link."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device)
        self.mean_csi = mean_csi(model, device)
        self.norm = model.tensors["analog.norm"].to(device)

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """Refuse bits."""
        raise refuse_bits(self.card)

    @torch.no_grad()
    def decode_symbols(self, received: Received, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.SymbolDecoder.decode_symbols`."""
        self.card.require_rate(context.rate)
        no_eff = torch.from_numpy(require_symbols(received, context.rate).astype(np.float64)).to(self.device)
        y = torch.from_numpy(received.values.astype(np.complex128)).to(self.device)
        estimate = y / (1 + no_eff)
        kept = (1 / (1 + no_eff)).mean(dim=1).sqrt()
        norm = estimate.abs().square().sum(dim=1).sqrt().clamp(min=torch.finfo(torch.float64).tiny)
        z = torch.view_as_real(estimate * (self.norm * kept / norm)[:, None]).flatten(1).float()
        return reconstruction(to_planes(self.network(z * self.quantizer.scale + self.quantizer.centre)))


def make_csi_inr_encoder(model: ModelFile, device: torch.device) -> Encoder:
    """Build the UE side of a model, of symbols or of bits as its card says."""
    return (CsiInrSymbolEncoder if model.card.payload == "symbols" else CsiInrBitEncoder)(model, device)


def make_csi_inr_decoder(model: ModelFile, device: torch.device) -> Decoder:
    """Build the base-station side of a model, of symbols or of bits as its card says."""
    return (CsiInrSymbolDecoder if model.card.payload == "symbols" else CsiInrBitDecoder)(model, device)


def fit_codewords(network: CsiInr, h: Tensor, num_steps: int) -> Tensor:
    """Return the codewords of some channels, whole, `CHUNK` at a time.

    Args:
        network: The network.
        h: [batch, 1, 32, 32] complex64, angular-delay.
        num_steps: s_in.

    Returns:
        [batch, n] float32.

    Raises:
        InvalidArgumentError: If there is no step.
    """
    if num_steps < 1:
        raise InvalidArgumentError(f"`encode_steps` must be at least 1; got {num_steps}.")
    return torch.cat([network.adapt(to_samples(part), network.grid, num_steps) for part in torch.split(h, CHUNK)])


@torch.no_grad()
def without_quantization(network: CsiInr, h: Tensor, num_steps: int) -> Tensor:
    """Return what becomes of ``h: [batch, 1, 32, 32]`` complex64 if its codewords arrive as they are."""
    return torch.cat([network(codewords) for codewords in torch.split(fit_codewords(network, h, num_steps), CHUNK)])


def rate_range(settings: CoordinateSettings) -> tuple[int, int]:
    """Return the least and the most bits of a report before entropy coding, or its symbols."""
    if settings.coding == "analog":
        return (settings.num_latents // 2,) * 2
    least, most = BITS[settings.coding]
    return least * settings.num_latents, most * settings.num_latents


def decode_rows(payload: Payload, models: list[FrequencyTable]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the indices of entropy-coded reports, [batch, n] int64, and which of them some indices really give."""
    index = np.zeros((len(payload.bits), len(models)), dtype=np.int64)
    valid = np.zeros(len(payload.bits), dtype=np.bool_)
    for row, (bits, length) in enumerate(zip(payload.bits, payload.length.tolist(), strict=True)):
        index[row] = symbols = decode_symbols(bits[:length], models)
        valid[row] = np.array_equal(encode_symbols(symbols, models), bits[:length])
    return index, valid


def models_of(tables: dict[int, list[FrequencyTable]], widths: NDArray[np.int64]) -> list[FrequencyTable]:
    """Return the table of each entry, by its bits."""
    return [tables[width][entry] for entry, width in enumerate(widths.tolist())]


def load_tables(model: ModelFile) -> dict[int, list[FrequencyTable]]:
    """Return the tables of a model file, by bits and entry; none where its codewords are not entropy-coded.

    Raises:
        DataFileError: If one is no table of its bits.
    """
    settings = model.card.coordinates
    if settings is None or settings.coding != "entropy":
        return {}
    tables = {}
    for bits in range(BITS["entropy"][0], BITS["entropy"][1] + 1):
        tensor = model.tensors[f"entropy.{bits}"]
        wanted = (settings.num_latents, 2**bits + 1)
        if tuple(tensor.shape) != wanted or tensor.dtype != torch.int64:
            found = f"{list(tensor.shape)} {tensor.dtype}"
            raise DataFileError(
                f"`entropy.{bits}` of model {model.card.name} must be {list(wanted)} int64; got {found}."
            )
        try:
            require_cumulative(tensor.numpy(), f"entropy.{bits}")
        except InvalidArgumentError as error:
            raise DataFileError(f"model {model.card.name}: {error}") from None
        tables[bits] = [FrequencyTable(row) for row in tensor.numpy()]
    return tables


def load_csi_inr(model: ModelFile) -> CsiInr:
    """Make the network of a model file, in evaluation mode on the host.

    Raises:
        DataFileError: If its tensors are not exactly the network's.
    """
    settings = model.card.coordinates
    if settings is None:
        raise DataFileError(f"model {model.card.name} must be a coordinate network; its card says not.")
    what = f"model {model.card.name} is no coordinate network of its card's settings"
    return load_network(lambda: CsiInr(settings), model.tensors, "network.", what)
