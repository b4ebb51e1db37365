"""The two networks as codecs, with random weights: what the contract test holds of trained ones; bad model files."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs import CODECS, DecodeContext, EncodeContext, make_decoder, make_encoder
from shared.codecs.autoencoder.codec import Autoencoder, AutoencoderEncoder, rate_range
from shared.codecs.autoencoder.scaling import Scaling, network_input
from shared.codecs.contract import CHECKS
from shared.codecs.trial import make_trial
from shared.coding.bits import bits_to_fields
from shared.coding.latents import Companding
from shared.errors import DataFileError, InvalidArgumentError
from shared.metrics import nmse
from shared.model_files import ModelFile, count_parameters, load_model
from shared.network_settings import NetworkSettings
from shared.rng import Randomness
from shared.types import Payload

from .conftest import NUM_LATENTS, MakeModel

CPU = torch.device("cpu")
KINDS: list[tuple[str, Scaling, Companding]] = [
    ("csinet", "power", "uniform"),
    ("csinet", "peak", "mu-law"),
    ("crnet", "peak", "uniform"),
    ("crnet", "power", "mu-law"),
    ("csinet-plus", "power", "mu-law"),
    ("dnnet", "power", "uniform"),
    ("atnet", "peak", "uniform"),
    ("transnet", "power", "uniform"),
    ("dcrnet", "power", "uniform"),
]


@pytest.fixture(params=KINDS, ids="-".join)
def model(request: pytest.FixtureRequest, make_model: MakeModel) -> ModelFile:
    return make_model(*request.param)


def encode(model: ModelFile, h: Tensor, rate: int) -> Payload:
    count = len(h)
    randomness = Randomness(0, np.zeros(count, dtype=np.uint32), np.arange(count))
    return make_encoder(model, CPU).encode(h, EncodeContext(rate, np.zeros(count, dtype=np.float32), randomness))


def decode(model: ModelFile, payload: Payload, rate: int) -> Tensor:
    context = DecodeContext(rate, np.zeros(len(payload.bits), dtype=np.float32))
    return make_decoder(model, CPU).decode(payload, context).h_hat


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_of_the_contract_holds(model: ModelFile, check: str, indoor: ChannelSet) -> None:
    assert CHECKS[check](make_trial(lambda: model, indoor.h[:16])) is None


def test_the_rates_are_one_to_eight_bits_a_latent_and_those_of_the_peak(model: ModelFile) -> None:
    peak_bits = 8 if "peak" in model.card.name else 0
    assert (model.card.min_rate, model.card.max_rate) == (NUM_LATENTS + peak_bits, 8 * NUM_LATENTS + peak_bits)
    assert model.card.network is not None
    assert rate_range(model.card.network) == (model.card.min_rate, model.card.max_rate)
    assert [point.rate for point in model.card.measured] == [NUM_LATENTS * b + peak_bits for b in range(1, 9)]


def test_declared_bits_are_real_bits_at_every_rate(model: ModelFile, indoor: ChannelSet) -> None:
    encoder, decoder = make_encoder(model, CPU), make_decoder(model, CPU)
    snr_db = np.zeros(3, dtype=np.float32)
    for rate in range(model.card.min_rate, model.card.max_rate + 1):
        context = EncodeContext(rate, snr_db, Randomness(0, np.zeros(3, dtype=np.uint32), np.arange(3)))
        payload = encoder.encode(indoor.h[:3], context)
        assert payload.bits.shape == (3, rate)
        assert payload.length.tolist() == [rate] * 3
        assert decoder.decode(payload, DecodeContext(rate, snr_db)).valid.all()
    for rate in (0, model.card.min_rate - 1, model.card.max_rate + 1):
        with pytest.raises(InvalidArgumentError, match=f"`rate` of codec .* bits; got {rate}"):
            encode(model, indoor.h[:1], rate)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 2**32 - 1), density=st.floats(0, 1))
def test_any_bits_give_a_finite_channel(
    kind: tuple[str, Scaling, Companding],
    make_model: MakeModel,
    data: st.DataObject,
    seed: int,
    density: float,
) -> None:
    model = make_model(*kind)
    rate = data.draw(st.integers(model.card.min_rate, model.card.max_rate))
    bits = (np.random.default_rng(seed).random((2, rate)) < density).astype(np.uint8)
    h_hat = decode(model, Payload.of_equal_length(bits), rate)
    assert h_hat.shape == (2, 1, 32, 32)
    assert h_hat.dtype == torch.complex64
    assert torch.isfinite(torch.view_as_real(h_hat)).all()


def test_a_batch_gives_what_its_reports_give_alone(model: ModelFile, indoor: ChannelSet) -> None:
    h, rate = indoor.h[:32], model.card.max_rate - 5
    together = encode(model, h, rate)
    alone = np.concatenate([encode(model, one[None], rate).bits for one in h])
    assert (alone != together.bits).mean() <= 1e-4
    h_hat = torch.cat([decode(model, Payload.of_equal_length(row[None]), rate) for row in together.bits])
    assert float(nmse(h_hat, decode(model, together, rate)).max().sqrt()) < 1e-4


def test_at_eight_bits_a_latent_the_codec_is_nearly_the_network_without_a_quantiser(
    model: ModelFile, indoor: ChannelSet
) -> None:
    h = indoor.h[:64]
    exact = Autoencoder.load(model)(h)
    errors = [float(nmse(decode(model, encode(model, h, rate), rate), exact).mean()) for rate in rates(model)]
    assert errors[-1] < 1e-3
    assert errors == sorted(errors, reverse=True)


def rates(model: ModelFile) -> list[int]:
    return [point.rate for point in model.card.measured][1::2]


def test_the_peak_goes_first_and_the_latents_follow_with_the_longer_ones_first(
    make_model: MakeModel, indoor: ChannelSet
) -> None:
    model = make_model("csinet", "peak", "uniform")
    rate = 8 + 2 * NUM_LATENTS + 1
    fields = bits_to_fields(encode(model, indoor.h[:9], rate).bits, np.array([8, 3] + [2] * (NUM_LATENTS - 1)))
    peaks = indoor.h[:9].abs().flatten(1).amax(dim=1).double().numpy()
    np.testing.assert_allclose(32 ** ((fields[:, 0] + 0.5) / 256), peaks, rtol=0.007)


def test_building_a_codec_draws_nothing_from_torchs_global_generator(model: ModelFile) -> None:
    before = torch.get_rng_state()
    make_encoder(model, CPU)
    make_decoder(model, CPU)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("codec", "quantizer"), [("csinet-plus", "mu-law"), ("dnnet", "uniform"), ("atnet", "peak")])
def test_a_corrector_changes_what_is_decoded_in_units_of_the_latents(
    codec: str, quantizer: str, make_model: MakeModel, indoor: ChannelSet
) -> None:
    model = make_model(codec, "peak", "uniform") if quantizer == "peak" else make_model(codec, "power", quantizer)  # type: ignore[arg-type]
    h, rate = indoor.h[:8], model.card.max_rate
    payload = encode(model, h, rate)
    last = "network.corrector.body." + ("5.bias" if codec == "dnnet" else "4.bias")
    moved = changed(model, {last: torch.ones(NUM_LATENTS)})
    network = Autoencoder.load(model)
    z = network.encode(h)
    shift = model.tensors["quantizer.scale"] * (-1.0 if codec == "dnnet" else 1.0)
    peaks = h.abs().flatten(1).amax(dim=1) if quantizer == "peak" else None
    with torch.no_grad():
        wanted = network.decode(z + shift, peaks)
    torch.testing.assert_close(decode(moved, payload, rate), wanted, rtol=0.1, atol=0.05)
    assert float((decode(moved, payload, rate) - decode(model, payload, rate)).abs().max()) > 1e-3


def test_the_card_counts_the_weights_of_the_networks_alone(model: ModelFile) -> None:
    learned = [
        value.numel()
        for name, value in model.tensors.items()
        if "network" in name and name.endswith(("weight", "bias"))
    ]
    assert model.card.num_parameters == count_parameters(model.tensors) == sum(learned)
    assert model.card.encoder_macs > 2048 * NUM_LATENTS


def changed(model: ModelFile, tensors: dict[str, Tensor | None] | None = None, **card: Any) -> ModelFile:
    kept = model.tensors | (tensors or {})
    return ModelFile(
        model.card.model_copy(update=card), {name: value for name, value in kept.items() if value is not None}
    )


BAD_TENSORS: list[tuple[str, Tensor | None, str]] = [
    ("quantizer.clip", None, "must hold tensor 'quantizer.clip' of codec csinet"),
    ("quantizer.centre", torch.zeros(NUM_LATENTS + 1), r"`quantizer.centre` must be \[6\] float32; got \[7\]"),
    ("quantizer.scale", torch.full((NUM_LATENTS,), torch.nan), "tensor quantizer.scale .* must be finite"),
    ("mean", torch.ones(1, 32, 32, dtype=torch.float16), "tensor mean .* must be finite torch.float32 or"),
]
BAD_ENCODER: list[tuple[str, Tensor | None, str]] = [
    ("network.encoder.4.weight", None, 'is no csinet encoder: .*Missing key.* "4.weight"'),
    ("network.encoder.4.weight", torch.zeros(NUM_LATENTS, 2047), "is no csinet encoder: .*size mismatch"),
    ("network.encoder.9.weight", torch.zeros(1), "is no csinet encoder: .*Unexpected key"),
    ("network.encoder.0.bias", torch.full((2,), torch.inf), "tensor network.encoder.0.bias .* must be finite"),
]
BAD_DECODER: list[tuple[str, Tensor | None, str]] = [
    ("network.decoder.0.bias", None, 'is no csinet decoder: .*Missing key.* "0.bias"'),
    ("mean", None, "must hold tensor 'mean' of codec csinet"),
    ("mean", torch.zeros(1, 32, 31, dtype=torch.complex64), r"`mean` .* must be \[1, 32, 32\] complex64; got \[1, 32"),
    ("mean", torch.zeros(1, 32, 32), "`mean` .* got .*float32"),
]


@pytest.mark.parametrize(("name", "tensor", "sentence"), [*BAD_TENSORS, *BAD_ENCODER])
def test_a_tensor_that_is_missing_or_of_another_shape_builds_no_encoder(
    make_model: MakeModel, name: str, tensor: Tensor | None, sentence: str
) -> None:
    with pytest.raises(DataFileError, match=sentence) as error:
        make_encoder(changed(make_model("csinet", "power", "uniform"), {name: tensor}), CPU)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "tensor", "sentence"), [*BAD_TENSORS, *BAD_DECODER])
def test_a_tensor_that_is_missing_or_of_another_shape_builds_no_decoder(
    make_model: MakeModel, name: str, tensor: Tensor | None, sentence: str
) -> None:
    with pytest.raises(DataFileError, match=sentence) as error:
        make_decoder(changed(make_model("csinet", "power", "uniform"), {name: tensor}), CPU)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        (
            {"num_subcarriers": 16},
            r"must be csinet, .*, dcrnet for angular-delay \[1, 32, 32\]; its card says otherwise",
        ),
        (
            {"domain": "spatial-frequency"},
            "must be csinet, csinet-plus, crnet, dnnet, atnet, transnet, dcrnet for angular-delay",
        ),
        ({"network": None}, "must be csinet, csinet-plus, crnet, dnnet, atnet, transnet, dcrnet for angular-delay"),
        ({"codec": "crnet"}, "is no crnet encoder"),
        ({"min_rate": 5}, r"rates of model .* must be in \[6, 48\] bits; its card says 5 ... 48"),
        ({"max_rate": 49}, "its card says 6 ... 49"),
        ({"network": NetworkSettings(num_latents=6, scaling="peak", quantizer="uniform")}, r"must be in \[14, 56\]"),
        (
            {"network": NetworkSettings(num_latents=2048, scaling="power", quantizer="uniform"), "min_rate": 2048}
            | {"max_rate": 2048},
            r"`quantizer.centre` must be \[2048\] float32; got \[6\]",
        ),
        (
            {"network": NetworkSettings(num_latents=6, scaling="power", quantizer="uniform", norm_axis="delay")},
            "is no csinet encoder",
        ),
    ],
)
def test_a_card_that_does_not_fit_the_network_builds_no_encoder(
    make_model: MakeModel, card: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DataFileError, match=sentence):
        make_encoder(changed(make_model("csinet", "power", "uniform"), **card), CPU)


def test_a_channel_of_another_shape_is_refused(model: ModelFile) -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"`h_est` must be \[batch, 1, 32, 32\] complex64; got \[1, 1, 32, 31"
    ):
        encode(model, torch.zeros(1, 1, 32, 31, dtype=torch.complex64), model.card.min_rate)


def test_a_network_is_made_of_a_model_file_and_of_no_other(model: ModelFile, indoor: ChannelSet) -> None:
    network, encoder = Autoencoder.load(model), make_encoder(model, CPU)
    assert torch.equal(network(indoor.h[:2]), Autoencoder.load(model)(indoor.h[:2]))
    assert isinstance(encoder, AutoencoderEncoder)
    seen = network_input(indoor.h[:2], network.scaling)
    assert torch.equal(network.encode(indoor.h[:2]), encoder.network(seen))
    with pytest.raises(DataFileError, match="model klt must be csinet, "):
        Autoencoder.load(load_model("klt"))


def test_both_networks_are_codecs() -> None:
    assert {"csinet", "crnet"} <= set(CODECS)
