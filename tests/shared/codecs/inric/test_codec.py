"""The contract on small networks, and what it does not ask: starts, steps, CoINR, bits that are none."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, make_decoder, make_encoder
from shared.codecs.contract import CHECKS
from shared.codecs.fitted import make_model
from shared.codecs.inric.codec import architecture_of
from shared.codecs.network_files import SHAPE
from shared.codecs.trial import Trial
from shared.errors import DataFileError, InvalidArgumentError
from shared.inr.csi_signals import grid_of, signals_of
from shared.inr.meta_siren import MetaOptions, meta_learn
from shared.inr.start_file import StartFile, card_of
from shared.metrics import nmse
from shared.model_files import ModelFile
from shared.network_settings import SirenSettings
from shared.rng import Randomness
from shared.training.inric import Codec, base_macs, fit_inric, num_passes
from shared.transforms import from_angular_delay
from shared.types import Payload

CPU = torch.device("cpu")
BASIC = SirenSettings(width=6, num_hidden=1, num_frequencies=2, inner_steps=0, steps=5, bits=(3, 8))
STARTED = BASIC.model_copy(update={"inner_steps": 2})
META = MetaOptions(num_steps=3, batch_size=4, inner_steps=2, inner_rate=1e-2, validate_every=1)


def learned_start(h: torch.Tensor) -> StartFile:
    shape, signals = architecture_of(STARTED), signals_of(from_angular_delay(h))
    start, _ = meta_learn(shape, shape.features(grid_of(SHAPE)), signals[4:], signals[:4], META)
    size = {"num_rows": 32, "num_columns": 32}
    told = {"name": "mine", "inner_steps": 2, "trained_on": "some", "validation_loss": 1.0, "recipe": "by hand"}
    return StartFile(card_of(shape, **size, **told), start)


def small_model(h: torch.Tensor, settings: SirenSettings = BASIC, codec: Codec = "inric") -> ModelFile:
    fitted = fit_inric(codec, h, settings, learned_start(h) if settings.inner_steps else None)
    return make_model("small", SHAPE, fitted, codec)


def context(count: int, rate: int, encode_steps: int | None = None) -> EncodeContext:
    streams = Randomness(1, np.zeros(count, int), np.arange(count))
    return EncodeContext(rate, np.zeros(count, dtype=np.float32), streams, encode_steps)


def decoding(count: int, rate: int) -> DecodeContext:
    return DecodeContext(rate, np.zeros(count, dtype=np.float32))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    "settings",
    [BASIC, STARTED, BASIC.model_copy(update={"sparse_share": 0.25})],
    ids=["random start", "learned start", "CoINR"],
)
def test_every_check_holds(settings: SirenSettings, check: str, indoor: ChannelSet) -> None:
    built = small_model(indoor.h[:32], settings)
    rates = (built.card.min_rate, built.card.min_rate + 1, built.card.max_rate)
    assert CHECKS[check](Trial(lambda: built, built.card, indoor.h[:16], rates)) is None


@pytest.mark.parametrize("settings", [BASIC, STARTED])
def test_more_steps_and_more_bits_bring_the_channel_nearer(settings: SirenSettings, indoor: ChannelSet) -> None:
    built, h = small_model(indoor.h[:32], settings), indoor.h[:4]
    encoder, decoder = make_encoder(built, CPU), make_decoder(built, CPU)
    num_weights = architecture_of(settings).num_weights

    def error(bits: int, steps: int) -> float:
        payload = encoder.encode(h, context(4, bits * num_weights, steps))
        return float(nmse(decoder.decode(payload, decoding(4, bits * num_weights)).h_hat, h).mean())

    assert error(8, 150) < error(8, 5)
    assert error(8, 150) < error(3, 150)


def test_a_rate_between_takes_the_bits_below(indoor: ChannelSet) -> None:
    built, h = small_model(indoor.h[:32]), indoor.h[:2]
    encoder, rate = make_encoder(built, CPU), built.card.min_rate
    one, other = (encoder.encode(h, context(2, number)) for number in (rate, rate + 5))
    np.testing.assert_array_equal(one.bits, other.bits)


def test_coin_has_neither_encoding_nor_start(indoor: ChannelSet) -> None:
    settings = BASIC.model_copy(update={"num_frequencies": 0, "bits": (16, 16)})
    card = small_model(indoor.h[:8], settings, "coin").card
    assert (card.codec, card.length, card.min_rate) == ("coin", "variable", 16 * architecture_of(settings).num_weights)
    with pytest.raises(
        InvalidArgumentError, match="`num_frequencies` and `inner_steps` of coin must be 0; got 2 and 0"
    ):
        small_model(indoor.h[:8], BASIC, "coin")


def test_bits_that_are_no_update_are_not_valid(indoor: ChannelSet) -> None:
    built = small_model(indoor.h[:32])
    rate = built.card.min_rate
    bits = np.ones((2, 200), dtype=np.uint8)  # scales that are not finite
    assert not make_decoder(built, CPU).decode(Payload.of_equal_length(bits), decoding(2, rate)).valid.any()


def test_a_report_of_other_bits_than_its_rate_is_not_valid(indoor: ChannelSet) -> None:
    built = small_model(indoor.h[:32])
    encoder, decoder, num_weights = (
        make_encoder(built, CPU),
        make_decoder(built, CPU),
        architecture_of(BASIC).num_weights,
    )
    payload = encoder.encode(indoor.h[:2], context(2, 8 * num_weights))
    assert decoder.decode(payload, decoding(2, 8 * num_weights)).valid.all()
    assert not decoder.decode(payload, decoding(2, 4 * num_weights)).valid.any()


def test_an_encoder_works_where_gradients_are_off(indoor: ChannelSet) -> None:
    built = small_model(indoor.h[:32])
    encoder, rate = make_encoder(built, CPU), built.card.min_rate
    with torch.no_grad():
        payload = encoder.encode(indoor.h[:1], context(1, rate))
    np.testing.assert_array_equal(payload.bits, encoder.encode(indoor.h[:1], context(1, rate)).bits)


def test_a_network_that_takes_seconds_to_decode_is_refused() -> None:
    with pytest.raises(ValueError, match="must give at most 100000 weights"):
        SirenSettings(width=1024, num_hidden=1, num_frequencies=0, inner_steps=0, steps=1, bits=(8, 8))


def test_steps_that_are_none_are_refused(indoor: ChannelSet) -> None:
    built = small_model(indoor.h[:32])
    with pytest.raises(InvalidArgumentError, match="`encode_steps` must be at least 1; got 0"):
        make_encoder(built, CPU).encode(indoor.h[:1], context(1, built.card.min_rate, 0))


def test_macs_are_those_of_a_pass_and_of_the_steps(indoor: ChannelSet) -> None:
    card = small_model(indoor.h[:8], STARTED).card
    assert card.decoder_macs == base_macs(STARTED) == 1024 * (6 * 10 + 6 * 6 + 2 * 6)
    assert card.encoder_macs == 3 * (2 + 5) * card.decoder_macs
    rounded = STARTED.model_copy(update={"stage": "adaround-retrained", "adaround_steps": 100})
    assert num_passes(rounded) == 2 + 5 + 100 + 300
    assert num_passes(rounded.model_copy(update={"sparse_share": 0.5})) == 2 + 5


def test_settings_must_be_those_of_the_start(indoor: ChannelSet) -> None:
    start = learned_start(indoor.h[:8])
    with pytest.raises(InvalidArgumentError, match="`inner_steps` must be the start's, 2; got 0"):
        fit_inric("inric", indoor.h[:8], BASIC, start)
    with pytest.raises(InvalidArgumentError, match="`start` must be the weights"):
        fit_inric("inric", indoor.h[:8], STARTED.model_copy(update={"width": 5}), start)


def test_a_file_that_is_not_what_its_card_says_is_refused(indoor: ChannelSet) -> None:
    built = small_model(indoor.h[:32], STARTED)
    short = dict(built.tensors, **{"network.first.weight": built.tensors["network.first.weight"][:, :-1]})
    with pytest.raises(DataFileError, match="model small: `start` must be the weights"):
        make_encoder(ModelFile(built.card, short), CPU)
    rates = dict(built.tensors, **{"rates.output.bias": torch.zeros(5, 2)})
    with pytest.raises(
        DataFileError, match=r"rates of `output\.bias` must be \[1 or 2\] or \[1 or 2, 2\]; got \[5, 2\]"
    ):
        make_encoder(ModelFile(built.card, rates), CPU)
    lacking = {name: tensor for name, tensor in built.tensors.items() if name != "rates.output.bias"}
    with pytest.raises(DataFileError, match=r"must hold tensor 'rates\.output\.bias'"):
        make_decoder(ModelFile(built.card, lacking), CPU)
    with pytest.raises(DataFileError, match="must be the weights of a SIREN"):
        make_decoder(replace(built, card=built.card.model_copy(update={"siren": None})), CPU)
