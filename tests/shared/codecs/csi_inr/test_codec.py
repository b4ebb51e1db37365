"""The contract on small models with fresh weights, and what it does not ask: steps, tables, norms, cards that lie."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, SymbolEncoder, make_decoder, make_encoder
from shared.codecs.contract import CHECKS
from shared.codecs.csi_inr.codec import CsiInrBitEncoder, fit_codewords, load_csi_inr, rate_range
from shared.codecs.csi_inr.network import CsiInr
from shared.codecs.fitted import make_model
from shared.codecs.network_files import SHAPE
from shared.codecs.symbol_contract import SYMBOL_CHECKS
from shared.codecs.trial import Trial, make_trial
from shared.coding.arithmetic import TOTAL
from shared.coding.latents import latent_widths
from shared.errors import CodecError, DataFileError, InvalidArgumentError
from shared.model_files import ModelFile, TrainingRecord, load_model
from shared.network_settings import CoordinateSettings
from shared.rng import Randomness
from shared.training.csi_inr import as_csi_inr_codec
from shared.transmit import make_transmitter
from shared.types import Payload

CPU = torch.device("cpu")
SETTINGS = CoordinateSettings(num_latents=6, width=16, num_layers=2, omega_0=5.0)


def small_model(h: torch.Tensor, coding: str = "uniform", modulation: str = "film") -> ModelFile:
    settings = SETTINGS.model_copy(update={"coding": coding, "modulation": modulation})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        network = CsiInr(settings).eval()
    record = TrainingRecord(loss="none", epochs=None, samples_seen=None)
    return make_model("small", SHAPE, as_csi_inr_codec(network, settings, h, record), settings.codec)


def context(count: int, rate: int, encode_steps: int | None = None) -> EncodeContext:
    streams = Randomness(1, np.zeros(count, int), np.arange(count))
    return EncodeContext(rate, np.zeros(count, dtype=np.float32), streams, encode_steps)


def decoding(count: int, rate: int) -> DecodeContext:
    return DecodeContext(rate, np.zeros(count, dtype=np.float32))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(("coding", "modulation"), [("uniform", "film"), ("entropy", "film"), ("uniform", "shift")])
def test_every_check_of_bits_holds(coding: str, modulation: str, check: str, indoor: ChannelSet) -> None:
    built = small_model(indoor.h[:64], coding, modulation)
    rates = (built.card.min_rate, built.card.min_rate + 1, built.card.max_rate)  # each is another fit of each report
    assert CHECKS[check](Trial(lambda: built, built.card, indoor.h[:16], rates)) is None


@pytest.mark.parametrize("check", SYMBOL_CHECKS)
def test_every_check_of_symbols_holds(check: str, indoor: ChannelSet) -> None:
    built = small_model(indoor.h[:64], "analog")
    assert SYMBOL_CHECKS[check](make_trial(lambda: built, indoor.h[:16])) is None


def test_what_is_decoded_is_the_network_at_the_middle_of_each_step(indoor: ChannelSet) -> None:
    built, h = small_model(indoor.h[:64]), indoor.h[:4]
    payload = make_encoder(built, CPU).encode(h, context(4, 6 * 14))
    h_hat = make_decoder(built, CPU).decode(payload, decoding(4, 6 * 14)).h_hat
    network = load_csi_inr(built)
    with torch.no_grad():
        wanted = network(fit_codewords(network, h, 3))
    torch.testing.assert_close(h_hat, wanted, rtol=0, atol=1e-2)  # of 14 bits an entry


def test_a_ue_may_take_other_steps_than_the_model(indoor: ChannelSet) -> None:
    encoder, h = make_encoder(small_model(indoor.h[:64]), CPU), indoor.h[:4]
    asked = encoder.encode(h, context(4, 84, 3)).bits
    np.testing.assert_array_equal(asked, encoder.encode(h, context(4, 84)).bits)
    assert (asked != encoder.encode(h, context(4, 84, 1)).bits).any()
    with pytest.raises(InvalidArgumentError, match="`encode_steps` must be at least 1; got 0"):
        encoder.encode(h, context(4, 84, 0))


def test_entropy_coded_reports_say_the_same_in_fewer_bits(indoor: ChannelSet) -> None:
    h = indoor.h[:64]
    plain, coded = small_model(h), small_model(h, "entropy")
    rate = 6 * 4
    fixed = make_encoder(plain, CPU).encode(h, context(64, rate))
    payload = make_encoder(coded, CPU).encode(h, context(64, rate))
    assert payload.length.mean() < rate
    h_hat = make_decoder(coded, CPU).decode(payload, decoding(64, rate))
    assert h_hat.valid.all()
    torch.testing.assert_close(h_hat.h_hat, make_decoder(plain, CPU).decode(fixed, decoding(64, rate)).h_hat)


def test_the_mean_length_is_within_two_percent_and_a_bit_of_the_cross_entropy(indoor: ChannelSet) -> None:
    built, test = small_model(indoor.h[:512], "entropy"), indoor.h[512:768]
    payload = make_encoder(built, CPU).encode(test, context(256, 36))
    encoder = CsiInrBitEncoder(built, CPU)
    index = encoder.quantizer.index(fit_codewords(encoder.network, test, 3), latent_widths(36, 6))
    frequency = built.tensors["entropy.6"].diff(dim=1).expand(256, -1, -1).gather(2, index[:, :, None])
    cross_entropy = float((TOTAL / frequency.double()).log2().sum(dim=(1, 2)).mean())
    assert cross_entropy <= payload.length.mean() <= 1.02 * cross_entropy + 1


def test_bits_that_no_report_has_are_not_valid(indoor: ChannelSet) -> None:
    built, h = small_model(indoor.h[:64], "entropy"), indoor.h[:32]
    payload = make_encoder(built, CPU).encode(h, context(32, 24))
    longer = Payload(np.pad(payload.bits, ((0, 0), (0, 3))), payload.length + 3)
    assert not make_decoder(built, CPU).decode(longer, decoding(32, 24)).valid.any()


def test_the_norm_of_an_analog_report_is_that_of_the_training_split(indoor: ChannelSet) -> None:
    built, h = small_model(indoor.h[:64], "analog"), indoor.h[:8]
    encoder = make_encoder(built, CPU)
    assert isinstance(encoder, SymbolEncoder)
    values = encoder.encode_symbols(h, context(8, 3)).values
    assert values.shape == (8, 3)
    assert np.sqrt(np.square(np.abs(values)).sum(axis=1)).mean() == pytest.approx(
        float(built.tensors["analog.norm"]), rel=0.2
    )


def test_rates_follow_the_settings() -> None:
    rates = [rate_range(SETTINGS.model_copy(update={"coding": coding})) for coding in ("uniform", "entropy", "analog")]
    assert rates == [(18, 84), (18, 48), (3, 3)]


def test_a_file_that_is_not_what_its_card_says_is_refused(indoor: ChannelSet) -> None:
    built = small_model(indoor.h[:64], "entropy")
    lacking = {name: tensor for name, tensor in built.tensors.items() if "film" not in name}
    with pytest.raises(DataFileError, match="model small is no coordinate network of its card's settings"):
        make_encoder(ModelFile(built.card, lacking), CPU)
    spoiled = dict(built.tensors, **{"entropy.3": built.tensors["entropy.3"].flip(1)})
    with pytest.raises(DataFileError, match=r"model small: `entropy\.3` must increase from 0 to 65536"):
        make_decoder(ModelFile(built.card, spoiled), CPU)
    short = dict(built.tensors, **{"entropy.3": built.tensors["entropy.3"][:, :-1]})
    with pytest.raises(DataFileError, match=r"`entropy\.3` of model small must be \[6, 9\] int64; got \[6, 8\]"):
        make_decoder(ModelFile(built.card, short), CPU)
    with pytest.raises(DataFileError, match="must be a coordinate network"):
        make_decoder(replace(built, card=built.card.model_copy(update={"coordinates": None})), CPU)


def test_a_codec_of_symbols_refuses_bits(indoor: ChannelSet) -> None:
    built = small_model(indoor.h[:64], "analog")
    with pytest.raises(CodecError, match="must be symbols"):
        make_encoder(built, CPU).encode(indoor.h[:1], context(1, 3))


def test_the_steps_that_a_session_asks_for_reach_the_encoder(indoor: ChannelSet) -> None:
    built = small_model(indoor.h[:64])
    channels, streams, snr_db = (
        indoor.part(0, 4),
        Randomness(1, np.zeros(4, int), np.arange(4)),
        np.zeros(4, np.float32),
    )
    payloads = []
    for encode_steps in (None, 1):
        transmitter = make_transmitter(built, SHAPE, "ideal", 84, encode_steps=encode_steps)
        payloads.append(transmitter.transmit(channels.h, snr_db, streams).payload.bits)
    own = make_encoder(built, CPU)
    for payload, steps in zip(payloads, (3, 1), strict=True):
        np.testing.assert_array_equal(payload, own.encode(channels.h, context(4, 84, steps)).bits)


def test_steps_are_refused_of_an_encoder_that_takes_none() -> None:
    with pytest.raises(InvalidArgumentError, match="`encode_steps` must be left out with codec klt; got 5"):
        make_transmitter(load_model("klt"), SHAPE, "ideal", 64, encode_steps=5)
