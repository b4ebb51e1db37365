r"""INRIC as a codec, CoINR behind it, and COIN: the UE overfits a network to its channel and sends the weights.

    h_est -> (inner steps from theta_0) -> overfitting -> weights - theta_0 -> grids of b bits -> range coder -> bits
                                                                    '-> s atoms a vector, b bits a value -^   (CoINR)
    h_hat <- network <- theta_0 + update <- bits

`inric` starts from meta-learned weights, which the model file holds, or from random ones, of which the base station
knows nothing and gets the weights themselves; `coin` has no encoding of the coordinates and never a learned start. The
rate is b times the number of weights, before entropy coding; a rate between takes the b below. CoINR sends other
numbers than one a weight, values and their places: there the rate is what says b, and no count of bits. Bits with
another b, another dictionary or scales that are no numbers are not valid; other wrong bits give another network, so
this wants a CRC.

Sources: INRIC, section 3; CoINR, section 3; E. Dupont et al., "COIN", 2021. Channels are taken in the spatial-frequency
domain, which is ours: the papers have none.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.codecs.base import DecodeContext, EncodeContext
from shared.codecs.network_files import SHAPE, mean_csi, reconstruction, require_settings
from shared.errors import CodecError, DataFileError, InvalidArgumentError
from shared.inr.adaround import AdaRoundOptions
from shared.inr.bitstream import decode_update
from shared.inr.csi_signals import channels_of, grid_of, signals_of
from shared.inr.meta_siren import MetaStart, adapted, require_start
from shared.inr.overfit import OverfitOptions, overfit, warm_up_of
from shared.inr.pipeline import QuantizingOptions, quantize
from shared.inr.siren import SirenShape, Weights, of_signal, signal_of
from shared.inr.sparse_dictionary import SparseOptions, decode_sparse, encode_sparse, from_sparse, to_sparse
from shared.model_files import ModelFile
from shared.network_settings import SirenSettings
from shared.transforms import from_angular_delay, to_angular_delay, to_planes
from shared.types import Payload, Reconstruction


class _Side:
    """What both sides have: card, settings, architecture, theta_0."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card, self.device = model.card, device
        self.settings = require_settings(model, model.card.siren, rate_range, "the weights of a SIREN")
        self.architecture = architecture_of(self.settings)
        self.start = load_start(model, device)
        none = {name: tensor.to(device) for name, tensor in self.architecture.zero_weights().items()}
        self.theta_0: Weights = none if self.start is None else self.start.weights
        self.features = self.architecture.features(grid_of(SHAPE)).to(device)

    def sparse(self, bits: int) -> SparseOptions | None:
        """Return how CoINR makes the update sparse; None where it is not."""
        share = self.settings.sparse_share
        return None if share is None else SparseOptions(share, bits=bits, seed=self.settings.seed)

    def bits_of(self, rate: int) -> int:
        """Return b."""
        self.card.require_rate(rate)
        return rate // self.architecture.num_weights


class InricEncoder(_Side):
    """The UE side."""

    @torch.enable_grad()
    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """See `shared.codecs.base.Encoder.encode`."""
        self.card.shape.require(h_est, "h_est")
        bits = self.bits_of(context.rate)
        num_steps = self.settings.steps if context.encode_steps is None else context.encode_steps
        if num_steps < 1:
            raise InvalidArgumentError(f"`encode_steps` must be at least 1; got {num_steps}.")
        rows = []
        for report in torch.split(h_est.to(self.device), 1):  # a scale's last bit would depend on the batch
            target = signals_of(from_angular_delay(report))
            rows.append(self._send(target, self._overfit(target, num_steps), bits))
        return Payload.of_rows(rows)

    def _overfit(self, target: Tensor, num_steps: int) -> dict[str, Tensor]:
        """Return the weights of one signal, name -> [1, ...] float32."""
        settings, reference = self.settings, None
        if self.start is None:
            first = self.architecture.random_weights(settings.seed)
            first = {name: tensor.to(self.device) for name, tensor in first.items()}
        else:
            first, reference = adapted(self.architecture, self.features, target, self.start), self.start.weights
        warm_up = 0 if self.start is None else warm_up_of(num_steps)
        options = OverfitOptions(num_steps=num_steps, warm_up=warm_up, l1=settings.l1)
        return overfit(self.architecture, self.features, target, first, options, reference).weights

    def _send(self, target: Tensor, weights: Weights, bits: int) -> NDArray[np.uint8]:
        """Return the bits of one signal."""
        settings, theta_0, sparse = self.settings, self.theta_0, self.sparse(bits)
        if sparse is not None:
            update = {name: (tensor[0] - theta_0[name]).cpu() for name, tensor in weights.items()}
            return encode_sparse(to_sparse(self.architecture, update, sparse))
        adaround = AdaRoundOptions(settings.adaround_steps, seed=settings.seed)
        options = QuantizingOptions(bits, "float16", adaround)
        stage = settings.stage
        quantized = quantize(self.architecture, self.features, target, theta_0, weights, options, (stage,))
        return quantized.bits(stage, 0)


class InricDecoder(_Side):
    """The base-station side."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device)
        self.mean_csi = mean_csi(model, device)

    @torch.no_grad()
    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.Decoder.decode`."""
        bits = self.bits_of(context.rate)
        valid = np.zeros(len(payload.length), dtype=np.bool_)
        updates = {name: torch.zeros(len(valid), *size) for name, size in self.architecture.tensors.items()}
        for report, length in enumerate(payload.length.tolist()):
            try:
                update = self._update(payload.bits[report, :length], bits)
            except CodecError:
                continue
            valid[report] = True
            for name, tensor in update.items():
                updates[name][report] = tensor
        weights = {name: self.theta_0[name] + tensor.to(self.device) for name, tensor in updates.items()}
        h_hat = to_angular_delay(channels_of(signal_of(self.architecture, weights, self.features), SHAPE))
        decoded = reconstruction(to_planes(h_hat))
        return Reconstruction(decoded.h_hat, decoded.valid & valid)

    def _update(self, report: NDArray[np.uint8], bits: int) -> dict[str, Tensor]:
        """Return the update of one report, name -> [...] float32.

        Raises:
            CodecError: If the report holds none.
        """
        sparse = self.sparse(bits)
        if sparse is not None:
            return from_sparse(self.architecture, decode_sparse(report, self.architecture, sparse))
        return of_signal(decode_update(report, self.architecture.tensors, bits), 0)


def architecture_of(settings: SirenSettings) -> SirenShape:
    """Return the architecture of a model."""
    return SirenShape(
        settings.width,
        settings.num_hidden,
        2 * SHAPE.num_rx_ant,
        settings.num_frequencies,
        settings.spacing,
        settings.omega_0,
    )


def rate_range(settings: SirenSettings) -> tuple[int, int]:
    """Return the least and the most bits of a report before entropy coding."""
    num_weights = architecture_of(settings).num_weights
    return settings.bits[0] * num_weights, settings.bits[1] * num_weights


def load_start(model: ModelFile, device: torch.device) -> MetaStart | None:
    """Return the meta-learned start of a model file; None where its card says none.

    Raises:
        DataFileError: If the tensors are not those of the architecture.
        KeyError: If one is missing.
    """
    settings = model.card.siren
    if settings is None or not settings.inner_steps:
        return None
    sizes, kinds = architecture_of(settings).tensors, ("network", "rates")
    weights, rates = ({name: model.tensors[f"{kind}.{name}"].to(device) for name in sizes} for kind in kinds)
    start = MetaStart(weights, rates, settings.inner_steps)
    try:
        require_start(architecture_of(settings), start)
    except InvalidArgumentError as error:
        raise DataFileError(f"model {model.card.name}: {error}") from None
    return start
