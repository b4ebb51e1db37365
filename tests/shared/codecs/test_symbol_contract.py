"""The checks of a codec of symbols: one that breaks a promise fails the check of that."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs import CodecEntry, DecodeContext, EncodeContext
from shared.codecs.contract import run_checks
from shared.codecs.klt_analog import KltAnalogDecoder, KltAnalogEncoder
from shared.codecs.reference import OwnModel
from shared.codecs.symbol_contract import SYMBOL_CHECKS
from shared.codecs.trial import Trial, make_trial
from shared.errors import CodecError
from shared.model_files import ModelFile, load_model
from shared.types import Payload, Received, ReceivedKind, Reconstruction, Symbols, no_bits


class InDouble(KltAnalogEncoder):
    def encode_symbols(self, h_est: Tensor, context: EncodeContext) -> Symbols:
        return Symbols(super().encode_symbols(h_est, context).values.astype(np.complex128))


class Silent(KltAnalogEncoder):
    def encode_symbols(self, h_est: Tensor, context: EncodeContext) -> Symbols:
        return Symbols(0 * super().encode_symbols(h_est, context).values)


class InPlace(KltAnalogEncoder):
    def encode_symbols(self, h_est: Tensor, context: EncodeContext) -> Symbols:
        symbols = super().encode_symbols(h_est, context)
        h_est *= 2
        return symbols


class Chance(KltAnalogEncoder):
    random = np.random.default_rng(0)

    def encode_symbols(self, h_est: Tensor, context: EncodeContext) -> Symbols:
        values = super().encode_symbols(h_est, context).values
        return Symbols(values * self.random.random(values.shape, dtype=np.float32))


class AgainstTheBatch(KltAnalogEncoder):
    def encode_symbols(self, h_est: Tensor, context: EncodeContext) -> Symbols:
        values = super().encode_symbols(h_est, context).values
        return Symbols(values - 0.1 * values.mean(axis=0))


class MakesBits(KltAnalogEncoder):
    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        return no_bits(len(h_est))


class NotValid(KltAnalogDecoder):
    def decode_symbols(self, received: Received, context: DecodeContext) -> Reconstruction:
        reconstruction = super().decode_symbols(received, context)
        return replace(reconstruction, valid=np.zeros(len(received.length), dtype=np.bool_))


class Drift(KltAnalogDecoder):
    calls = 0

    def decode_symbols(self, received: Received, context: DecodeContext) -> Reconstruction:
        Drift.calls += 1
        reconstruction = super().decode_symbols(received, context)
        return replace(reconstruction, h_hat=reconstruction.h_hat + Drift.calls)


class MeanOfTheBatch(KltAnalogDecoder):
    def decode_symbols(self, received: Received, context: DecodeContext) -> Reconstruction:
        h_hat = super().decode_symbols(received, context).h_hat
        return Reconstruction(h_hat - 0.1 * h_hat.mean(0), np.ones(len(h_hat), dtype=np.bool_))


class Overflows(KltAnalogDecoder):
    def decode_symbols(self, received: Received, context: DecodeContext) -> Reconstruction:
        reconstruction = super().decode_symbols(received, context)
        power = torch.from_numpy(np.square(np.abs(received.values), dtype=np.float32).sum(axis=1))
        return replace(reconstruction, h_hat=reconstruction.h_hat + 0 * power[:, None, None, None])


class RefusesSilence(KltAnalogDecoder):
    def decode_symbols(self, received: Received, context: DecodeContext) -> Reconstruction:
        reconstruction = super().decode_symbols(received, context)
        if not received.values.any():
            raise CodecError("`received` must have power; got none.")
        return reconstruction


class AnyNumber(KltAnalogDecoder):
    def decode_symbols(self, received: Received, context: DecodeContext) -> Reconstruction:
        self.card.require_rate(context.rate)
        n, shape = len(received.length), (len(received.length), context.rate)
        values, noise = np.ones(shape, dtype=np.complex64), np.ones(shape, dtype=np.float32)
        received = Received(ReceivedKind.SYMBOLS, values, np.full(n, context.rate), noise)
        return super().decode_symbols(received, context)


def trial_of(
    h: Tensor,
    encoder: type[KltAnalogEncoder] = KltAnalogEncoder,
    decoder: type[KltAnalogDecoder] = KltAnalogDecoder,
) -> Trial:
    def load() -> ModelFile:
        model = load_model("klt-analog")
        return OwnModel(model.card, model.tensors, CodecEntry(encoder, decoder))

    return replace(make_trial(load, h), rates=(1, 40, 128))


def test_a_codec_that_keeps_the_contract_passes_every_check(indoor: ChannelSet) -> None:
    assert run_checks(trial_of(indoor.h[:16])) == dict.fromkeys(SYMBOL_CHECKS)


@pytest.mark.parametrize(
    ("encoder", "decoder", "check", "sentence"),
    [
        (InDouble, KltAnalogDecoder, "declared symbols are real symbols", "at 1 symbols, those of 3 reports are compl"),
        (Silent, KltAnalogDecoder, "declared symbols are real symbols", "at 1 symbols, a report is not finite, or has"),
        (KltAnalogEncoder, NotValid, "what is encoded decodes to channels", "at 1 symbols, h_hat of what was encoded"),
        (InPlace, KltAnalogDecoder, "results repeat exactly", "at 1 symbols, the encoder changes `h_est`"),
        (Chance, KltAnalogDecoder, "results repeat exactly", "at 1 symbols, two encoders give different symbols"),
        (KltAnalogEncoder, Drift, "results repeat exactly", "at 1 symbols, two decoders give different channels"),
        (AgainstTheBatch, KltAnalogDecoder, "a batch is its reports", "at 1 symbols, they are 0."),
        (KltAnalogEncoder, MeanOfTheBatch, "a batch is its reports", "at 1 symbols, h_hat is 0."),
        (
            KltAnalogEncoder,
            Overflows,
            "any symbols decode or are not valid",
            "at 1 symbols, h_hat of random symbols is",
        ),
        (KltAnalogEncoder, RefusesSilence, "any symbols decode or are not valid", "CodecError: `received` must have"),
        (KltAnalogEncoder, AnyNumber, "another number is refused", "0 symbols, for 1, raise no CodecError"),
        (MakesBits, KltAnalogDecoder, "bits are refused", "`encode` of bits raises no CodecError"),
        (KltAnalogEncoder, AnyNumber, "bits are refused", "`decode_symbols` of bits raises no CodecError"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_a_broken_promise_is_found_and_named(
    indoor: ChannelSet,
    encoder: type[KltAnalogEncoder],
    decoder: type[KltAnalogDecoder],
    check: str,
    sentence: str,
) -> None:
    found = run_checks(trial_of(indoor.h[:16], encoder, decoder))[check]
    assert found is not None
    assert found.startswith(sentence)
