"""Meta-learning of CSI-INR on a few channels: what it is asked for decides what comes out."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch

from shared.channels import ChannelSet
from shared.codecs.csi_inr.codec import load_csi_inr
from shared.codecs.csi_inr.network import CsiInr
from shared.errors import InvalidArgumentError
from shared.model_files import load_model
from shared.network_settings import CoordinateSettings
from shared.networks.coordinates import FourierFeatures
from shared.training.csi_inr import SCHEDULE, CsiInrOptions, base_macs, train_csi_inr, unquantized_nmse_db
from shared.training.macs import count_macs
from shared.training.train import train_codec

SETTINGS = CoordinateSettings(num_latents=4, width=16, num_layers=2, omega_0=5.0)
OPTIONS = CsiInrOptions(SETTINGS, replace(SCHEDULE, epochs=2, batch_size=8), num_points=64)


def nothing(*_: object) -> None:
    pass


def trained(options: CsiInrOptions, indoor: ChannelSet, folder: Path) -> CsiInr:
    return train_csi_inr(indoor.h[:32], indoor.h[32:40], options, folder / "x.checkpoint.pt", {}, nothing)[0]


@pytest.mark.parametrize("order", [1, 2])
def test_rates_are_learned_or_stay_as_they_are(order: Literal[1, 2], indoor: ChannelSet, tmp_path: Path) -> None:
    options = replace(OPTIONS, order=order)
    learned = trained(options, indoor, tmp_path)
    assert learned.log_rates.exp().std() > 0
    (tmp_path / "x.checkpoint.pt").unlink()
    fixed = replace(options, settings=SETTINGS.model_copy(update={"learned_rates": False}))
    assert torch.unique(trained(fixed, indoor, tmp_path).log_rates.exp()).tolist() == [pytest.approx(1e3)]


def test_both_orders_start_alike_and_part(indoor: ChannelSet, tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("first", "second"))
    one, two = trained(replace(OPTIONS, order=1), indoor, first), trained(OPTIONS, indoor, second)
    torch.testing.assert_close(one.base.features.frequencies, two.base.features.frequencies)
    assert not torch.equal(one.base.get_parameter("layers.0.weight"), two.base.get_parameter("layers.0.weight"))


def test_training_fits_what_it_sees(indoor: ChannelSet, tmp_path: Path) -> None:
    """Channels that share their shape: the mean of one cluster, turned in phase."""
    turns = torch.exp(2j * torch.pi * torch.arange(64) / 64)
    h = (indoor.h[:1] * turns[:, None, None, None]).to(torch.complex64)
    settings = CoordinateSettings(num_latents=4, width=32, num_layers=2, omega_0=5.0, inner_rate=1.0)
    schedule = replace(SCHEDULE, epochs=40, batch_size=16, learning_rate=5e-3)
    options = CsiInrOptions(settings, schedule, num_points=512)
    network = train_csi_inr(h, h[:8], options, tmp_path / "x.checkpoint.pt", {}, nothing)[0]
    assert unquantized_nmse_db(network, h, 3) < -3


@pytest.mark.parametrize("modulation", ["film", "shift"])
def test_multiply_accumulates_are_those_of_the_layers(modulation: str) -> None:
    settings = SETTINGS.model_copy(update={"modulation": modulation})
    network = CsiInr(settings)
    base, x = network.base, network.grid
    encoded = count_macs(torch.nn.Linear(2, 16), x) if isinstance(base.features, FourierFeatures) else 0
    layers = [count_macs(layer, torch.zeros(1024, layer.in_features)) for layer in (*base.layers, base.output)]
    film = count_macs(base.film, torch.zeros(1, 4))
    assert base_macs(settings) == encoded + sum(layers) + film


def test_a_trained_model_travels_in_other_ways_with_the_same_weights(indoor: ChannelSet, tmp_path: Path) -> None:
    splits = replace(indoor.part(0, 64), sha256="a"), replace(indoor.part(64, 96), sha256="b")
    train_codec("csi-inr", *splits, OPTIONS, tmp_path, "first", "one", nothing)
    start = tmp_path / "one.safetensors"
    for coding, rates in (("entropy", (12, 32)), ("analog", (2, 2))):
        settings = SETTINGS.model_copy(update={"coding": coding})
        options = CsiInrOptions(settings, None, start=str(start))
        card = train_codec("csi-inr", *splits, options, tmp_path, "second", coding, nothing).card
        assert (card.min_rate, card.max_rate) == rates
        assert card.training == load_model(str(start)).card.training
        assert card.training is not None
        assert card.training.epochs == 2
        one, other = (load_csi_inr(load_model(str(tmp_path / f"{name}.safetensors"))) for name in ("one", coding))
        torch.testing.assert_close(one.state_dict(), other.state_dict())


def test_training_goes_on_for_other_inner_steps(indoor: ChannelSet, tmp_path: Path) -> None:
    splits = replace(indoor.part(0, 64), sha256="a"), replace(indoor.part(64, 96), sha256="b")
    train_codec("csi-inr", *splits, OPTIONS, tmp_path, "first", "one", nothing)
    settings = SETTINGS.model_copy(update={"inner_steps": 5})
    options = replace(OPTIONS, settings=settings, start=str(tmp_path / "one.safetensors"))
    card = train_codec("csi-inr", *splits, options, tmp_path, "second", "five", nothing).card
    assert card.coordinates == settings
    assert card.training is not None
    assert card.training.loss == "MSE after 5 inner steps, MAML of second order, learned inner rates, from one"
    other = replace(options, settings=settings.model_copy(update={"width": 8}))
    with pytest.raises(InvalidArgumentError, match=r"`start_from` must be csi-inr of .* got one"):
        train_codec("csi-inr", *splits, other, tmp_path, "third", "other", nothing)


def test_coordinates_that_there_are_not_are_refused(indoor: ChannelSet, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`num_points` must be in \[1, 1024\]; got 1025"):
        trained(replace(OPTIONS, num_points=1025), indoor, tmp_path)
