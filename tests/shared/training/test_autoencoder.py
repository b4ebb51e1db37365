"""Training of the two networks on few channels, and the design of their quantisers."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shared.channels import ChannelSet
from shared.codecs.autoencoder.codec import Autoencoder
from shared.coding.latents import COMPANDINGS, MAX_WIDTH, Companding, LatentQuantizer, latent_widths
from shared.errors import InvalidArgumentError
from shared.metrics import nmse
from shared.network_settings import NetworkSettings
from shared.training.autoencoder import (
    Loss,
    NetworkOptions,
    fit_latent_quantizer,
    require_network_shape,
    train_autoencoder,
    unquantized_nmse_db,
    unquantized_one_minus_sgcs_db,
)
from shared.training.loop import Epoch, Schedule
from shared.transforms import from_angular_delay
from shared.types import CsiShape

OPTIONS = NetworkOptions(
    num_latents=8, schedule=Schedule(epochs=2, batch_size=20, learning_rate=3e-3, precision="float32")
)


class StopError(Exception):
    pass


def train(
    codec: str, indoor: ChannelSet, path: Path, options: NetworkOptions = OPTIONS, stop: int = 0
) -> tuple[Autoencoder, list[Epoch]]:
    def report(done: int, total: int, epoch: Epoch | None) -> None:
        if epoch and epoch.epoch == stop:
            raise StopError

    return train_autoencoder(codec, indoor.h[:100], indoor.h[100:140], options, path, {"data": "x"}, report)


@pytest.mark.parametrize(("codec", "loss"), [("csinet", "nmse"), ("crnet", "mse"), ("csinet", "sgcs")])
def test_a_network_learns_a_channel_by_heart(codec: str, loss: Loss, indoor: ChannelSet, tmp_path: Path) -> None:
    one = indoor.h[:1]
    schedule = Schedule(
        epochs=4, batch_size=2, learning_rate=1e-2, final_learning_rate=1e-2, warmup_steps=2, ema_decay=0.9
    )
    options = NetworkOptions(num_latents=8, loss=loss, schedule=replace(schedule, precision="float32"))
    network, history = train_autoencoder(
        codec, one.repeat(40, 1, 1, 1), one, options, tmp_path / "c.pt", {}, lambda *_: None
    )
    assert history[-1].loss < history[0].loss / 5
    measured = unquantized_one_minus_sgcs_db if loss == "sgcs" else unquantized_nmse_db
    assert history[-1].nmse_db == pytest.approx(measured(network, one), abs=1e-5)
    assert history[-1].nmse_db < history[0].nmse_db


def test_the_first_output_of_a_network_has_about_the_power_of_a_channel(
    untrained: Autoencoder, indoor: ChannelSet
) -> None:
    fresh = copy.deepcopy(untrained.decoder).train()  # norms by the batch, as in the first step
    with torch.no_grad():
        output = Autoencoder(untrained.encoder, fresh, "power").decode(untrained.encode(indoor.h[:50]))
    assert 0.5 < float(output.abs().square().mean()) < 4


def test_an_interrupted_training_of_a_network_ends_in_the_same_weights_bit_by_bit(
    indoor: ChannelSet, tmp_path: Path
) -> None:
    whole, _ = train("csinet", indoor, tmp_path / "whole.pt")
    with pytest.raises(StopError):
        train("csinet", indoor, tmp_path / "parts.pt", stop=1)
    torch.manual_seed(12345)
    before = torch.get_rng_state()
    parts, _ = train("csinet", indoor, tmp_path / "parts.pt")
    assert torch.equal(torch.get_rng_state(), before)
    for half in ("encoder", "decoder"):
        mine, wanted = getattr(parts, half).state_dict(), getattr(whole, half).state_dict()
        assert all(torch.equal(mine[name], wanted[name]) for name in wanted)


def test_a_device_that_is_not_there_is_refused(
    indoor: ChannelSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidArgumentError, match="`device` must be one this machine has; got cuda"):
        train("csinet", indoor, tmp_path / "c.pt", replace(OPTIONS, device="cuda"))


@pytest.mark.parametrize(
    "shape", [CsiShape("spatial-frequency", 1, 32, 32), CsiShape("angular-delay", 2, 32, 32)], ids=str
)
def test_channels_of_another_shape_or_domain_are_refused(shape: CsiShape) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`data` for csinet must hold angular-delay \[1, 32, 32\]; got"):
        require_network_shape(shape, "csinet")


@pytest.fixture(scope="module")
def untrained() -> Autoencoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        built = Autoencoder.build("csinet", NetworkSettings(num_latents=8, scaling="power", quantizer="uniform"))
    built.encoder.eval()
    built.decoder.eval()
    return built


def test_the_unquantised_nmse_is_that_of_the_definition(untrained: Autoencoder, indoor: ChannelSet) -> None:
    h = indoor.h[:7]
    with torch.no_grad():
        ratio = nmse(untrained(h), h).mean()
    assert unquantized_nmse_db(untrained, h) == pytest.approx(10 * float(torch.log10(ratio)), abs=1e-5)


def test_one_minus_sgcs_is_the_nmse_at_the_best_scale_of_each_subcarrier(
    untrained: Autoencoder, indoor: ChannelSet
) -> None:
    h = indoor.h[:7]
    with torch.no_grad():
        f_hat, f = (from_angular_delay(x.to(torch.complex128)) for x in (untrained(h), h))
    best = (f_hat.conj() * f).sum(dim=2, keepdim=True) / f_hat.abs().square().sum(dim=2, keepdim=True)
    error = (best * f_hat - f).abs().square().sum(dim=2) / f.abs().square().sum(dim=2)
    wanted = 10 * float(torch.log10(error.mean()))
    assert unquantized_one_minus_sgcs_db(untrained, h) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("companding", COMPANDINGS)
def test_the_quantiser_has_the_moments_of_the_latents_and_no_clip_does_better(
    companding: Companding, untrained: Autoencoder, indoor: ChannelSet
) -> None:
    h = indoor.h[:400]
    quantizer = fit_latent_quantizer(companding, untrained, h)
    with torch.no_grad():
        z = untrained.encode(h)
    torch.testing.assert_close(quantizer.centre, z.mean(dim=0))
    torch.testing.assert_close(quantizer.scale, z.std(dim=0))
    unit = (z - quantizer.centre) / quantizer.scale
    zeros, ones = torch.zeros(8), torch.ones(8)
    for width in range(1, MAX_WIDTH + 1):
        widths = latent_widths(8 * width, 8)

        def error(clip: float, widths: object = widths) -> float:
            own = LatentQuantizer(companding, zeros, ones, torch.full((MAX_WIDTH,), clip))
            return float((own.value(own.index(unit, widths), widths) - unit).square().mean())  # type: ignore[arg-type]

        best = error(float(quantizer.clip[width - 1]))
        assert all(best <= error(clip) * (1 + 1e-5) for clip in (0.7, 1.3, 2.1, 3.0, 4.2, 6.0, 8.0))


def test_a_quantiser_is_not_designed_on_a_single_channel(untrained: Autoencoder, indoor: ChannelSet) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`data` must hold at least 2 channels .*; got 1"):
        fit_latent_quantizer("uniform", untrained, indoor.h[:1])
