"""No compression: the IEEE-754 single-precision numbers of the channel as bits, for an ideal link only.

h_est -> re, im, re, im, ... float32, most significant bit first -> 64 bits a complex number
"""

import numpy as np
import torch
from torch import Tensor

from shared.codecs.base import DecodeContext, EncodeContext, require_length
from shared.model_files import ModelFile
from shared.types import Payload, Reconstruction

BITS_PER_COMPLEX = 64


class FloatEncoder:
    """The UE side of `float`.

    Example:
        >>> from shared.model_files import load_model
        >>> FloatEncoder(load_model("float"), torch.device("cpu")).card.links
        ['ideal']
    """

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card

    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """See `shared.codecs.base.Encoder.encode`."""
        self.card.shape.require(h_est, "h_est")
        self.card.require_rate(context.rate)
        numbers = torch.view_as_real(h_est.to("cpu", torch.complex64)).flatten(1).contiguous().numpy()
        return Payload.of_equal_length(np.unpackbits(numbers.astype(">f4").view(np.uint8), axis=1))


class FloatDecoder:
    """The base-station side of `float`."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card
        self._device = device
        self.mean_csi = torch.zeros(self.card.shape.dims, dtype=torch.complex64, device=device)

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.Decoder.decode`; a report that is not finite is not valid."""
        self.card.require_rate(context.rate)
        require_length(payload, context.rate)
        numbers = np.packbits(payload.bits, axis=1).view(">f4").astype(np.float32)
        h_hat = torch.from_numpy(numbers).view(-1, *self.card.shape.dims, 2)
        return Reconstruction(
            torch.view_as_complex(h_hat).to(self._device), np.asarray(np.isfinite(numbers).all(axis=1))
        )
