"""Training over the analog link: tiny networks on few channels, and what is saved."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shared.channels import ChannelSet
from shared.codecs import make_encoder
from shared.codecs.jscc.network import JsccDecoderNetwork, JsccEncoderNetwork
from shared.errors import DataFileError, InvalidArgumentError
from shared.model_files import load_model
from shared.network_settings import JsccSettings
from shared.training.jscc import JsccOptions, _reconstructions, require_device, with_estimation_error
from shared.training.jscc_presets import JSCC_NETWORKS, jscc_settings
from shared.training.loop import Epoch, Schedule
from shared.training.train import train_codec
from shared.transforms import normalize_power

SCHEDULE = Schedule(epochs=2, batch_size=30, learning_rate=3e-3, precision="float32")
TINY = JsccSettings(num_symbols=4, encoder_layers=2, num_blocks=1)


def split(indoor: ChannelSet) -> tuple[ChannelSet, ChannelSet]:
    train = replace(indoor.part(0, 90), name="mine", sha256="1" * 64)
    return train, replace(indoor.part(90, 120), name="other", sha256="2" * 64)


def train(indoor: ChannelSet, folder: Path, options: JsccOptions, codec: str = "rd-jscc", stop: int = 0) -> list[Epoch]:
    seen: list[Epoch] = []

    def report(done: int, total: int, epoch: Epoch | None) -> None:
        if epoch:
            seen.append(epoch)
            if epoch.epoch == stop:
                raise KeyboardInterrupt

    train_codec(codec, *split(indoor), options, folder, "the command", None, report)
    return seen


def test_the_loss_falls_and_what_is_saved_says_how_it_came_to_be(indoor: ChannelSet, tmp_path: Path) -> None:
    history = train(indoor, tmp_path, JsccOptions(TINY, replace(SCHEDULE, epochs=6, ema_decay=0.5)))
    assert history[-1].loss < history[0].loss
    card = load_model(str(tmp_path / "rd-jscc.safetensors")).card
    assert (card.jscc, card.payload, card.links, card.min_rate, card.max_rate) == (TINY, "symbols", ["analog"], 4, 4)
    assert card.training is not None
    assert (card.training.loss, card.training.epochs, card.training.samples_seen) == ("nmse", 6, 540)
    manifest = json.loads((tmp_path / "rd-jscc.manifest.json").read_text())
    assert manifest["options"]["settings"]["num_symbols"] == 4
    assert not (tmp_path / "rd-jscc.checkpoint.pt").exists()


def test_an_interrupted_training_gives_the_weights_of_one_that_was_not(indoor: ChannelSet, tmp_path: Path) -> None:
    options = JsccOptions(TINY, SCHEDULE, cnr_db=(0, 20))
    train(indoor, tmp_path / "whole", options)
    with pytest.raises(KeyboardInterrupt):
        train(indoor, tmp_path / "parts", options, stop=1)
    with pytest.raises(DataFileError, match=r"is of another training: wanted .*cnr_db"):
        train(indoor, tmp_path / "parts", replace(options, cnr_db=None))
    train(indoor, tmp_path / "parts", options)
    whole, parts = (load_model(str(tmp_path / part / "rd-jscc.safetensors")) for part in ("whole", "parts"))
    assert all(torch.equal(whole.tensors[name], parts.tensors[name]) for name in whole.tensors)
    assert whole.card.training is not None
    assert whole.card.training.loss == "nmse, CNR 0 ... 20 dB"


def test_a_matryoshka_model_is_measured_at_every_prefix(indoor: ChannelSet, tmp_path: Path) -> None:
    settings = TINY.model_copy(update={"prefixes": (2, 3, 4)})
    train(indoor, tmp_path, JsccOptions(settings, replace(SCHEDULE, epochs=1)))
    card = load_model(str(tmp_path / "rd-jscc.safetensors")).card
    assert [point.rate for point in card.measured] == [2, 3, 4]


def test_all_prefixes_are_decoded_in_one_batch_whose_statistics_batch_norm_keeps() -> None:
    settings = TINY.model_copy(update={"prefixes": (1, 4)})
    network = torch.nn.ModuleDict({"encoder": JsccEncoderNetwork(settings), "decoder": JsccDecoderNetwork(settings)})
    seen: list[int] = []
    network["decoder"].register_forward_hook(lambda _network, _given, decoded: seen.append(len(decoded)))
    h = torch.randn(6, 1, 32, 32, dtype=torch.complex64)
    found = _reconstructions(network, settings, h, torch.zeros(6), torch.Generator().manual_seed(1))
    assert seen == [12]
    assert [(prefix, tuple(h_hat.shape)) for prefix, h_hat in found] == [(1, (6, 1, 32, 32)), (4, (6, 1, 32, 32))]


@pytest.mark.parametrize("weights", ["length", "equal"])
def test_the_loss_is_that_of_all_prefixes_by_their_weights(weights: str, indoor: ChannelSet, tmp_path: Path) -> None:
    """With a rate of 0 in all but name nothing is learnt, so that the first loss is that of the fresh network."""
    settings = TINY.model_copy(update={"prefixes": (1, 4), "prefix_weights": weights})
    schedule = replace(SCHEDULE, epochs=1, batch_size=90, learning_rate=1e-5)
    (epoch,) = train(indoor, tmp_path, JsccOptions(settings, schedule))
    alone = TINY.model_copy(update={"prefixes": ()})
    (longest,) = train(indoor, tmp_path / "alone", JsccOptions(alone, schedule))
    share = 1 + (0.25 if weights == "length" else 1)
    assert epoch.loss == pytest.approx(share * longest.loss, rel=0.2)  # fresh, every prefix errs by about as much


def test_a_quantised_model_goes_over_the_digital_link(indoor: ChannelSet, tmp_path: Path) -> None:
    settings = TINY.model_copy(update={"bits_per_real": 3})
    train(indoor, tmp_path, JsccOptions(settings, replace(SCHEDULE, epochs=1)))
    model = load_model(str(tmp_path / "rd-jscc.safetensors"))
    assert (model.card.payload, model.card.links, model.card.max_rate) == ("bits", ["ideal", "digital"], 24)
    assert make_encoder(model, torch.device("cpu")).card.max_rate == 24


@pytest.mark.parametrize("codec", JSCC_NETWORKS)
def test_every_network_trains(codec: str, indoor: ChannelSet, tmp_path: Path) -> None:
    preset = JSCC_NETWORKS[codec]
    settings = jscc_settings(codec, "small", 2, (), 2, (-10, 10), None).model_copy(update={"num_blocks": 1})
    assert settings.snr_adaptation is preset.snr_adaptation
    few = replace(indoor.part(0, 4), name="few", sha256="3" * 64)
    options = JsccOptions(settings, replace(SCHEDULE, epochs=1, batch_size=2))
    train_codec(codec, few, split(indoor)[1].part(0, 4), options, tmp_path, "", None, lambda *_: None)
    assert load_model(str(tmp_path / f"{codec}.safetensors")).card.codec == codec


def test_the_estimation_error_has_the_power_that_the_cnr_says() -> None:
    h = normalize_power(torch.randn(2000, 1, 4, 4, dtype=torch.complex64, generator=torch.Generator().manual_seed(1)))
    h_est = with_estimation_error(h, (0, 0), torch.Generator().manual_seed(2))
    torch.testing.assert_close(h_est.abs().square().mean(dim=(1, 2, 3)), torch.ones(2000))
    similarity = (h_est * h.conj()).mean(dim=(1, 2, 3)).real.mean()
    assert float(similarity) == pytest.approx(0.5**0.5, abs=0.02)  # as much error as channel, then at unit power


def test_what_does_not_go_together_is_refused(indoor: ChannelSet, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="`size` of rd-jscc must be small; got large"):
        jscc_settings("rd-jscc", "large", 16, (), 4, (-10, 10), None)
    with pytest.raises(InvalidArgumentError, match="`prefixes` must increase to num_symbols, 16"):
        jscc_settings("rd-jscc", "small", 16, (4, 8), 4, (-10, 10), None)
    with pytest.raises(InvalidArgumentError, match="`prefixes` must be empty with `bits_per_real`"):
        jscc_settings("rd-jscc", "small", 16, (8, 16), 4, (-10, 10), 4)
    mine, _ = split(indoor)
    small = replace(mine, shape=replace(mine.shape, num_tx_ant=16))
    other = replace(small, sha256="4" * 64)
    with pytest.raises(InvalidArgumentError, match=r"`data` for rd-jscc must hold angular-delay \[1, 32, 32\]"):
        train_codec("rd-jscc", small, other, JsccOptions(TINY), tmp_path, "", None, lambda *_: None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="got cuda, and torch finds no CUDA device"):
        require_device("cuda")
