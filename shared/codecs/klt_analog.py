r"""Linear analog transmission of the Karhunen-Loeve coefficients: no bits, each coefficient is a symbol's amplitude.

    h_est -> - mean -> basis^H -> c, the first k -> * gains[k] -> k complex symbols
    h_hat <- + mean <- basis   <- to the usual norm <- LMMSE: c = g v y / (g^2 v + no_eff) <- y

``gains[k]`` is the linear encoder of least MSE under a power constraint over white noise: a coefficient of variance v
gets power g^2 v = max(0, sqrt(v / theta) - no), uneven as the square root of the variances, and none below a cut-off.
It is a table of the model file, made for one SNR after combining (`shared.training.klt_analog` fills it).

The link brings every report to unit power by a factor that the base station does not learn, so that only the direction
of c arrives. But h has unit mean power, so that the direction is nearly all there is to know: the decoder takes the
LMMSE estimate that the factor's mean, 1, would give, and sets its norm to the one that the first k coefficients have on
average, ``norm[k]``, times the share that an LMMSE estimate keeps at this noise (figures: docs/codecs.md).

Source: K.-H. Lee and D. P. Petersen, "Optimal linear coding for vector channels", IEEE Trans. Commun. 24(12), 1976; the
norm is ours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shared.codecs.base import DecodeContext, EncodeContext, refuse_bits, require_symbols
from shared.model_files import ModelFile
from shared.types import Payload, Received, Reconstruction, Symbols

TINY = 1e-150  # norm of an estimate that has none: its square is still a number


@dataclass(frozen=True, slots=True)
class KltAnalogTensors:
    """The model file, on a device.

    Attributes:
        mean: [num_complex] complex64, mean channel of the training split.
        basis: [num_complex, num_coefficients] complex64, orthonormal columns, strongest first; in the file float16.
        variance: [num_coefficients] float64, mean power of each coefficient.
        gains: [num_coefficients, num_coefficients] float64, row ``k - 1`` the gains at ``k`` symbols, zero beyond.
        norm: [num_coefficients] float64, mean norm of the first 1, 2, ... coefficients of a report.
    """

    mean: Tensor
    basis: Tensor
    variance: Tensor
    gains: Tensor
    norm: Tensor

    @classmethod
    def load(cls, model: ModelFile, device: torch.device) -> "KltAnalogTensors":
        """Move a model file's tensors to ``device``."""
        mean, pairs, *tables = (
            model.tensors[name].to(device) for name in ("mean", "basis", "variance", "gains", "norm")
        )
        return cls(mean, torch.view_as_complex(pairs.float()), *(table.double() for table in tables))


class KltAnalogEncoder:
    """The UE side of `klt-analog`.

    Example:
        >>> from shared.model_files import load_model
        >>> encoder = KltAnalogEncoder(load_model("klt-analog"), torch.device("cpu"))
        >>> encoder.card.payload, encoder.card.min_rate, encoder.card.max_rate
        ('symbols', 1, 128)
    """

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card
        self._tensors = KltAnalogTensors.load(model, device)

    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """Refuse to make bits."""
        raise refuse_bits(self.card)

    def encode_symbols(self, h_est: Tensor, context: EncodeContext) -> Symbols:
        """See `shared.codecs.base.SymbolEncoder.encode_symbols`."""
        self.card.shape.require(h_est, "h_est")
        self.card.require_rate(context.rate)
        k, tensors = context.rate, self._tensors
        centred = h_est.to(tensors.mean.device).flatten(1) - tensors.mean
        coefficients = centred @ tensors.basis[:, :k].conj()
        return Symbols((coefficients * tensors.gains[k - 1, :k].float()).cpu().numpy())


class KltAnalogDecoder:
    """The base-station side of `klt-analog`."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card
        self._tensors = KltAnalogTensors.load(model, device)
        self.mean_csi = self._tensors.mean.reshape(self.card.shape.dims)

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """Refuse bits."""
        raise refuse_bits(self.card)

    def decode_symbols(self, received: Received, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.SymbolDecoder.decode_symbols`."""
        self.card.require_rate(context.rate)
        noise = require_symbols(received, context.rate)
        k, tensors = context.rate, self._tensors
        y = torch.from_numpy(received.values.astype(np.complex128)).to(tensors.mean.device)
        no_eff = torch.from_numpy(noise.astype(np.float64)).to(tensors.mean.device)
        gains, variance = tensors.gains[k - 1, :k], tensors.variance[:k]
        power = gains.square() * variance
        estimate = gains * variance / (power + no_eff) * y
        kept = (variance * power / (power + no_eff)).sum(dim=1) / variance.sum()
        norm = estimate.abs().square().sum(dim=1).sqrt().clamp(min=TINY)
        coefficients = estimate * (tensors.norm[k - 1] * kept.sqrt() / norm)[:, None]
        h_hat = coefficients.to(torch.complex64) @ tensors.basis[:, :k].T + tensors.mean
        return Reconstruction(h_hat.reshape(-1, *self.card.shape.dims), np.ones(len(h_hat), dtype=np.bool_))
