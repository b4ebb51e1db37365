"""The checks of the contract: a codec that keeps it passes all; one that breaks a promise fails the check of that."""

from functools import partial
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs import CodecEntry, DecodeContext, EncodeContext, Fitted, load_codec, make_model, require_length
from shared.codecs.contract import CHECKS, run_checks
from shared.codecs.reference import OwnModel
from shared.codecs.trial import Trial, make_trial
from shared.errors import CodecError, InvalidArgumentError
from shared.model_files import ModelFile
from shared.types import CsiShape, Payload, Reconstruction

SHAPE = CsiShape("angular-delay", 1, 4, 4)
H = torch.randn(16, 1, 4, 4, dtype=torch.complex64, generator=torch.Generator().manual_seed(3))  # no report without a 1


class SignEncoder:
    """Sends the signs of the first ``rate`` reals."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card

    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        self.card.shape.require(h_est, "h_est")
        self.card.require_rate(context.rate)
        return self.payload(torch.view_as_real(h_est).flatten(1)[:, : context.rate], context)

    def payload(self, reals: Tensor, context: EncodeContext) -> Payload:
        return Payload.of_equal_length((reals > 0).numpy().astype(np.uint8))


class SignDecoder:
    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card
        self.mean_csi = torch.zeros(SHAPE.dims, dtype=torch.complex64)

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        self.card.require_rate(context.rate)
        require_length(payload, context.rate)
        return self.reconstruction(payload.bits)

    def reconstruction(self, bits: np.ndarray) -> Reconstruction:
        reals = torch.zeros(len(bits), 2 * SHAPE.num_complex)
        reals[:, : bits.shape[1]] = torch.from_numpy(2.0 * bits - 1)
        return self.channels(reals)

    def channels(self, reals: Tensor) -> Reconstruction:
        h_hat = torch.view_as_complex(reals.view(-1, *SHAPE.dims, 2))
        return Reconstruction(h_hat, np.ones(len(h_hat), dtype=np.bool_))


class OneBitTooMany(SignEncoder):
    def payload(self, reals: Tensor, context: EncodeContext) -> Payload:
        return Payload.of_equal_length(np.ones((len(reals), context.rate + 1), dtype=np.uint8))


class BitsThatAreNone(SignEncoder):
    def payload(self, reals: Tensor, context: EncodeContext) -> Payload:
        return Payload.of_equal_length(np.full((len(reals), context.rate), 2, dtype=np.uint8))


class AgainstTheBatch(SignEncoder):
    def payload(self, reals: Tensor, context: EncodeContext) -> Payload:
        return Payload.of_equal_length((reals > reals.mean()).numpy().astype(np.uint8))


class InPlace(SignEncoder):
    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        payload = super().encode(h_est, context)
        h_est *= 2
        return payload


class Chance(SignEncoder):
    random = np.random.default_rng(0)

    def payload(self, reals: Tensor, context: EncodeContext) -> Payload:
        return Payload.of_equal_length(self.random.integers(0, 2, (len(reals), context.rate)).astype(np.uint8))


class AnyRate(SignEncoder):
    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        self.card.shape.require(h_est, "h_est")
        return self.payload(torch.view_as_real(h_est).flatten(1)[:, : context.rate], context)


class AnyShape(SignEncoder):
    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        self.card.require_rate(context.rate)
        return self.payload(torch.view_as_real(h_est).flatten(1)[:, : context.rate], context)


class Crash(SignEncoder):
    def payload(self, reals: Tensor, context: EncodeContext) -> Payload:
        raise ZeroDivisionError("of mine")


class NotValid(SignDecoder):
    def channels(self, reals: Tensor) -> Reconstruction:
        return Reconstruction(super().channels(reals).h_hat, np.zeros(len(reals), dtype=np.bool_))


class ValidAsNumbers(SignDecoder):
    def channels(self, reals: Tensor) -> Reconstruction:
        return Reconstruction(super().channels(reals).h_hat, np.ones(len(reals)))  # type: ignore[arg-type]


class Flat(SignDecoder):
    def channels(self, reals: Tensor) -> Reconstruction:
        reconstruction = super().channels(reals)
        return Reconstruction(reconstruction.h_hat.flatten(1), reconstruction.valid)


class Drift(SignDecoder):
    calls = 0

    def channels(self, reals: Tensor) -> Reconstruction:
        Drift.calls += 1
        return super().channels(reals + Drift.calls)


class MeanOfTheBatch(SignDecoder):
    def channels(self, reals: Tensor) -> Reconstruction:
        return super().channels(reals - 0.1 * reals.mean(0))


class InfiniteOnZeros(SignDecoder):
    def reconstruction(self, bits: np.ndarray) -> Reconstruction:
        reconstruction = super().reconstruction(bits)
        reconstruction.h_hat[torch.from_numpy(~bits.any(axis=1))] = torch.inf
        return reconstruction


class CrashOnZeros(SignDecoder):
    def reconstruction(self, bits: np.ndarray) -> Reconstruction:
        if not bits.any():
            raise IndexError("no tap")
        return super().reconstruction(bits)


class ZerosNotValid(SignDecoder):
    def reconstruction(self, bits: np.ndarray) -> Reconstruction:
        return Reconstruction(super().reconstruction(bits).h_hat, bits.max(axis=1) > 0)


class RefusesZeros(SignDecoder):
    def reconstruction(self, bits: np.ndarray) -> Reconstruction:
        if not bits.any():
            raise CodecError("`payload` must have a tap; got none.")
        return super().reconstruction(bits)


class AnyLength(SignDecoder):
    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        self.card.require_rate(context.rate)
        return self.reconstruction(payload.bits)


class DecodesAnyRate(SignDecoder):
    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        require_length(payload, context.rate)
        return self.reconstruction(payload.bits[:, :32])


class NoMean(SignDecoder):
    def __init__(self, model: ModelFile, device: torch.device) -> None:
        super().__init__(model, device)
        self.mean_csi = torch.full(SHAPE.dims, torch.nan, dtype=torch.complex64)


class WithoutItsEnd(SignEncoder):
    """Leaves out the zeros at the end of a report, all but one bit."""

    def payload(self, reals: Tensor, context: EncodeContext) -> Payload:
        bits = super().payload(reals, context).bits
        length = np.maximum(bits.shape[1] - np.argmax(bits[:, ::-1], axis=1), 1)
        return Payload(bits[:, : length.max()], length)


class NotZeroBeyond(WithoutItsEnd):
    def payload(self, reals: Tensor, context: EncodeContext) -> Payload:
        payload = super().payload(reals, context)
        return Payload(
            np.maximum(payload.bits, np.arange(payload.bits.shape[1]) >= payload.length[:, None]), payload.length
        )


class LongerThanAnyEntropyCode(WithoutItsEnd):
    def payload(self, reals: Tensor, context: EncodeContext) -> Payload:
        most = self.card.num_bits_range(context.rate)[1]
        return Payload.of_equal_length(np.ones((len(reals), most + 1), dtype=np.uint8))


class LengthOfTheBatch(WithoutItsEnd):
    """Gives every report a zero more than the longest of its batch."""

    def payload(self, reals: Tensor, context: EncodeContext) -> Payload:
        return Payload.of_equal_length(np.pad(super().payload(reals, context).bits, ((0, 0), (0, 1))))


class AnyEnd(SignDecoder):
    """Takes what is missing for zeros; what is longer than a codeword is none."""

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        self.card.require_rate(context.rate)
        require_length(payload, *self.card.num_bits_range(context.rate))
        bits = np.zeros((len(payload.length), context.rate), dtype=np.uint8)
        bits[:, : payload.bits.shape[1]] = payload.bits[:, : context.rate]
        reconstruction = self.reconstruction(bits)
        return Reconstruction(reconstruction.h_hat, reconstruction.valid & (payload.length <= context.rate))


class RefusesWhatIsTooLong(AnyEnd):
    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        if payload.bits.shape[1] > context.rate:
            raise CodecError("`payload` must be a codeword; got more.")
        return super().decode(payload, context)


class CrashesOnWhatIsShort(AnyEnd):
    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        if (payload.length < 2).any():
            raise IndexError("no second bit")
        return super().decode(payload, context)


class CrashesOnNothing(AnyEnd):
    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        if not payload.length.all():
            raise IndexError("no bit")
        return super().decode(payload, context)


class TakesNothing(AnyEnd):
    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        within = np.clip(payload.length, *self.card.num_bits_range(context.rate))
        bits = payload.bits[:, : within.max()]
        padded = np.pad(bits, ((0, 0), (0, within.max() - bits.shape[1])))
        return super().decode(Payload(padded, within), context)


def trial_of(
    encoder: type[SignEncoder] = SignEncoder,
    decoder: type[SignDecoder] = SignDecoder,
    length: Literal["fixed", "variable"] = "fixed",
) -> Trial:
    model = make_model("signs", SHAPE, Fitted({}, "Signs", "here", rates=(5, 32), length=length))
    return make_trial(lambda: OwnModel(model.card, model.tensors, CodecEntry(encoder, decoder)), H)


@pytest.mark.parametrize("decoder", [SignDecoder, ZerosNotValid])
def test_a_codec_that_keeps_the_contract_passes_every_check(decoder: type[SignDecoder]) -> None:
    assert run_checks(trial_of(decoder=decoder)) == dict.fromkeys(CHECKS)


@pytest.mark.parametrize(
    ("encoder", "decoder", "check", "sentence"),
    [
        (
            OneBitTooMany,
            SignDecoder,
            "declared bits are real bits",
            "at 5 bits, the payload of 3 reports is uint8 [3, 6]",
        ),
        (BitsThatAreNone, SignDecoder, "declared bits are real bits", "at 5 bits, a bit is 2"),
        (Crash, SignDecoder, "declared bits are real bits", "ZeroDivisionError: of mine (test_contract.py, line "),
        (
            SignEncoder,
            NotValid,
            "what is encoded decodes to channels",
            "at 5 bits, h_hat of what was encoded is not valid",
        ),
        (
            SignEncoder,
            Flat,
            "what is encoded decodes to channels",
            "at 5 bits, h_hat is torch.complex64 [3, 16], not com",
        ),
        (
            SignEncoder,
            ValidAsNumbers,
            "what is encoded decodes to channels",
            "at 5 bits, h_hat comes with `valid` float64",
        ),
        (SignEncoder, NoMean, "the mean channel is a channel", "`mean_csi` is not finite"),
        (InPlace, SignDecoder, "results repeat exactly", "at 5 bits, the encoder changes `h_est`"),
        (Chance, SignDecoder, "results repeat exactly", "at 5 bits, two encoders give different bits"),
        (SignEncoder, Drift, "results repeat exactly", "at 5 bits, two decoders give different channels"),
        (AgainstTheBatch, SignDecoder, "a batch is its reports", "at 5 bits, 0."),
        (SignEncoder, MeanOfTheBatch, "a batch is its reports", "at 5 bits, h_hat is 0."),
        (
            SignEncoder,
            InfiniteOnZeros,
            "any bits decode or are not valid",
            "at 5 bits, h_hat of random bits is not finite",
        ),
        (
            SignEncoder,
            RefusesZeros,
            "any bits decode or are not valid",
            "CodecError: `payload` must have a tap; got none",
        ),
        (SignEncoder, CrashOnZeros, "any bits decode or are not valid", "IndexError: no tap (test_contract.py, line "),
        (SignEncoder, AnyLength, "another length is refused", "a payload of [4, 4] bits, for 5, raises no CodecError"),
        (AnyRate, SignDecoder, "another rate is refused", "the encoder takes a rate of 4 bits"),
        (SignEncoder, DecodesAnyRate, "another rate is refused", "the decoder takes a rate of 4 bits"),
        (AnyShape, SignDecoder, "another shape is refused", "the encoder takes channels of shape [1, 1, 4, 5]"),
    ],
)
def test_a_broken_promise_is_found_and_named(
    encoder: type[SignEncoder], decoder: type[SignDecoder], check: str, sentence: str
) -> None:
    found = run_checks(trial_of(encoder, decoder))[check]
    assert found is not None
    assert found.startswith(sentence)


def test_a_codec_of_variable_length_that_keeps_the_contract_passes_every_check(
    golomb_taps: str, indoor: ChannelSet
) -> None:
    for decoder in (AnyEnd, TakesNothing):
        assert run_checks(trial_of(WithoutItsEnd, decoder, "variable")) == dict.fromkeys(CHECKS)
    assert run_checks(make_trial(partial(load_codec, golomb_taps), indoor.h[:16])) == dict.fromkeys(CHECKS)


@pytest.mark.parametrize(
    ("encoder", "decoder", "check", "sentence"),
    [
        (
            LongerThanAnyEntropyCode,
            AnyEnd,
            "declared bits are real bits",
            "at 5 bits, the payload of 3 reports is uint8 [3, 95], length [95, 95, 95]",
        ),
        (NotZeroBeyond, AnyEnd, "declared bits are real bits", "at 5 bits, the payload is not zero beyond the length"),
        (LengthOfTheBatch, AnyEnd, "a batch is its reports", "at 5 bits, the length of a report depends on the batch"),
        (
            WithoutItsEnd,
            RefusesWhatIsTooLong,
            "any bits decode or are not valid",
            "CodecError: `payload` must be a codeword; got more.",
        ),
        (WithoutItsEnd, CrashesOnWhatIsShort, "any bits decode or are not valid", "IndexError: no second bit"),
        (
            WithoutItsEnd,
            CrashesOnNothing,
            "another length is refused",
            "IndexError: no bit",
        ),
    ],
)
def test_a_broken_promise_of_a_codec_of_variable_length_is_found_and_named(
    encoder: type[SignEncoder], decoder: type[SignDecoder], check: str, sentence: str
) -> None:
    found = run_checks(trial_of(encoder, decoder, "variable"))[check]
    assert found is not None
    assert found.startswith(sentence)


def test_a_codec_of_fixed_length_whose_reports_differ_is_found() -> None:
    found = run_checks(trial_of(WithoutItsEnd))["declared bits are real bits"]
    assert found is not None
    assert found.startswith("at 5 bits, the payload of 3 reports is uint8 [3, 5], length [")


def test_a_model_that_is_another_each_time_it_is_built_is_found() -> None:
    digests = iter(f"{i:064x}" for i in range(100))

    def load() -> ModelFile:
        model = make_model("signs", SHAPE, Fitted({}, "Signs", "here", rates=(5, 32)))
        return OwnModel(
            model.card.model_copy(update={"sha256": next(digests)}), {}, CodecEntry(SignEncoder, SignDecoder)
        )

    found = run_checks(make_trial(load, H))
    assert [name for name, wrong in found.items() if wrong] == ["the model has one digest"]
    assert found["the model has one digest"] == (
        "the model, built twice, has two digests: the two sides would not pair"
    )


def test_rates_are_few_over_the_whole_range_and_all_where_the_range_is_small() -> None:
    assert trial_of().rates == tuple(np.linspace(5, 32, 16).astype(int))
    model = make_model("signs", SHAPE, Fitted({}, "Signs", "here", rates=(5, 8)))
    assert make_trial(lambda: model, H).rates == (5, 6, 7, 8)


def test_channels_that_are_too_few_or_of_another_shape_are_refused() -> None:
    load = trial_of().load
    with pytest.raises(InvalidArgumentError, match="`h` must hold at least 16 channels; got 15"):
        make_trial(load, H[:15])
    with pytest.raises(InvalidArgumentError, match=r"`h` must be \[batch, 1, 4, 4\] complex64; got \[16, 4, 4\]"):
        make_trial(load, H[:, 0])


@pytest.mark.parametrize("rates", [(), (5, 5), (6, 5)])
def test_rates_that_are_no_range_make_no_model(rates: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="`rates` of model signs must be given and increase; got"):
        make_model("signs", SHAPE, Fitted({}, "Signs", "here", rates))
