"""What the contract tests do not ask: prefixes, power, the quantised variant, cards that lie."""

import numpy as np
import pytest
import torch

from shared.codecs import DecodeContext, EncodeContext, SymbolDecoder, SymbolEncoder, make_decoder, make_encoder
from shared.codecs.fitted import Fitted, make_model
from shared.codecs.jscc.codec import JsccBitDecoder, rate_range, to_latents, to_symbols
from shared.codecs.jscc.network import JsccDecoderNetwork, JsccEncoderNetwork
from shared.codecs.network_files import SHAPE
from shared.errors import CodecError, DataFileError, InvalidArgumentError
from shared.links import make_link
from shared.links.base import SymbolLink
from shared.model_files import ModelFile
from shared.network_settings import JsccSettings
from shared.rng import Randomness
from shared.transforms import normalize_power
from shared.transmit import make_transmitter
from shared.types import Received, ReceivedKind

CPU = torch.device("cpu")


def model(settings: JsccSettings) -> ModelFile:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        halves = {"encoder": JsccEncoderNetwork(settings), "decoder": JsccDecoderNetwork(settings)}
    tensors = {f"network.{half}.{k}": v for half, net in halves.items() for k, v in net.state_dict().items()}
    tensors["mean"] = torch.zeros(SHAPE.dims, dtype=torch.complex64)
    links = ("analog",) if settings.bits_per_real is None else ("ideal", "digital")
    low, high = rate_range(settings)
    rates = (low,) if low == high else (low, high)
    return make_model("mine", SHAPE, Fitted(tensors, "t", "s", rates, links=links, jscc=settings), "rd-jscc")


def channels(count: int) -> torch.Tensor:
    return normalize_power(
        torch.randn(count, 1, 32, 32, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    )


def context(count: int, rate: int) -> EncodeContext:
    return EncodeContext(rate, np.zeros(count, dtype=np.float32), Randomness(1, np.zeros(count, int), np.arange(count)))


MATRYOSHKA = JsccSettings(num_symbols=16, prefixes=(4, 8, 12, 16), num_blocks=1)


def test_a_shorter_report_of_a_matryoshka_model_is_a_prefix_of_the_longer_one() -> None:
    encoder = make_encoder(model(MATRYOSHKA), CPU)
    assert isinstance(encoder, SymbolEncoder)
    longest = encoder.encode_symbols(channels(3), context(3, 16)).values
    for rate in (4, 7, 12):
        assert np.array_equal(encoder.encode_symbols(channels(3), context(3, rate)).values, longest[:, :rate])


def test_the_base_station_decodes_any_prefix_between_the_shortest_and_the_longest() -> None:
    built = model(MATRYOSHKA)
    encoder, decoder, link = make_encoder(built, CPU), make_decoder(built, CPU), make_link("analog:uplink")
    assert isinstance(encoder, SymbolEncoder)
    assert isinstance(decoder, SymbolDecoder)
    assert isinstance(link, SymbolLink)
    snr_db = np.full(3, 10, dtype=np.float32)
    for rate in (4, 5, 16):
        sent = encoder.encode_symbols(channels(3), context(3, rate))
        received = link.transmit_symbols(sent, snr_db, context(3, rate).randomness)
        assert decoder.decode_symbols(received, DecodeContext(rate, snr_db)).h_hat.shape == (3, 1, 32, 32)
    for rate in (3, 17):
        with pytest.raises(InvalidArgumentError, match=r"`rate` of codec mine must be in \[4, 16\] symbols"):
            encoder.encode_symbols(channels(1), context(1, rate))


def test_its_usual_rate_is_the_longest() -> None:
    assert make_transmitter(model(MATRYOSHKA), SHAPE, "analog").rate == 16


def test_a_model_of_one_rate_takes_no_other() -> None:
    encoder = make_encoder(model(JsccSettings(num_symbols=8, num_blocks=1)), CPU)
    assert isinstance(encoder, SymbolEncoder)
    with pytest.raises(InvalidArgumentError, match="must be 8 symbols"):
        encoder.encode_symbols(channels(1), context(1, 4))


@pytest.mark.parametrize("num_bits", [2, 4, 8])
def test_the_quantised_variant_sends_2_b_k_bits_that_stand_for_its_latents(num_bits: int) -> None:
    built = model(JsccSettings(num_symbols=8, num_blocks=1, bits_per_real=num_bits))
    encoder, decoder = make_encoder(built, CPU), make_decoder(built, CPU)
    rate = 2 * 8 * num_bits
    payload = encoder.encode(channels(2), context(2, rate))
    assert payload.bits.shape == (2, rate)
    assert isinstance(decoder, JsccBitDecoder)
    h_hat = decoder.decode(payload, DecodeContext(rate, np.zeros(2, dtype=np.float32))).h_hat
    with pytest.raises(CodecError, match=f"must hold {rate} bits"):
        decoder.decode(type(payload).of_equal_length(payload.bits[:, 1:]), DecodeContext(rate, np.zeros(2, np.float32)))
    assert torch.isfinite(h_hat).all()


def test_symbols_are_pairs_of_latents_in_order() -> None:
    z = torch.arange(6.0)[None]
    assert to_symbols(z).tolist() == [[0 + 1j, 2 + 3j, 4 + 5j]]
    assert to_latents(to_symbols(z)[:, :2], 3).tolist() == [[0, 1, 2, 3, 0, 0]]


def test_a_deep_fade_does_not_make_a_channel_of_its_noise() -> None:
    """Unbiased symbols of a fade of 40 dB have 40 dB more power; what comes out has no more than without the fade."""
    decoder = make_decoder(model(JsccSettings(num_symbols=8, num_blocks=1)), CPU)
    assert isinstance(decoder, SymbolDecoder)
    noise = np.random.default_rng(1).standard_normal((50, 8, 2)).astype(np.float32).view(np.complex64)[..., 0]
    powers = []
    for no_eff in (10**0.4, 1e4):
        variances = np.full((50, 8), no_eff, dtype=np.float32)
        values = (1 + noise * np.sqrt(variances / 2)).astype(np.complex64)
        received = Received(ReceivedKind.SYMBOLS, values, np.full(50, 8), variances)
        h_hat = decoder.decode_symbols(received, DecodeContext(8, np.zeros(50, dtype=np.float32))).h_hat
        powers.append(float(h_hat.abs().square().mean()))
    assert powers[1] < 1.5 * powers[0]


def test_a_card_that_says_other_rates_or_no_network_is_refused() -> None:
    built = model(JsccSettings(num_symbols=8, num_blocks=1))
    other = ModelFile(built.card.model_copy(update={"min_rate": 2}), built.tensors)
    with pytest.raises(DataFileError, match=r"rates of model mine must be 8 ... 8; its card says 2 ... 8"):
        make_encoder(other, CPU)
    with pytest.raises(DataFileError, match="must be a network of joint coding"):
        make_decoder(ModelFile(built.card.model_copy(update={"jscc": None}), built.tensors), CPU)
    larger = built.card.model_copy(update={"jscc": JsccSettings(num_symbols=8, num_blocks=2)})
    with pytest.raises(DataFileError, match="is no decoder of its card's settings"):
        make_decoder(ModelFile(larger, built.tensors), CPU)
    broken = built.tensors | {"network.encoder.dense.bias": torch.full((16,), torch.nan)}
    with pytest.raises(DataFileError, match=r"network.encoder.dense.bias of model mine must be finite"):
        make_encoder(ModelFile(built.card, broken), CPU)


@pytest.mark.parametrize("prefixes", [(8, 4), (4, 4, 8), (4, 6)])
def test_prefixes_must_increase_to_the_longest(prefixes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="`prefixes` must increase to num_symbols, 8"):
        JsccSettings(num_symbols=8, prefixes=prefixes)
