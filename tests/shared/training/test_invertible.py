"""Training of the invertible network on few channels: losses, ablations, what is saved."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, make_decoder, make_encoder
from shared.codecs.invcsinet.codec import InvCsiNet, load_invertible
from shared.errors import DataFileError, InvalidArgumentError
from shared.experiments.commands.train_invertible import settings_of
from shared.links.transition import transition_probability
from shared.metrics import nmse
from shared.model_files import ModelFile, load_model
from shared.network_settings import InvertibleSettings
from shared.rng import Randomness
from shared.training.invertible import InvertibleOptions, _through_link, _transitions, unquantized
from shared.training.loop import Epoch, Schedule
from shared.training.mmd import squared_mmd
from shared.training.train import train_codec
from shared.transforms import to_planes

SCHEDULE = Schedule(epochs=2, batch_size=30, learning_rate=2e-3, ema_decay=0.5, precision="float32")
OPTIONS = InvertibleOptions(InvertibleSettings(num_latents=32, bits=(1, 2), labels="gray"), SCHEDULE)


def split(indoor: ChannelSet) -> tuple[ChannelSet, ChannelSet]:
    train = replace(indoor.part(0, 300), name="mine", sha256="1" * 64)
    return train, replace(indoor.part(300, 360), name="other", sha256="2" * 64)


def train(indoor: ChannelSet, folder: Path, options: InvertibleOptions, stop: int = 0) -> list[Epoch]:
    seen: list[Epoch] = []

    def report(done: int, total: int, epoch: Epoch | None) -> None:
        if epoch:
            seen.append(epoch)
            if epoch.epoch == stop:
                raise KeyboardInterrupt

    train_codec("invcsinet", *split(indoor), options, folder, "the command", None, report)
    return seen


def trained(indoor: ChannelSet, folder: Path, **changes: Any) -> ModelFile:
    train(indoor, folder, replace(OPTIONS, **changes))
    return load_model(str(folder / "invcsinet.safetensors"))


def weights(model: ModelFile, part: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.tensors.items() if part in name}


def test_the_loss_falls_and_what_is_saved_says_how_it_came_to_be(indoor: ChannelSet, tmp_path: Path) -> None:
    history = train(indoor, tmp_path, replace(OPTIONS, schedule=replace(SCHEDULE, epochs=6)))
    assert history[-1].loss < 0.95 * history[0].loss
    assert history[-1].nmse_db < history[0].nmse_db - 0.1
    card = load_model(str(tmp_path / "invcsinet.safetensors")).card
    assert (card.invertible, card.payload, card.links) == (OPTIONS.settings, "bits", ["ideal", "digital"])
    assert (card.min_rate, card.max_rate, [point.rate for point in card.measured]) == (32, 64, [32, 64])
    assert card.training is not None
    assert (card.training.loss, card.training.samples_seen) == ("nmse + 0.1 mmd, digital:bsc at 0 ... 10 dB", 1800)
    assert card.encoder_macs > 0
    assert card.decoder_macs > card.encoder_macs  # the alignment network beside the inverse
    manifest = json.loads((tmp_path / "invcsinet.manifest.json").read_text())
    assert manifest["options"]["settings"]["num_latents"] == 32


def test_an_interrupted_training_gives_the_weights_of_one_that_was_not(indoor: ChannelSet, tmp_path: Path) -> None:
    train(indoor, tmp_path / "whole", OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        train(indoor, tmp_path / "parts", OPTIONS, stop=1)
    with pytest.raises(DataFileError, match=r"is of another training: wanted .*adaptive"):
        train(indoor, tmp_path / "parts", replace(OPTIONS, adaptive=False))
    train(indoor, tmp_path / "parts", OPTIONS)
    whole, parts = (load_model(str(tmp_path / part / "invcsinet.safetensors")) for part in ("whole", "parts"))
    assert all(torch.equal(whole.tensors[name], parts.tensors[name]) for name in whole.tensors)


def test_every_part_is_learned_and_what_an_ablation_leaves_out_stays(indoor: ChannelSet, tmp_path: Path) -> None:
    first = replace(SCHEDULE, epochs=1)
    whole = trained(indoor, tmp_path / "whole", schedule=first)
    assert bool(weights(whole, "alignment.last.weight")["network.alignment.last.weight"].any())
    assert bool(whole.tensors["network.aux_mean"].any())
    steps = whole.tensors["network.quantizers.2.edges"].diff(dim=1)
    assert not torch.allclose(steps, steps[:, :1].expand_as(steps))  # no longer uniform
    without = trained(indoor, tmp_path / "ic", schedule=first, compensation=False)
    assert not without.tensors["network.alignment.last.weight"].any()
    assert not without.tensors["network.aux_mean"].any()
    fixed = trained(indoor, tmp_path / "daq", schedule=first, adaptive=False)
    for name, edges in weights(fixed, "edges").items():
        steps = edges.diff(dim=1)
        torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), msg=name)
    noisy = trained(indoor, tmp_path / "awgn", schedule=first, bit_channel="awgn")
    assert noisy.card.training is not None
    assert noisy.card.training.loss.endswith("without D-BCD")


def test_the_forward_loss_alone_teaches_z_and_the_alignment_and_no_codeword(indoor: ChannelSet, tmp_path: Path) -> None:
    model = trained(indoor, tmp_path, losses="mmd", schedule=replace(SCHEDULE, epochs=3))
    for learned in ("network.aux_mean", "network.aux_deviation", "network.alignment.last.weight"):
        assert bool(model.tensors[learned].any()), learned
    assert all(
        torch.allclose(edges.diff(dim=1), edges.diff(dim=1)[:, :1].expand_as(edges.diff(dim=1)))
        for edges in weights(model, "edges").values()  # the points are of the codeword's way, which it does not reach
    )


@pytest.mark.parametrize("losses", ["both", "mse", "mmd"])
def test_an_ideal_training_leaves_quantiser_and_compensation_alone(
    losses: str, indoor: ChannelSet, tmp_path: Path
) -> None:
    model = trained(indoor, tmp_path, ideal=True, losses=losses, schedule=replace(SCHEDULE, epochs=1))
    assert not model.tensors["network.alignment.last.weight"].any()
    assert not model.tensors["network.aux_mean"].any()
    assert model.card.training is not None
    assert model.card.training.loss.endswith(", ideal")
    assert any(bool(tensor.any()) for tensor in weights(model, "convs.3.weight").values())


def test_a_trained_model_inverts_and_sends_what_its_card_says(indoor: ChannelSet, tmp_path: Path) -> None:
    model = trained(indoor, tmp_path)
    network, h = load_invertible(model), split(indoor)[1].h
    x = torch.view_as_real(h[:, 0]).permute(0, 3, 1, 2)
    with torch.no_grad():
        y, z = network.invertible(x)
        error = (network.invertible.inverse(y, z) - x).norm() / x.norm()
    assert float(error) <= 1e-5
    snr_db, sequence = np.zeros(len(h), dtype=np.float32), np.arange(len(h))
    payload = make_encoder(model, torch.device("cpu")).encode(
        h, EncodeContext(64, snr_db, Randomness(1, np.zeros(len(h), dtype=np.int64), sequence))
    )
    h_hat = make_decoder(model, torch.device("cpu")).decode(payload, DecodeContext(64, snr_db)).h_hat
    measured = next(point.nmse_db for point in model.card.measured if point.rate == 64)
    assert float(10 * nmse(h_hat, h).mean().log10()) == pytest.approx(measured, abs=0.01)


@pytest.mark.parametrize("labels", ["natural", "gray"])
def test_transitions_are_between_points_whatever_their_labels(labels: str) -> None:
    settings = InvertibleSettings.model_validate({"num_latents": 32, "bits": (2, 2), "labels": labels})
    found = _transitions(replace(OPTIONS, settings=settings))[2].matrices
    assert found.shape == (11, 4, 4)
    by_label = transition_probability(2, 0.0, "bpsk").matrix
    of_point = [0, 1, 3, 2] if labels == "gray" else [0, 1, 2, 3]
    for i, a in enumerate(of_point):
        for j, b in enumerate(of_point):
            assert float(found[0, i, j]) == pytest.approx(by_label[a, b], abs=1e-6)


@pytest.mark.parametrize("labels", ["natural", "gray"])
def test_a_clean_link_hands_on_the_points_that_are_sent(labels: str) -> None:
    settings = InvertibleSettings.model_validate({"num_latents": 32, "bits": (2, 2), "labels": labels})
    options = replace(OPTIONS, settings=settings, snr_db=(30.0, 30.0))
    network, u = InvCsiNet(settings), torch.randn(50, 32)
    arguments = torch.full((50,), 30.0), _transitions(options)[2], torch.Generator(), 1.0, options
    u_hat = _through_link(network, u, 2, *arguments)
    widths = np.full(32, 2)
    torch.testing.assert_close(u_hat, network.value(network.index(u, widths), widths))


def test_without_d_bcd_noise_of_a_real_symbol_is_added_to_what_is_sent() -> None:
    options = replace(OPTIONS, bit_channel="awgn")
    network, u = InvCsiNet(OPTIONS.settings).requires_grad_(requires_grad=False), torch.randn(500, 32)
    u_hat = _through_link(network, u, 2, torch.full((500,), 6.0), None, torch.Generator().manual_seed(1), 1.0, options)
    widths = np.full(32, 2)
    sent = network.value(network.index(u, widths), widths)
    wanted = sent.square().mean() * 10 ** (-6 / 10) / 2
    assert float((u_hat - sent).square().mean()) == pytest.approx(float(wanted), rel=0.05)


def test_statistics_are_those_of_the_averaged_network_over_the_training_split(
    indoor: ChannelSet, tmp_path: Path
) -> None:
    model = trained(indoor, tmp_path, schedule=replace(SCHEDULE, epochs=1))
    with torch.no_grad():
        y, _ = load_invertible(model).invertible(to_planes(split(indoor)[0].h))
    torch.testing.assert_close(model.tensors["network.centre"], y.mean(dim=0), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model.tensors["network.scale"], y.std(dim=0), rtol=1e-3, atol=1e-4)


def test_a_precision_in_which_an_inverse_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`precision` of invcsinet must be float32; got auto"):
        InvertibleOptions(OPTIONS.settings, Schedule())


def test_epochs_tell_how_far_reconstructions_are_from_channels(indoor: ChannelSet, tmp_path: Path) -> None:
    history = train(indoor, tmp_path, replace(OPTIONS, ideal=True))
    network = load_invertible(load_model(str(tmp_path / "invcsinet.safetensors")))
    h = split(indoor)[1].h
    wanted = squared_mmd(to_planes(unquantized(network, h)).flatten(1), to_planes(h).flatten(1))
    assert history[-1].mmd == pytest.approx(float(wanted), rel=1e-3)
    assert float(wanted) > 0
    manifest = json.loads((tmp_path / "invcsinet.manifest.json").read_text())
    assert [epoch["mmd"] for epoch in manifest["epochs"]] == [epoch.mmd for epoch in history]


@pytest.mark.parametrize(
    ("num_latents", "bits", "sentence"),
    [
        (33, "1:4", "`num_latents` of invcsinet: .* multiple of 16; got 33"),
        (32, "x", "`bits` must be least:most, as 1:4; got 'x'"),
        (32, "4:1", r"`bits` must be least:most in \[1, 8\]; got '4:1'"),
        (32, "0", r"`bits` must be least:most in \[1, 8\]; got '0'"),
        (2048, "1", "`num_latents` of invcsinet: .* less than or equal to 2032; got 2048"),
    ],
)
def test_settings_that_cannot_be_are_refused(num_latents: int, bits: str, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        settings_of(num_latents, bits, "gray")
