"""Training in stages: what is trained, what lies between the halves, a model trained on through a link."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet
from shared.codecs.autoencoder.codec import Autoencoder
from shared.coding.latents import LatentQuantizer
from shared.errors import DataFileError, InvalidArgumentError
from shared.model_files import ModelFile, TrainingRecord, load_model
from shared.network_settings import NetworkSettings
from shared.training.autoencoder import GAUSSIAN_CLIP, NetworkOptions, straight_through
from shared.training.fit import save_codec
from shared.training.loop import Epoch, Schedule
from shared.training.stages import STAGES, Between, epochs_of_stages
from shared.training.train import as_codec, train_codec

SCHEDULE = Schedule(epochs=4, batch_size=20, learning_rate=2e-3, ema_decay=0.5, precision="float32")
OPTIONS = NetworkOptions(num_latents=6, schedule=SCHEDULE)
QUANTIZER = LatentQuantizer("uniform", torch.ones(3), torch.full((3,), 2.0), torch.tensor(GAUSSIAN_CLIP))


def train(
    codec: str, indoor: ChannelSet, folder: Path, options: NetworkOptions = OPTIONS, name: str = "small", stop: int = 0
) -> tuple[ModelFile, list[Epoch]]:
    seen: list[Epoch] = []

    def report(done: int, total: int, epoch: Epoch | None) -> None:
        assert 0 < done <= total
        if epoch:
            seen.append(epoch)
            if epoch.epoch == stop:
                raise KeyboardInterrupt

    splits = (
        replace(indoor.part(0, 100), name="mine", sha256="1" * 64),
        replace(indoor.part(100, 130), name="other", sha256="2" * 64),
    )
    train_codec(codec, *splits, options, folder, "the command", name, report)
    return load_model(str(folder / f"{name}.safetensors")), seen


@pytest.mark.parametrize("codec", STAGES)
def test_a_corrector_is_trained_after_the_halves(codec: str, indoor: ChannelSet, tmp_path: Path) -> None:
    model, epochs = train(codec, indoor, tmp_path)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert sum(epochs_of_stages(codec, 4)) == 4
    learned = [tensor for name, tensor in model.tensors.items() if "corrector" in name and name.endswith("weight")]
    assert all(bool(tensor.any()) for tensor in learned)
    assert model.card.training is not None
    assert (model.card.training.epochs, model.card.training.samples_seen) == (4, 400)
    assert model.card.training.loss.startswith("nmse; corrector: latents behind ")
    assert not list(tmp_path.glob("*.checkpoint.pt"))


def test_an_interrupted_stage_gives_the_weights_of_one_that_was_not(indoor: ChannelSet, tmp_path: Path) -> None:
    whole, _ = train("csinet-plus", indoor, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train("csinet-plus", indoor, tmp_path / "parts", stop=3)
    parts, epochs = train("csinet-plus", indoor, tmp_path / "parts")
    assert [epoch.epoch for epoch in epochs] == [4]
    assert all(torch.equal(whole.tensors[name], parts.tensors[name]) for name in whole.tensors)


def test_a_stage_that_was_interrupted_is_not_gone_on_with_from_other_weights(
    indoor: ChannelSet, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train("csinet-plus", indoor, tmp_path, stop=3)
    with pytest.raises(DataFileError, match="is of another training"):
        train("csinet-plus", indoor, tmp_path, replace(OPTIONS, quantizer="mu-law"))


def test_epochs_must_be_enough_for_the_stages(indoor: ChannelSet, tmp_path: Path) -> None:
    short = replace(OPTIONS, schedule=replace(SCHEDULE, epochs=1))
    with pytest.raises(InvalidArgumentError, match="`epochs` must be at least 2, of the stages of dnnet; got 1"):
        train("dnnet", indoor, tmp_path, short)


def test_a_measurement_is_at_the_most_bits_and_the_middle_snr() -> None:
    z = 1 + 2 * torch.randn(500, 3)
    between = Between("quantizer", QUANTIZER, NetworkOptions(num_latents=3, bits=(1, 5)))
    widths = np.full(3, 5)
    measured = between(z, torch.Generator().manual_seed(3), measured=True)
    assert torch.equal(measured, QUANTIZER.value(QUANTIZER.index(z, widths), widths))


def test_a_model_trained_on_through_a_link_keeps_its_quantiser_and_moves_all_else(
    indoor: ChannelSet, tmp_path: Path
) -> None:
    before, _ = train("dnnet", indoor, tmp_path, name="before")
    start = str(tmp_path / "before.safetensors")
    through = replace(OPTIONS, start=start, link="digital:hard:qpsk", schedule=replace(SCHEDULE, epochs=1))
    after, epochs = train("dnnet", indoor, tmp_path, through, "after")
    assert len(epochs) == 1
    for part in ("encoder", "decoder", "corrector"):
        names = [name for name in before.tensors if part in name and name.endswith("weight")]
        assert any(not torch.equal(before.tensors[name], after.tensors[name]) for name in names)
    for name in ("centre", "scale", "clip"):
        assert torch.equal(before.tensors[f"quantizer.{name}"], after.tensors[f"quantizer.{name}"])
    assert after.card.training is not None
    assert after.card.training.loss == (
        f"nmse through digital:hard:qpsk at 0 ... 10 dB, 1 to 4 bits a latent, from before of {before.card.sha256[:12]}"
    )
    with pytest.raises(InvalidArgumentError, match="`start_from` must be a model of csinet; got before, dnnet"):
        train("csinet", indoor, tmp_path, through, "other")


def test_a_model_trained_on_keeps_its_size_quantiser_and_scale(indoor: ChannelSet, tmp_path: Path) -> None:
    peaks = NetworkSettings(num_latents=5, scaling="peak", quantizer="mu-law")
    network = Autoencoder.build("csinet", peaks)
    for part in network.parts.values():
        part.eval().requires_grad_(requires_grad=False)
    record = TrainingRecord(loss="none", epochs=0, samples_seen=0)
    fitted = as_codec("csinet", network, peaks, indoor.h[:100], record)
    save_codec("csinet", fitted, "nothing", indoor.part(100, 130), tmp_path, "", "before")
    through = replace(OPTIONS, start=str(tmp_path / "before.safetensors"))
    after, epochs = train("csinet", indoor, tmp_path, through, "after")
    assert after.card.network == peaks
    assert epochs[-1].loss < epochs[0].loss


def test_what_is_between_is_a_quantiser_noise_or_a_link() -> None:
    z = 1 + 2 * torch.randn(4000, 3)
    options = NetworkOptions(num_latents=3, bits=(2, 2), snr_db=(6.0, 6.0))
    generator = torch.Generator().manual_seed(1)
    quantized = Between("quantizer", QUANTIZER, options)(z, generator)
    widths = np.full(3, 2)
    assert torch.equal(quantized, QUANTIZER.value(QUANTIZER.index(z, widths), widths))
    noisy = Between("noise", QUANTIZER, options)(z, generator)
    assert float((noisy - z).std()) == pytest.approx(2 * 10 ** (-6 / 20) / 2**0.5, rel=0.05)
    sent = Between("link", QUANTIZER, replace(options, snr_db=(20.0, 20.0)))(z, generator)
    torch.testing.assert_close(sent, quantized)
    received = Between("link", QUANTIZER, replace(options, snr_db=(0.0, 0.0)))(z, generator)
    wrong = (received - quantized).abs() > 1e-3
    assert float(wrong.float().mean()) == pytest.approx(1 - (1 - 0.0786) ** 2, abs=0.02)


def test_gradients_pass_a_link_and_a_quantiser_that_is_part_of_the_training() -> None:
    z = torch.randn(50, 3, requires_grad=True)
    generator = torch.Generator().manual_seed(1)
    Between("link", QUANTIZER, NetworkOptions(num_latents=3))(z, generator).square().sum().backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    assert bool(z.grad.isfinite().all())
    assert bool(z.grad.any())
    w = torch.randn(50, 3, requires_grad=True)
    out = straight_through(w, (2, 2), generator)
    assert torch.unique(out.detach()[:, 0].round(decimals=4)).numel() <= 4
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert w.grad is not None
    assert torch.equal(w.grad, torch.ones(50, 3))


def test_points_are_the_values_of_all_indices() -> None:
    points = QUANTIZER.points(np.full(3, 3))
    assert points.shape == (3, 8)
    assert bool((points.diff(dim=1) > 0).all())
    index = torch.tensor([[0, 5, 7]])
    assert torch.equal(QUANTIZER.value(index, np.full(3, 3))[0], points[[0, 1, 2], [0, 5, 7]])
