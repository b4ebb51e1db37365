r"""Karhunen-Loeve transform coding: project on the training split's principal directions, quantise, send the bits.

    h_est -> - mean -> basis^H -> / scale -> Lloyd-Max index (widths[rate]) -> bits
    h_hat <- + mean <- basis   <- * scale <- codebook entry                 <- bits

The transform is complex; real and imaginary part of a coefficient are two fields. How many bits a field gets is reverse
water-filling of the budget in whole bits, a table of the model file (`shared.training.klt` fills it), so that both
sides agree whatever their arithmetic. Fields are sent in the order of the coefficients, natural binary labels.

Source: T. Berger, *Rate Distortion Theory*, 1971 (reverse water-filling); A. Gersho and R. M. Gray, *Vector
Quantization and Signal Compression*, 1992, chapter 8 (transform coding).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.codecs.base import DecodeContext, EncodeContext, require_length
from shared.coding.bits import bits_to_fields, fields_to_bits
from shared.coding.quantizers import nearest_index
from shared.model_files import ModelFile
from shared.types import Payload, Reconstruction


@dataclass(frozen=True, slots=True)
class KltTensors:
    """The model file, on a device.

    Attributes:
        mean: [num_complex] complex64, mean channel of the training split.
        basis: [num_complex, num_coefficients] complex64, orthonormal columns, strongest first.
        scale: [2 num_coefficients] float32, standard deviation of each field: re 0, im 0, re 1, ...
        codebook: [max_width, 2 ** max_width] float32; row ``b - 1`` begins with the ``2 ** b`` levels of ``b`` bits.
        widths: [num_rates, 2 num_coefficients] uint8 on the host, bits of each field at ``min_rate + row``.
    """

    mean: Tensor
    basis: Tensor
    scale: Tensor
    codebook: Tensor
    widths: NDArray[np.uint8]

    @classmethod
    def load(cls, model: ModelFile, device: torch.device) -> "KltTensors":
        """Move a model file's tensors to ``device``."""
        mean, basis, scale, codebook = (
            model.tensors[name].to(device) for name in ("mean", "basis", "scale", "codebook")
        )
        return cls(mean, basis, scale, codebook, model.tensors["widths"].numpy())


class KltEncoder:
    """The UE side of `klt`.

    Example:
        >>> from shared.model_files import load_model
        >>> encoder = KltEncoder(load_model("klt"), torch.device("cpu"))
        >>> encoder.card.min_rate, encoder.card.max_rate
        (32, 1024)
    """

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card
        self._tensors = KltTensors.load(model, device)

    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """See `shared.codecs.base.Encoder.encode`."""
        self.card.shape.require(h_est, "h_est")
        self.card.require_rate(context.rate)
        widths = self._tensors.widths[context.rate - self.card.min_rate]
        num_coefficients = _num_active(widths)
        centred = h_est.to(self._tensors.mean.device).flatten(1) - self._tensors.mean
        coefficients = centred @ self._tensors.basis[:, :num_coefficients].conj()
        fields = torch.view_as_real(coefficients).flatten(1) / self._tensors.scale[: 2 * num_coefficients]
        indices = torch.zeros(fields.shape, dtype=torch.int64, device=fields.device)
        for width in np.unique(widths[widths > 0]):
            columns = torch.from_numpy(np.flatnonzero(widths == width)).to(fields.device)
            indices[:, columns] = nearest_index(fields[:, columns], self._tensors.codebook[width - 1, : 2**width])
        return Payload.of_equal_length(fields_to_bits(indices.cpu().numpy(), widths[: 2 * num_coefficients]))


class KltDecoder:
    """The base-station side of `klt`."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card
        self._tensors = KltTensors.load(model, device)
        self.mean_csi = self._tensors.mean.reshape(self.card.shape.dims)

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.Decoder.decode`."""
        self.card.require_rate(context.rate)
        require_length(payload, context.rate)
        widths = self._tensors.widths[context.rate - self.card.min_rate].astype(np.int64)
        num_coefficients = _num_active(widths)
        widths = widths[: 2 * num_coefficients]
        device = self._tensors.mean.device
        indices = torch.from_numpy(bits_to_fields(payload.bits, widths)).to(device)
        rows = torch.from_numpy(np.maximum(widths - 1, 0)).to(device)
        sent = torch.from_numpy(widths > 0).to(device)
        fields = self._tensors.codebook[rows, indices] * self._tensors.scale[: 2 * num_coefficients] * sent
        coefficients = torch.view_as_complex(fields.reshape(len(fields), num_coefficients, 2))
        h_hat = coefficients @ self._tensors.basis[:, :num_coefficients].T + self._tensors.mean
        return Reconstruction(h_hat.reshape(-1, *self.card.shape.dims), np.ones(len(h_hat), dtype=np.bool_))


def _num_active(widths: NDArray[np.integer]) -> int:
    """Return how many leading coefficients hold every field that is sent."""
    return int(np.flatnonzero(widths)[-1]) // 2 + 1
