"""The codecs, h <-> payload. A new one is one file (or folder) here and one line in `CODECS`.

A user's own needs neither: see `shared.codecs.reference`.
"""

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
    require_length,
)
from shared.codecs.codebook.etype2 import Etype2Decoder, Etype2Encoder
from shared.codecs.codebook.type1 import Type1Decoder, Type1Encoder
from shared.codecs.compressed_sensing.front_end import CompressedSensingEncoder
from shared.codecs.compressed_sensing.lasso import CsLassoDecoder
from shared.codecs.compressed_sensing.omp import CsOmpDecoder
from shared.codecs.csi_inr.codec import make_csi_inr_decoder, make_csi_inr_encoder
from shared.codecs.fitted import Fitted, make_model
from shared.codecs.float32 import FloatDecoder, FloatEncoder
from shared.codecs.inric.codec import InricDecoder, InricEncoder
from shared.codecs.invcsinet.codec import InvCsiNetDecoder, InvCsiNetEncoder
from shared.codecs.jscc.codec import make_jscc_decoder, make_jscc_encoder
from shared.codecs.klt import KltDecoder, KltEncoder
from shared.codecs.klt_analog import KltAnalogDecoder, KltAnalogEncoder
from shared.codecs.reference import OwnModel, is_reference, load_codec
from shared.errors import DataFileError
from shared.model_files import ModelFile

CODECS: dict[str, CodecEntry] = {
    "klt": CodecEntry(KltEncoder, KltDecoder),
    "klt-analog": CodecEntry(KltAnalogEncoder, KltAnalogDecoder),
    "angular-topk": CodecEntry(AngularTopkEncoder, AngularTopkDecoder),
    "cs-omp": CodecEntry(CompressedSensingEncoder, CsOmpDecoder),
    "cs-lasso": CodecEntry(CompressedSensingEncoder, CsLassoDecoder),
    "csinet": CodecEntry(AutoencoderEncoder, AutoencoderDecoder),
    "csinet-plus": CodecEntry(AutoencoderEncoder, AutoencoderDecoder),
    "crnet": CodecEntry(AutoencoderEncoder, AutoencoderDecoder),
    "dnnet": CodecEntry(AutoencoderEncoder, AutoencoderDecoder),
    "atnet": CodecEntry(AutoencoderEncoder, AutoencoderDecoder),
    "transnet": CodecEntry(AutoencoderEncoder, AutoencoderDecoder),
    "dcrnet": CodecEntry(AutoencoderEncoder, AutoencoderDecoder),
    "invcsinet": CodecEntry(InvCsiNetEncoder, InvCsiNetDecoder),
    "csi-inr": CodecEntry(make_csi_inr_encoder, make_csi_inr_decoder),
    "inric": CodecEntry(InricEncoder, InricDecoder),
    "coin": CodecEntry(InricEncoder, InricDecoder),
    "coin-plus-plus": CodecEntry(make_csi_inr_encoder, make_csi_inr_decoder),
    "rd-jscc": CodecEntry(make_jscc_encoder, make_jscc_decoder),
    "adjscc": CodecEntry(make_jscc_encoder, make_jscc_decoder),
    "djscc-csinet-plus": CodecEntry(make_jscc_encoder, make_jscc_decoder),
    "unet-jscc": CodecEntry(make_jscc_encoder, make_jscc_decoder),
    "type1": CodecEntry(Type1Encoder, Type1Decoder),
    "etype2": CodecEntry(Etype2Encoder, Etype2Decoder),
    "float": CodecEntry(FloatEncoder, FloatDecoder),
}

__all__ = [
    "CODECS",
    "CodecEntry",
    "DecodeContext",
    "Decoder",
    "EncodeContext",
    "Encoder",
    "Fitted",
    "SymbolDecoder",
    "SymbolEncoder",
    "load_codec",
    "make_decoder",
    "make_encoder",
    "make_model",
    "require_length",
]


def make_encoder(model: ModelFile, device: torch.device) -> Encoder:
    """Build the UE side of a model.

    Raises:
        DataFileError: If the model names a codec that does not exist, or code that the user did not; or if it lacks
            a tensor of its codec, or has another payload.
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
        DataFileError: If the model names a codec that does not exist, or code that the user did not; or if it lacks
            a tensor of its codec, or has another payload.
    """
    entry = _entry(model)
    try:
        decoder = entry.decoder(model, device)
    except KeyError as error:
        raise _lacking(model, error) from None
    _require_payload(model, of_symbols=isinstance(decoder, SymbolDecoder))
    return decoder


def _entry(model: ModelFile) -> CodecEntry:
    if isinstance(model, OwnModel):
        return model.entry
    name, codec = model.card.name, model.card.codec
    if is_reference(codec):
        raise DataFileError(
            f"`codec` of model {name} is the code {codec}, which is imported only where it is given: {codec}@FILE."
        )
    try:
        return CODECS[codec]
    except KeyError:
        names = ", ".join(CODECS)
        raise DataFileError(f"`codec` of model {name} must be one of {names}; got {codec!r}.") from None


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
