"""The codecs, h <-> payload. A new one is one file (or folder) here and one line in `CODECS`."""

import torch

from shared.codecs.angular_topk import AngularTopkDecoder, AngularTopkEncoder
from shared.codecs.autoencoder.codec import AutoencoderDecoder, AutoencoderEncoder
from shared.codecs.base import (
    CodecEntry,
    DecodeContext,
    Decoder,
    EncodeContext,
    Encoder,
    SymbolDecoder,
    SymbolEncoder,
)
from shared.codecs.float32 import FloatDecoder, FloatEncoder
from shared.codecs.klt import KltDecoder, KltEncoder
from shared.codecs.klt_analog import KltAnalogDecoder, KltAnalogEncoder
from shared.errors import DataFileError
from shared.model_files import ModelFile

CODECS: dict[str, CodecEntry] = {
    "klt": CodecEntry(KltEncoder, KltDecoder),
    "klt-analog": CodecEntry(KltAnalogEncoder, KltAnalogDecoder),
    "angular-topk": CodecEntry(AngularTopkEncoder, AngularTopkDecoder),
    "csinet": CodecEntry(AutoencoderEncoder, AutoencoderDecoder),
    "crnet": CodecEntry(AutoencoderEncoder, AutoencoderDecoder),
    "float": CodecEntry(FloatEncoder, FloatDecoder),
}

__all__ = [
    "CODECS",
    "CodecEntry",
    "DecodeContext",
    "Decoder",
    "EncodeContext",
    "Encoder",
    "SymbolDecoder",
    "SymbolEncoder",
    "make_decoder",
    "make_encoder",
]


def make_encoder(model: ModelFile, device: torch.device) -> Encoder:
    """Build the UE side of a model.

    Raises:
        DataFileError: If the model names a codec that does not exist, lacks a tensor of it, or has another payload.
    """
    entry = _entry(model)
    try:
        encoder = entry.encoder(model, device)
    except KeyError as error:
        raise _lacking(model, error) from None
    _require_payload(model, of_symbols=isinstance(encoder, SymbolEncoder))
    return encoder


def make_decoder(model: ModelFile, device: torch.device) -> Decoder:
    """Build the base-station side of a model.

    Raises:
        DataFileError: If the model names a codec that does not exist, lacks a tensor of it, or has another payload.
    """
    entry = _entry(model)
    try:
        decoder = entry.decoder(model, device)
    except KeyError as error:
        raise _lacking(model, error) from None
    _require_payload(model, of_symbols=isinstance(decoder, SymbolDecoder))
    return decoder


def _entry(model: ModelFile) -> CodecEntry:
    try:
        return CODECS[model.card.codec]
    except KeyError:
        names = ", ".join(CODECS)
        raise DataFileError(
            f"`codec` of model {model.card.name} must be one of {names}; got {model.card.codec!r}."
        ) from None


def _require_payload(model: ModelFile, *, of_symbols: bool) -> None:
    card, found = model.card, "symbols" if of_symbols else "bits"
    if card.payload != found:
        raise DataFileError(
            f"`payload` of model {card.name} must be {found}, as codec {card.codec}'s is; got {card.payload}."
        )


def _lacking(model: ModelFile, error: KeyError) -> DataFileError:
    return DataFileError(
        f"model {model.card.name} must hold tensor {error} of codec {model.card.codec}; found {sorted(model.tensors)}."
    )
