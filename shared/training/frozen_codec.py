"""What a refiner is trained and measured behind: a codec and its link, as they ship."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.codecs import DecodeContext, make_decoder
from shared.errors import InvalidArgumentError
from shared.model_files import ModelFile
from shared.receive import receive
from shared.refinement.diffusion import SHAPE
from shared.rng import Randomness
from shared.transmit import Transmitter, make_transmitter


class FrozenCodec:
    """A codec behind its link: channels in, what its decoder makes of them out.

    Args:
        model: The codec.
        link: Label of the link between encoder and decoder.
        rate: Of the reports; None for the codec's usual one.

    Raises:
        InvalidArgumentError: If they do not go together, or the channels are not what a refiner takes.
    """

    def __init__(self, model: ModelFile, link: str, rate: int | None) -> None:
        if model.card.shape != SHAPE:
            raise InvalidArgumentError(f"`codec` of a refiner must be for {SHAPE}; {model.card.name} is not.")
        if model.card.output != "channel":
            raise InvalidArgumentError(
                f"`codec` of a refiner must report a channel; {model.card.name} reports a {model.card.output}."
            )
        self.transmitter: Transmitter = make_transmitter(model, SHAPE, link, rate)
        self._decoder = make_decoder(model, torch.device("cpu"))

    def coarse(
        self, h: Tensor, snr_db: NDArray[np.float32], randomness: Randomness
    ) -> tuple[Tensor, NDArray[np.bool_]]:
        """Return h_coarse, like ``h: [batch, 1, 32, 32] complex64`` on the host, and which of it is to be refined."""
        with torch.autocast("cpu", enabled=False):  # whatever the training computes in, the codec is the one that ships
            sent = self.transmitter.transmit(h, snr_db, randomness)
            context = DecodeContext(self.transmitter.rate, snr_db)
            code, num_bits = self.transmitter.link.code, sent.payload.length
            reception = receive(sent.received, code, num_bits, self._decoder, context)
        return reception.h_hat, ~reception.fallback
