"""From a channel to what the base station's front end hands on: estimator, encoder, channel code, link.

h -> Estimator.estimate -> h_est at unit power -> Encoder.encode -> Payload -> ChannelCode.encode -> Link.transmit -> Received
                                             '-> SymbolEncoder.encode_symbols -> Symbols -> SymbolLink.transmit_symbols -^

The UE process and an offline run share this file; `shared/receive.py` is the other side.
"""  # noqa: E501  (a drawing)

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.channels.eigenvectors import eigenvector_csi
from shared.codecs import EncodeContext, Encoder, SymbolEncoder, make_encoder
from shared.coding.channel_code import encode_reports
from shared.errors import InvalidArgumentError
from shared.estimation import Estimator, require_estimation
from shared.estimation.perfect import PerfectEstimator
from shared.links import Link, SymbolLink, make_link
from shared.model_files import CodecCard, ModelFile
from shared.rng import Randomness
from shared.transforms import normalize_power
from shared.types import CsiShape, Payload, Received, Symbols, no_bits

DEFAULT_RATE = 128  # information bits, or symbols, of a report


@dataclass(frozen=True, slots=True)
class Transmission:
    """What became of a batch of channels on its way to the base station.

    Attributes:
        payload: The information bits that the encoder made; none where it made symbols.
        received: What the front end hands on; a report of length 0 was erased.
    """

    payload: Payload
    received: Received


@dataclass(frozen=True, slots=True)
class Transmitter:
    """The UE's side of the feedback link, and the link.

    Attributes:
        encoder: UE side of the codec.
        link: The emulated air interface, with its channel code.
        rate: Information bits of a report, or its symbols.
        estimator: What the UE makes of its pilots.
        cnr_db: SNR of the pilots; None for a perfect estimate.
        encode_steps: Gradient steps of an encoder that is an optimisation; None for those of its model's training.
    """

    encoder: Encoder
    link: Link
    rate: int
    estimator: Estimator
    cnr_db: float | None
    encode_steps: int | None = None

    @property
    def card(self) -> CodecCard:
        """Card of the codec."""
        return self.encoder.card

    def transmit(self, h: Tensor, snr_db: NDArray[np.float32], randomness: Randomness) -> Transmission:
        """Estimate, encode and transmit a batch of channels.

        Args:
            h: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64, the card's domain, unit mean power.
            snr_db: [batch] float32, mean Es/N0 of the feedback link per receive antenna.
            randomness: Streams of the reports.
        """
        return self.send(self.encode(h, snr_db, randomness), snr_db, randomness)

    def encode(self, h: Tensor, snr_db: NDArray[np.float32], randomness: Randomness) -> Payload | Symbols:
        """Estimate, find the eigenvectors that some codecs want, encode: the first half of `transmit`."""
        h_est = self._estimate(h, randomness)
        if (wanted := self.card.eigenvectors) is not None:
            h_est = eigenvector_csi(h_est, self.card.domain, wanted.rank, wanted.num_subbands)
        context = EncodeContext(self.rate, snr_db, randomness, self.encode_steps)
        if isinstance(self.encoder, SymbolEncoder):
            return self.encoder.encode_symbols(h_est, context)
        return self.encoder.encode(h_est, context)

    def send(self, payload: Payload | Symbols, snr_db: NDArray[np.float32], randomness: Randomness) -> Transmission:
        """Send bits through channel code and link, or symbols through the link: the second half of `transmit`.

        Raises:
            InvalidArgumentError: If the link does not take symbols, or takes nothing else, or the channel code does not
                take as many bits as a report has.
        """
        if isinstance(payload, Symbols):
            if not isinstance(self.link, SymbolLink):
                raise InvalidArgumentError(f"`link` must be analog for symbols; got {self.link.label}.")
            return Transmission(no_bits(len(snr_db)), self.link.transmit_symbols(payload, snr_db, randomness))
        coded = encode_reports(self.link.code, payload)
        return Transmission(payload, self.link.transmit(coded, snr_db, randomness))

    def _estimate(self, h: Tensor, randomness: Randomness) -> Tensor:
        """Return what the encoder gets: the estimate at unit mean power, since the UE knows no other scale."""
        if self.cnr_db is None:
            return self.estimator.estimate(
                h, np.full(len(h), np.inf), randomness
            )  # normalised again, h would be rounded
        return normalize_power(self.estimator.estimate(h, np.full(len(h), self.cnr_db), randomness))


def make_transmitter(
    model: ModelFile,
    channels: CsiShape,
    link_label: str,
    rate: int | None = None,
    estimator: Estimator | None = None,
    cnr_db: float | None = None,
    encode_steps: int | None = None,
) -> Transmitter:
    """Put a transmitter together.

    Args:
        model: The codec's model.
        channels: Shape and domain of the channels that it will get.
        link_label: Label of a link, see `shared.links.make_link`.
        rate: Information bits of a report, or its symbols; None for `DEFAULT_RATE`, or the codec's largest if it is
            not one of the codec's.
        estimator: What the UE makes of its pilots; None for a perfect estimate.
        cnr_db: SNR of the pilots; None for a perfect estimate.
        encode_steps: Gradient steps to a codeword, of a codec whose encoder takes some; None for those of its model.

    Raises:
        InvalidArgumentError: If codec, link, rate, channels, estimator, CNR and steps do not go together.
    """
    card = model.card
    if rate is None:
        rate = DEFAULT_RATE if card.min_rate <= DEFAULT_RATE <= card.max_rate else card.max_rate
    card.require_rate(rate)
    link = make_link(link_label)
    card.require_link(link.family, link.label)
    link.code.num_coded_bits(rate)  # refuses a rate that the code does not take
    if channels != card.shape:
        raise InvalidArgumentError(f"`data` for codec {card.name} must hold {card.shape}; got {channels}.")
    if encode_steps is not None and not card.takes_encode_steps:
        raise InvalidArgumentError(f"`encode_steps` must be left out with codec {card.name}; got {encode_steps}.")
    estimator = estimator or PerfectEstimator()
    require_estimation(estimator.name, cnr_db)
    return Transmitter(make_encoder(model, torch.device("cpu")), link, rate, estimator, cnr_db, encode_steps)
