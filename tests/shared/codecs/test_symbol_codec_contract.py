"""What every entry of `CODECS` must do whose card says ``payload: symbols``, with each such model of the zoo."""

import hashlib
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from shared.channels import ChannelSet, load_channels
from shared.codecs import (
    CODECS,
    DecodeContext,
    EncodeContext,
    SymbolDecoder,
    SymbolEncoder,
    make_decoder,
    make_encoder,
)
from shared.codecs.symbol_contract import SYMBOL_CHECKS
from shared.codecs.trial import Trial, make_trial
from shared.coding.channel_code import Uncoded
from shared.errors import CodecError, InvalidArgumentError
from shared.links import SymbolLink, make_link
from shared.metrics import nmse
from shared.model_files import ZOO, CodecCard, count_parameters, load_model, zoo_names
from shared.receive import receive
from shared.rng import Randomness
from shared.training.fit import measure_nmse_db
from shared.types import Received, ReceivedKind, Reconstruction, Symbols, no_bits

CPU = torch.device("cpu")
OF_SYMBOLS = [name for name in zoo_names() if load_model(name).card.payload == "symbols"]


def streams(n: int) -> Randomness:
    return Randomness(0, np.zeros(n, dtype=np.uint32), np.arange(n))


@dataclass(frozen=True)
class Codec:
    card: CodecCard
    encoder: SymbolEncoder
    decoder: SymbolDecoder

    @property
    def rates(self) -> list[int]:
        """A few rates over the whole range, both ends among them."""
        low, high = self.card.min_rate, self.card.max_rate
        return sorted({low + round(share * (high - low)) for share in (0, 0.045, 0.5, 1)})

    def encode(self, h: Tensor, rate: int) -> Symbols:
        n = len(h)
        return self.encoder.encode_symbols(h, EncodeContext(rate, np.zeros(n, dtype=np.float32), streams(n)))

    def decode(self, values: NDArray[np.complex64], no_eff: NDArray[np.float32], rate: int) -> Reconstruction:
        n = len(values)
        received = Received(ReceivedKind.SYMBOLS, values, np.full(n, values.shape[1]), no_eff)
        return self.decoder.decode_symbols(received, DecodeContext(rate, np.zeros(n, dtype=np.float32)))

    def over(self, label: str, h: Tensor, rate: int, snr_db: float) -> Tensor:
        """Return what becomes of channels over a link."""
        link = make_link(label)
        assert isinstance(link, SymbolLink)
        snr = np.full(len(h), snr_db, dtype=np.float32)
        received = link.transmit_symbols(self.encode(h, rate), snr, streams(len(h)))
        return self.decoder.decode_symbols(received, DecodeContext(rate, snr)).h_hat


@cache
def codec_of(name: str, device: torch.device = CPU) -> Codec:
    model = load_model(name)
    encoder, decoder = make_encoder(model, device), make_decoder(model, device)
    assert isinstance(encoder, SymbolEncoder)
    assert isinstance(decoder, SymbolDecoder)
    return Codec(model.card, encoder, decoder)


@pytest.fixture(params=OF_SYMBOLS)
def codec(request: pytest.FixtureRequest) -> Codec:
    return codec_of(request.param)


def noisy(symbols: Symbols) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Return symbols at unit power with some noise, and variances that differ from symbol to symbol."""
    generator = np.random.default_rng(5)
    values = symbols.values / np.sqrt(np.mean(np.abs(symbols.values) ** 2, axis=1, keepdims=True))
    no_eff = generator.uniform(0.05, 0.5, values.shape)
    noise = generator.standard_normal((*values.shape, 2)).view(np.complex128)[..., 0] * np.sqrt(no_eff / 2)
    return (values + noise).astype(np.complex64), no_eff.astype(np.float32)


def relative_error(h_hat: Tensor, wanted: Tensor) -> float:
    """Return the largest error of a report, relative to its norm."""
    return float(nmse(h_hat, wanted).max().sqrt())


def test_the_model_file_is_what_its_card_says(codec: Codec) -> None:
    model = load_model(codec.card.name)
    assert model.card.codec in CODECS
    assert model.card.links == ["analog"]
    content = (ZOO / f"{model.card.name}.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == model.card.sha256
    assert len(content) < (1_000_000 if model.card.jscc is None else 15_000_000)
    assert count_parameters(model.tensors) == model.card.num_parameters


@pytest.mark.parametrize("check", SYMBOL_CHECKS)
def test_every_check_of_the_contract_holds(codec: Codec, check: str, indoor: ChannelSet) -> None:
    assert SYMBOL_CHECKS[check](make_trial(partial(load_model, codec.card.name), indoor.h[:16])) is None


def test_declared_symbols_are_real_symbols_at_every_rate(codec: Codec, indoor: ChannelSet) -> None:
    model = load_model(codec.card.name)
    rates = tuple(range(codec.card.min_rate, codec.card.max_rate + 1))
    trial = Trial(lambda: model, model.card, indoor.h[:3], rates)
    assert SYMBOL_CHECKS["declared symbols are real symbols"](trial) is None
    assert SYMBOL_CHECKS["what is encoded decodes to channels"](trial) is None


def test_the_scale_of_what_is_sent_does_not_matter(codec: Codec, indoor: ChannelSet) -> None:
    """The link takes it away: what is decoded depends on the direction of the symbols alone."""
    link, snr_db = make_link("analog"), np.full(8, 10, dtype=np.float32)
    assert isinstance(link, SymbolLink)
    for rate in codec.rates:
        symbols = codec.encode(indoor.h[:8], rate)
        found = []
        for scale in (1, 3):
            received = link.transmit_symbols(Symbols(symbols.values * scale), snr_db, streams(8))
            found.append(codec.decoder.decode_symbols(received, DecodeContext(rate, snr_db)).h_hat)
        assert relative_error(found[1], found[0]) < 1e-4


finite32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("name", OF_SYMBOLS)
@settings(max_examples=50)
@given(data=st.data())
def test_any_symbols_give_a_finite_channel_or_are_not_valid(name: str, data: st.DataObject) -> None:
    codec = codec_of(name)
    low_rate, high_rate = codec.card.min_rate, codec.card.max_rate
    rate = data.draw(st.integers(low_rate, max(low_rate, min(high_rate, 8))) | st.just(high_rate))
    low, high = data.draw(st.tuples(finite32, finite32))
    parts = np.random.default_rng(data.draw(st.integers(0, 99))).choice([low, high, 0], (2, 2 * rate))
    noise = data.draw(st.floats(0, exclude_min=True, width=32, allow_infinity=False))
    no_eff = np.full((2, rate), noise, dtype=np.float32)
    reconstruction = codec.decode(parts.astype(np.float32).view(np.complex64), no_eff, rate)
    assert reconstruction.h_hat.shape == (2, *codec.card.shape.dims)
    assert torch.isfinite(torch.view_as_real(reconstruction.h_hat[torch.from_numpy(reconstruction.valid)])).all()
    assert codec.decoder.mean_csi.shape == codec.card.shape.dims
    assert torch.isfinite(torch.view_as_real(codec.decoder.mean_csi)).all()


def test_symbols_of_another_number_are_refused_and_bits_too(codec: Codec, indoor: ChannelSet) -> None:
    rate = codec.card.max_rate
    context = DecodeContext(rate, np.zeros(2, dtype=np.float32))
    for found in (0, rate - 1, rate + 1):
        ones = np.ones((2, found), dtype=np.float32)
        with pytest.raises(CodecError, match=rf"`received` must hold {rate} symbols .* each report; got \({found}, "):
            codec.decode(ones.astype(np.complex64), ones, rate)
    symbols, no_eff = np.ones((2, rate), dtype=np.complex64), np.ones((2, rate), dtype=np.float32)
    ragged = Received(ReceivedKind.SYMBOLS, symbols, np.array([rate, rate - 1]), no_eff)
    bits = Received(ReceivedKind.HARD_BITS, np.ones((2, rate), dtype=np.uint8), np.array([rate] * 2))
    for received in (ragged, bits, Received(ReceivedKind.SYMBOLS, symbols, np.array([rate] * 2))):
        with pytest.raises(CodecError, match="`received` must hold"):
            codec.decoder.decode_symbols(received, context)
    with pytest.raises(CodecError, match=f"`payload` of codec {codec.card.name} must be symbols"):
        codec.decoder.decode(no_bits(2), context)
    with pytest.raises(CodecError, match=f"`payload` of codec {codec.card.name} must be symbols"):
        codec.encoder.encode(indoor.h[:2], EncodeContext(rate, context.snr_db, streams(2)))


def test_a_rate_outside_the_card_is_refused(codec: Codec, indoor: ChannelSet) -> None:
    for rate in (0, codec.card.min_rate - 1, codec.card.max_rate + 1):
        message = rf"`rate` of codec {codec.card.name} must be .*{codec.card.max_rate}.* symbols; got {rate}"
        with pytest.raises(InvalidArgumentError, match=message):
            codec.encode(indoor.h[:1], rate)
        with pytest.raises(InvalidArgumentError, match=message):
            codec.decode(np.zeros((1, rate), dtype=np.complex64), np.ones((1, rate), dtype=np.float32), rate)


@pytest.mark.parametrize("shape", [(1, 1, 32, 31), (1, 2, 32, 32), (1, 32, 32)])
def test_a_channel_of_another_shape_is_refused(codec: Codec, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        codec.encode(torch.zeros(shape, dtype=torch.complex64), codec.card.min_rate)
    assert f"`h_est` must be [batch, 1, 32, 32] complex64; got {list(shape)}" in str(error.value)


def of_card(codec: Codec) -> ChannelSet:
    """Return the shipped data set that a model was measured on."""
    return load_channels(codec.card.test_data.partition(",")[0])


def test_the_nmse_is_that_of_the_card_and_falls_as_the_rate_grows(codec: Codec) -> None:
    model, test = load_model(codec.card.name), of_card(codec)
    for point in codec.card.measured:
        measured = measure_nmse_db(model, test, point.rate)
        assert measured is not None
        assert measured == pytest.approx(point.nmse_db, abs=0.1)
    found = [point.nmse_db for point in codec.card.measured if point.nmse_db is not None]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(codec.card.measured) > 0


@pytest.mark.parametrize("fading", ["awgn", "rayleigh", "uplink"])
def test_the_nmse_falls_as_the_snr_grows(codec: Codec, fading: str) -> None:
    h, rate = of_card(codec).h[:200], min(64, codec.card.max_rate)
    points = [codec.over(f"analog:{fading}", h, rate, snr_db) for snr_db in (-10, 0, 10, 20)]
    errors = [float(nmse(h_hat, h).mean()) for h_hat in points]
    assert errors == sorted(errors, reverse=True)
    of_network = codec.card.jscc is not None or codec.card.coordinates is not None
    beyond = of_network and fading != "uplink"  # -10 dB without combining is below a network's training
    assert errors[1 if beyond else 0] < 1  # better than nothing at any SNR


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_what_the_cpu_gives(codec: Codec, indoor: ChannelSet) -> None:
    cuda = torch.device("cuda")
    gpu = codec_of(codec.card.name, cuda)
    for rate in codec.rates:
        symbols = codec.encode(indoor.h[:256], rate)
        on_gpu = gpu.encode(indoor.h[:256].to(cuda), rate).values
        np.testing.assert_allclose(on_gpu, symbols.values, atol=1e-4 * float(np.abs(symbols.values).max()))
        decoded = gpu.decode(*noisy(symbols), rate)
        assert decoded.h_hat.device.type == "cuda"
        assert relative_error(decoded.h_hat.cpu(), codec.decode(*noisy(symbols), rate).h_hat) < 1e-4


def test_a_codec_of_bits_takes_no_symbols() -> None:
    decoder = make_decoder(load_model("klt"), CPU)
    assert not isinstance(decoder, SymbolDecoder)
    context = DecodeContext(32, np.zeros(1, dtype=np.float32))
    ones = np.ones((1, 32), dtype=np.float32)
    symbols = Received(ReceivedKind.SYMBOLS, ones.astype(np.complex64), np.array([32]), ones)
    with pytest.raises(CodecError, match="`received` of codec klt must be bits; got symbols"):
        receive(symbols, Uncoded(), np.zeros(1, dtype=np.int64), decoder, context)
