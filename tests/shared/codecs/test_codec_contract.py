"""What every entry of `CODECS` must do, with each model of the zoo: the checks that a user may run, and more.

Those of symbols: test_symbol_codec_contract.py.
"""

import hashlib
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shared.channels import ChannelSet, load_channels
from shared.codecs import CODECS, DecodeContext, Decoder, EncodeContext, Encoder, make_decoder, make_encoder
from shared.codecs.contract import CHECKS
from shared.codecs.trial import Trial, make_trial
from shared.coding.bits import stack_rows
from shared.errors import CodecError, InvalidArgumentError
from shared.metrics import nmse, sgcs
from shared.model_files import ZOO, CodecCard, count_parameters, load_model, zoo_names
from shared.rng import Randomness
from shared.training.jscc_presets import JSCC_NETWORKS
from shared.transforms import from_angular_delay
from shared.types import Payload, Reconstruction

CPU = torch.device("cpu")
OF_BITS = [name for name in zoo_names() if load_model(name).card.payload == "bits"]


@dataclass(frozen=True)
class Codec:
    card: CodecCard
    encoder: Encoder
    decoder: Decoder

    @property
    def rates(self) -> list[int]:
        """A few rates over the whole range, both ends among them."""
        low, high = self.card.min_rate, self.card.max_rate
        return sorted({low + round(share * (high - low)) for share in (0, 0.045, 0.5, 1)})

    def encode(self, h: Tensor, rate: int) -> Payload:
        n = len(h)
        randomness = Randomness(0, np.zeros(n, dtype=np.uint32), np.arange(n))
        return self.encoder.encode(h, EncodeContext(rate, np.zeros(n, dtype=np.float32), randomness))

    def decode(self, payload: Payload, rate: int) -> Reconstruction:
        return self.decoder.decode(payload, DecodeContext(rate, np.zeros(len(payload.bits), dtype=np.float32)))


@cache
def codec_of(name: str, device: torch.device = CPU) -> Codec:
    model = load_model(name)
    return Codec(model.card, make_encoder(model, device), make_decoder(model, device))


@pytest.fixture(params=OF_BITS)
def codec(request: pytest.FixtureRequest) -> Codec:
    return codec_of(request.param)


def relative_error(h_hat: Tensor, wanted: Tensor) -> float:
    """Return the largest error of a report, relative to its norm."""
    return float(nmse(h_hat, wanted).max().sqrt())


def test_every_codec_has_a_model_in_the_zoo_or_a_small_one_in_its_contract_test() -> None:
    small = {*JSCC_NETWORKS, "dcrnet", "inric", "coin", "coin-plus-plus"}  # in the folders beside
    assert {load_model(name).card.codec for name in zoo_names()} | small == set(CODECS)


def test_the_model_file_is_what_its_card_says(codec: Codec) -> None:
    model = load_model(codec.card.name)
    assert model.card.codec in CODECS
    assert hashlib.sha256((ZOO / f"{model.card.name}.safetensors").read_bytes()).hexdigest() == model.card.sha256
    assert count_parameters(model.tensors) == model.card.num_parameters


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_of_the_contract_holds(codec: Codec, check: str, indoor: ChannelSet) -> None:
    trial = make_trial(partial(load_model, codec.card.name), indoor.h[:16])
    if codec.card.takes_encode_steps:  # an optimisation, which fits anew at each rate
        trial = replace(trial, rates=trial.rates[::15])
    assert CHECKS[check](trial) is None


def test_declared_bits_are_real_bits_at_every_budget(codec: Codec, indoor: ChannelSet) -> None:
    model = load_model(codec.card.name)
    step = 19 if codec.card.takes_encode_steps else 1
    rates = tuple(range(codec.card.min_rate, codec.card.max_rate + 1, step))
    trial = Trial(lambda: model, model.card, indoor.h[:3], rates)
    assert CHECKS["declared bits are real bits"](trial) is None
    assert CHECKS["what is encoded decodes to channels"](trial) is None


@pytest.mark.parametrize("name", OF_BITS)
@settings(max_examples=25)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), density=st.floats(0, 1))
def test_any_bits_of_the_right_length_give_a_finite_channel_or_are_not_valid(
    name: str, data: st.DataObject, seed: int, density: float
) -> None:
    codec = codec_of(name)
    rate = data.draw(st.integers(codec.card.min_rate, codec.card.max_rate))
    num_bits = data.draw(st.integers(*codec.card.num_bits_range(rate)))
    bits = (np.random.default_rng(seed).random((2, num_bits)) < density).astype(np.uint8)
    reconstruction = codec.decode(Payload.of_equal_length(bits), rate)
    assert reconstruction.h_hat.shape == (2, *codec.card.shape.dims)
    assert reconstruction.h_hat.dtype == torch.complex64
    assert torch.isfinite(torch.view_as_real(reconstruction.h_hat[torch.from_numpy(reconstruction.valid)])).all()
    assert codec.decoder.mean_csi.shape == codec.card.shape.dims
    assert torch.isfinite(torch.view_as_real(codec.decoder.mean_csi)).all()


@pytest.mark.parametrize("name", [name for name in OF_BITS if load_model(name).card.length == "fixed"])
def test_a_payload_of_another_length_is_refused(name: str) -> None:
    codec = codec_of(name)
    rate = codec.card.min_rate
    for num_bits in (0, rate - 1, rate + 1):
        with pytest.raises(CodecError, match=rf"`payload` must hold {rate} bits for each report; got \[{num_bits}\]"):
            codec.decode(Payload.of_equal_length(np.zeros((2, num_bits), dtype=np.uint8)), rate)
    ragged = Payload(np.zeros((2, rate), dtype=np.uint8), np.array([rate, rate - 8]))
    with pytest.raises(CodecError, match=rf"got \[{rate - 8}, {rate}\]"):
        codec.decode(ragged, rate)


def test_a_rate_outside_the_card_is_refused(codec: Codec, indoor: ChannelSet) -> None:
    for rate in (0, codec.card.min_rate - 1, codec.card.max_rate + 1):
        message = rf"`rate` of codec {codec.card.name} must be .*{codec.card.max_rate}.* bits; got {rate}"
        with pytest.raises(InvalidArgumentError, match=message):
            codec.encode(indoor.h[:1], rate)
        with pytest.raises(InvalidArgumentError, match=message):
            codec.decode(Payload.of_equal_length(np.zeros((1, rate), dtype=np.uint8)), rate)


@pytest.mark.parametrize("shape", [(1, 1, 32, 31), (1, 2, 32, 32), (1, 32, 32)])
def test_a_channel_of_another_shape_is_refused(codec: Codec, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        codec.encode(torch.zeros(shape, dtype=torch.complex64), codec.card.min_rate)
    assert f"`h_est` must be [batch, 1, 32, 32] complex64; got {list(shape)}" in str(error.value)


def test_the_nmse_on_the_test_split_is_that_of_the_card_and_falls_as_the_rate_grows(codec: Codec) -> None:
    """At three rates; `csi-lab codecs verify`, and so its test, measures all of them."""
    if codec.card.takes_encode_steps:
        pytest.skip("an encoder that is an optimisation takes a minute: the test of `codecs verify` measures it")
    if codec.card.output == "precoder":
        pytest.skip("a precoder has no NMSE: its SGCS is below")
    errors = []
    measured, test = codec.card.measured, load_channels(codec.card.test_data.split(",")[0])
    for point in [measured[i] for i in sorted({0, len(measured) // 2, len(measured) - 1})]:
        chunks = torch.split(test.h, 100)  # all at once, a network's layers would take gigabytes
        ratios = [nmse(codec.decode(codec.encode(h, point.rate), point.rate).h_hat, h) for h in chunks]
        errors.append(float(torch.cat(ratios).mean()))
        wanted = 0.0 if point.nmse_db is None else 10 ** (point.nmse_db / 10)
        assert errors[-1] == pytest.approx(wanted, rel=0.023)  # 0.1 dB
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) == len(errors) > 0


@pytest.mark.parametrize("name", [name for name in OF_BITS if load_model(name).card.output == "precoder"])
def test_the_sgcs_on_the_test_split_is_that_of_the_card_and_rises_with_the_rate(name: str) -> None:
    codec = codec_of(name)
    found = []
    measured, test = codec.card.measured_sgcs, load_channels(codec.card.test_data.split(",")[0])
    h = from_angular_delay(test.h)
    for point in [measured[i] for i in (0, len(measured) // 2, -1)]:
        h_hat = from_angular_delay(codec.decode(codec.encode(test.h, point.rate), point.rate).h_hat)
        found.append(float(sgcs(h_hat, h).mean()))
        assert found[-1] == pytest.approx(point.sgcs, abs=0.002)
    assert found == sorted(found)
    assert not codec.card.measured


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_what_the_cpu_gives(codec: Codec, indoor: ChannelSet) -> None:
    cuda = torch.device("cuda")
    gpu = codec_of(codec.card.name, cuda)
    for rate in codec.rates:
        payload = codec.encode(indoor.h[:256], rate)
        ours, theirs = np.split(stack_rows([gpu.encode(indoor.h[:256].to(cuda), rate).bits, payload.bits]), 2)
        assert (ours != theirs).mean() <= 1e-4
        decoded = gpu.decode(payload, rate)
        assert decoded.h_hat.device.type == "cuda"
        assert relative_error(decoded.h_hat.cpu(), codec.decode(payload, rate).h_hat) < 1e-4
