"""The contract on small models with fresh weights, and what it does not ask: widths, labels, cards that lie."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, make_decoder, make_encoder
from shared.codecs.contract import CHECKS
from shared.codecs.fitted import Fitted, make_model
from shared.codecs.invcsinet.codec import InvCsiNet, from_labels, rate_range, sample_of, to_labels
from shared.codecs.network_files import SHAPE
from shared.codecs.trial import make_trial
from shared.errors import DataFileError
from shared.metrics import nmse
from shared.model_files import ModelFile
from shared.network_settings import InvertibleSettings
from shared.rng import Randomness
from shared.transforms import to_planes
from shared.types import Payload

CPU = torch.device("cpu")
SETTINGS = InvertibleSettings(num_latents=32, bits=(2, 3), labels="gray")


def small_model(settings: InvertibleSettings = SETTINGS) -> ModelFile:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network = InvCsiNet(settings)
        for name, weight in network.named_parameters():
            if ".convs.3." in name:
                torch.nn.init.normal_(weight, std=0.02)
    tensors = {f"network.{key}": value for key, value in network.state_dict().items()}
    tensors["mean"] = torch.zeros(SHAPE.dims, dtype=torch.complex64)
    rates = tuple(sorted(set(rate_range(settings))))
    return make_model("small", SHAPE, Fitted(tensors, "t", "s", rates, invertible=settings), "invcsinet")


def context(count: int, rate: int) -> EncodeContext:
    return EncodeContext(rate, np.zeros(count, dtype=np.float32), Randomness(1, np.zeros(count, int), np.arange(count)))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(("bits", "labels"), [((1, 1), "natural"), ((2, 3), "gray")])
def test_every_check_holds(bits: tuple[int, int], labels: str, check: str, indoor: ChannelSet) -> None:
    settings = InvertibleSettings.model_validate({"num_latents": 32, "bits": bits, "labels": labels})
    assert CHECKS[check](make_trial(lambda: small_model(settings), indoor.h[:16])) is None


def test_bits_that_a_rate_leaves_over_refine_the_first_entries(indoor: ChannelSet) -> None:
    built, h = small_model(), indoor.h[:4]
    encoder, decoder = make_encoder(built, CPU), make_decoder(built, CPU)
    for rate in (64, 69, 96):
        payload = encoder.encode(h, context(4, rate))
        assert payload.bits.shape == (4, rate)
        h_hat = decoder.decode(payload, DecodeContext(rate, np.zeros(4, dtype=np.float32))).h_hat
        assert bool(nmse(h_hat, h).isfinite().all())


def test_what_is_decoded_is_the_inverse_of_the_nearest_points(indoor: ChannelSet) -> None:
    built, h = small_model(), indoor.h[:4]
    for name, value in (("centre", 0.1), ("scale", 1.5), ("alignment.last.bias", 0.2), ("aux_mean", 0.3)):
        built.tensors[f"network.{name}"].fill_(value)
    sent = make_encoder(built, CPU).encode(h, context(4, 64))
    decoder = make_decoder(built, CPU)
    h_hat = decoder.decode(sent, DecodeContext(64, np.zeros(4, dtype=np.float32))).h_hat
    network = InvCsiNet(SETTINGS)
    network.load_state_dict({k.removeprefix("network."): v for k, v in built.tensors.items() if k != "mean"})
    with torch.no_grad():
        y, _ = network.invertible(to_planes(h))
        points = network.quantizer(2).points()
        hard = points.gather(1, network.quantizer(2).index((y - 0.1) / 1.5).T).T
        wanted = network.invertible.inverse(1.5 * (hard + 0.2) + 0.1, torch.full((4, 2048 - 32), 0.3))
    torch.testing.assert_close(to_planes(h_hat), wanted, rtol=1e-4, atol=1e-4)


def test_a_sample_of_the_auxiliary_variable_is_decided_by_the_bits_alone(indoor: ChannelSet) -> None:
    settings = SETTINGS.model_copy(update={"auxiliary": "sample"})
    built, h = small_model(settings), indoor.h[:4]
    built.tensors["network.aux_deviation"].fill_(math.exp(-1))
    payload = make_encoder(built, CPU).encode(h, context(4, 64))
    decoded = DecodeContext(64, np.zeros(4, dtype=np.float32))
    h_hat = make_decoder(built, CPU).decode(payload, decoded).h_hat
    again = make_decoder(built, CPU).decode(Payload.of_equal_length(payload.bits[::-1].copy()), decoded).h_hat.flip(0)
    torch.testing.assert_close(h_hat, again)
    mean = make_decoder(replace(built, card=built.card.model_copy(update={"invertible": SETTINGS})), CPU)
    difference = (h_hat - mean.decode(payload, decoded).h_hat).abs().square().mean()
    assert float(difference) == pytest.approx(2 * math.exp(-2), rel=0.3)  # of two reals
    eps = sample_of(payload.bits, 2048 - 32)
    assert float(eps.std()) == pytest.approx(1, abs=0.03)
    assert not torch.allclose(eps[0], eps[1])


@given(bits=st.integers(1, 8))
def test_gray_labels_of_neighbours_differ_in_one_bit_and_come_back(bits: int) -> None:
    settings = InvertibleSettings(num_latents=32, bits=(bits, bits), labels="gray")
    index = np.arange(2**bits)
    labels = to_labels(index, settings)
    assert sorted(labels) == index.tolist()
    assert all(int(a ^ b).bit_count() == 1 for a, b in pairwise(labels))
    assert from_labels(labels, settings).tolist() == index.tolist()


def test_a_file_that_is_not_what_its_card_says_is_refused() -> None:
    built = small_model()
    other = built.card.model_copy(update={"invertible": InvertibleSettings(num_latents=16, bits=(2, 3), labels="gray")})
    with pytest.raises(DataFileError, match=r"must be 32 \.\.\. 48; its card says 64 \.\.\. 96"):
        make_encoder(ModelFile(other, built.tensors), CPU)
    lacking = {name: tensor for name, tensor in built.tensors.items() if "rho" not in name}
    with pytest.raises(DataFileError, match="model small is no invertible network of its card's settings"):
        make_encoder(ModelFile(built.card, lacking), CPU)
    spoiled = dict(built.tensors, mean=torch.full(SHAPE.dims, torch.nan, dtype=torch.complex64))
    with pytest.raises(DataFileError, match="tensor mean of model small must be finite"):
        make_decoder(ModelFile(built.card, spoiled), CPU)
    with pytest.raises(DataFileError, match="must be an invertible network"):
        make_decoder(ModelFile(built.card.model_copy(update={"invertible": None}), built.tensors), CPU)
