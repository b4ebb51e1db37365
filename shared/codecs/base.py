"""What a codec is: an encoder at the UE and a decoder at the base station, made from one model file.

h_est --Encoder.encode--> Payload  ~ link ~  Payload --Decoder.decode--> Reconstruction
h_est --SymbolEncoder.encode_symbols--> Symbols  ~ analog link ~  Received --SymbolDecoder.decode_symbols--> Reconstruction
"""  # noqa: E501  (a drawing)

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.codecs.fitted import Fitted
from shared.errors import CodecError
from shared.model_files import CodecCard, ModelFile
from shared.rng import Randomness
from shared.types import Payload, Received, ReceivedKind, Reconstruction, Symbols


@dataclass(frozen=True, slots=True)
class EncodeContext:
    """What an encoder knows beside the channel.

    Attributes:
        rate: Information bits of each report, of a variable length before entropy coding, or its symbols; one rate per
            batch.
        snr_db: [batch] float32, Es/N0 per receive antenna that the UE expects.
        randomness: Streams of the reports.
        encode_steps: Gradient steps of an encoder that is an optimisation; None for as many as its model was trained
            for.
    """

    rate: int
    snr_db: NDArray[np.float32]
    randomness: Randomness
    encode_steps: int | None = None


@dataclass(frozen=True, slots=True)
class DecodeContext:
    """What a decoder knows beside the payload.

    Attributes:
        rate: Information bits of each report, of a variable length before entropy coding, or its symbols; one rate per
            batch.
        snr_db: [batch] float32, Es/N0 per receive antenna that the base station measured.
    """

    rate: int
    snr_db: NDArray[np.float32]


class Encoder(Protocol):
    """The UE side of a codec."""

    card: CodecCard

    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """Encode a batch of channels.

        Args:
            h_est: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64, the card's domain, unit mean power.
            context: Rate, SNR, random streams.

        Returns:
            Exactly ``context.rate`` bits for each report; of a card of variable length, as many as its entropy code
            gives, within ``card.num_bits_range(rate)``.

        Raises:
            InvalidArgumentError: If the shape or the rate is not the card's.
        """


class Decoder(Protocol):
    """The base-station side of a codec.

    Attributes:
        card: The model's card.
        mean_csi: [num_rx_ant, num_tx_ant, num_subcarriers] complex64, what a report that cannot be decoded becomes.
    """

    card: CodecCard
    mean_csi: Tensor

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """Decode a batch; any bit pattern of a length that the card allows gives a value or ``valid = False``.

        What it returns is the caller's: the next call must not write into it.

        Args:
            payload: The information bits: ``rate`` of each report; of a card of variable length, as many as were sent.
            context: Rate and SNR.

        Raises:
            InvalidArgumentError: If the rate is not the card's.
            CodecError: If the payload cannot belong to this codec: by its length, not by its bits, for the whole batch
                is refused.
        """


@runtime_checkable
class SymbolEncoder(Encoder, Protocol):
    """The UE side of a codec whose card says ``payload: symbols``; its `encode` raises `CodecError`."""

    def encode_symbols(self, h_est: Tensor, context: EncodeContext) -> Symbols:
        """Encode a batch of channels.

        Args:
            h_est: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64, the card's domain, unit mean power.
            context: Rate, SNR, random streams.

        Returns:
            Exactly ``context.rate`` symbols for each report, cut to that already: the link brings what it gets to unit
            mean power a report, by a factor that the base station does not learn.

        Raises:
            InvalidArgumentError: If the shape or the rate is not the card's.
        """


@runtime_checkable
class SymbolDecoder(Decoder, Protocol):
    """The base-station side of a codec whose card says ``payload: symbols``; its `decode` raises `CodecError`."""

    def decode_symbols(self, received: Received, context: DecodeContext) -> Reconstruction:
        """Decode a batch; any finite symbols and noise variances give a value or ``valid = False``.

        Args:
            received: [batch, rate] symbols with the noise variance of each; those of an erased report mean nothing.
            context: Rate and SNR.

        Raises:
            InvalidArgumentError: If the rate is not the card's.
            CodecError: If the symbols cannot belong to this codec: by their number, not by their values.
        """


@dataclass(frozen=True, slots=True)
class CodecEntry:
    """One line of `shared.codecs.CODECS`, or the object that ``package.module:ENTRY`` names.

    Attributes:
        encoder: Builds the UE side from a model file, on a device.
        decoder: Builds the base-station side.
        model: Of a user's codec that has nothing to learn: builds its model; None where a file holds it.
        fit: Of a user's codec that has: fits it to a training split, [num_channels, num_rx_ant, num_tx_ant,
            num_subcarriers] complex64 at unit mean power (``csi-lab train package.module:ENTRY``).
    """

    encoder: Callable[[ModelFile, torch.device], Encoder]
    decoder: Callable[[ModelFile, torch.device], Decoder]
    model: Callable[[], ModelFile] | None = None
    fit: Callable[[Tensor], Fitted] | None = None


def require_length(payload: Payload, least: int, most: int | None = None) -> None:
    """Raise unless every report holds as many bits as its card allows, and the array the longest.

    Args:
        payload: The reports.
        least: Bits of a report: its rate, or of a variable length the first of ``card.num_bits_range(rate)``.
        most: The second; None where every report has ``least``.

    Raises:
        CodecError: Naming the wanted and the found length.
    """
    highest, length = least if most is None else most, payload.length
    if ((length < least) | (length > highest)).any() or payload.bits.shape[1] != length.max(initial=least):
        wanted = f"{least}" if highest == least else f"{least} to {highest}"
        raise CodecError(f"`payload` must hold {wanted} bits for each report; got {sorted(set(length.tolist()))}.")


def require_symbols(received: Received, rate: int) -> NDArray[np.float32]:
    """Raise unless a batch holds ``rate`` symbols for each report.

    Returns:
        [batch, rate] float32, the noise variances.

    Raises:
        CodecError: Naming the wanted and the found.
    """
    if received.kind is not ReceivedKind.SYMBOLS or received.no_eff is None:
        raise CodecError(f"`received` must hold symbols and their noise; got {received.kind.name}.")
    found = (received.values.shape[1], received.no_eff.shape[1])
    if found != (rate, rate) or not np.isin(received.length, (0, rate)).all():
        raise CodecError(f"`received` must hold {rate} symbols and noise variances for each report; got {found}.")
    return received.no_eff


def refuse_bits(card: CodecCard) -> CodecError:
    """Return what a codec of symbols raises where it is asked for bits."""
    return CodecError(f"`payload` of codec {card.name} must be symbols, over an analog link; got bits.")
