"""A network trained, quantised, measured and saved as a codec."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shared.channels import ChannelSet
from shared.errors import DataFileError, InvalidArgumentError
from shared.model_files import ModelFile, load_model
from shared.training.autoencoder import NetworkOptions
from shared.training.fit import measure_nmse_db
from shared.training.loop import Epoch, Schedule
from shared.training.stages import STAGES
from shared.training.train import NETWORKS, train_codec

OPTIONS = NetworkOptions(
    num_latents=4, quantizer="mu-law", schedule=Schedule(epochs=1, batch_size=30, precision="float32")
)


def split(indoor: ChannelSet) -> tuple[ChannelSet, ChannelSet]:
    train = replace(indoor.part(0, 100), name="mine", sha256="1" * 64)
    return train, replace(indoor.part(100, 150), name="other", sha256="2" * 64)


def train(codec: str, indoor: ChannelSet, folder: Path, options: NetworkOptions = OPTIONS) -> ModelFile:
    return train_codec(codec, *split(indoor), options, folder, "the command", None, lambda *_: None)


@pytest.mark.parametrize("codec", [name for name in NETWORKS if name not in STAGES])  # those: test_stages.py
def test_a_trained_network_is_saved_as_a_codec_with_record_and_manifest(
    codec: str, indoor: ChannelSet, tmp_path: Path
) -> None:
    model = train(codec, indoor, tmp_path)
    loaded = load_model(str(tmp_path / f"{codec}.safetensors"))
    assert loaded.card == model.card
    assert all(torch.equal(loaded.tensors[name], model.tensors[name]) for name in model.tensors)
    card = loaded.card
    assert card.network is not None
    assert card.training is not None
    assert (card.network.num_latents, card.network.quantizer) == (4, "mu-law")
    assert (card.training.loss, card.training.epochs, card.training.samples_seen) == ("nmse", 1, 90)
    assert [point.rate for point in card.measured] == [4, 8, 12, 16, 20, 24, 28, 32]
    assert card.measured[-1].nmse_db == measure_nmse_db(loaded, split(indoor)[1], 32)
    assert card.measured[-1].nmse_db == pytest.approx(card.training.unquantized_nmse_db, abs=0.1)
    torch.testing.assert_close(loaded.tensors["mean"], indoor.h[:100].mean(dim=0))
    manifest = json.loads((tmp_path / f"{codec}.manifest.json").read_text())
    assert manifest["command"] == card.recipe == "the command"
    assert manifest["training_data"] == card.training_data == f"mine, 100 channels, sha256 {'1' * 64}"
    assert manifest["test_data"] == card.test_data == f"other, 50 channels, sha256 {'2' * 64}"
    assert manifest["options"]["schedule"]["seed"] == OPTIONS.schedule.seed
    assert [epoch["epoch"] for epoch in manifest["epochs"]] == [1]


def test_a_network_trained_for_sgcs_reports_a_precoder(indoor: ChannelSet, tmp_path: Path) -> None:
    card = train("csinet", indoor, tmp_path, replace(OPTIONS, loss="sgcs")).card
    assert (card.output, card.eigenvectors, card.measured) == ("precoder", None, [])  # of channels, here
    assert [point.rate for point in card.measured_sgcs] == [4, 8, 12, 16, 20, 24, 28, 32]
    assert card.training is not None
    assert (card.training.loss, card.training.unquantized_nmse_db) == ("nmse for 25 % of the steps, then sgcs", None)
    (epoch,) = json.loads((tmp_path / "csinet.manifest.json").read_text())["epochs"]
    assert -1 < epoch["one_minus_sgcs_db"] < 0
    assert "nmse_db" not in epoch
    through = replace(OPTIONS, start=str(tmp_path / "csinet.safetensors"))
    with pytest.raises(InvalidArgumentError, match="`start_from` must be trained by nmse or mse; csinet was by sgcs"):
        train("csinet", indoor, tmp_path / "other", through)
    for codec, options in (
        ("dnnet", replace(OPTIONS, schedule=replace(OPTIONS.schedule, epochs=3))),
        ("csinet", replace(OPTIONS, start="csinet")),
    ):
        with pytest.raises(
            InvalidArgumentError, match=f"`loss` must be nmse or mse where {codec} is trained in stages"
        ):
            train(codec, indoor, tmp_path / "other", replace(options, loss="sgcs"))
    assert not (tmp_path / "other").exists()


class StopError(Exception):
    pass


def stop(done: int, total: int, epoch: Epoch | None) -> None:
    if epoch:
        raise StopError


def test_the_same_command_gives_the_same_file_also_after_an_interruption(indoor: ChannelSet, tmp_path: Path) -> None:
    options = replace(OPTIONS, schedule=replace(OPTIONS.schedule, epochs=2))
    whole = train("csinet", indoor, tmp_path / "whole", options)
    with pytest.raises(StopError):
        train_codec("csinet", *split(indoor), options, tmp_path / "parts", "the command", None, stop)
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["csinet.checkpoint.pt"]
    parts = train("csinet", indoor, tmp_path / "parts", options)
    assert parts.card == whole.card  # its digest is the file's
    assert not list(tmp_path.glob("*/*.pt"))  # done with


def test_a_checkpoint_of_other_data_or_another_size_is_refused(indoor: ChannelSet, tmp_path: Path) -> None:
    mine, other = split(indoor)
    with pytest.raises(StopError):
        train_codec("csinet", mine, other, OPTIONS, tmp_path, "", None, stop)
    with pytest.raises(DataFileError, match=r"is of another training: wanted num_latents 5 \(found 4\)"):
        train("csinet", indoor, tmp_path, replace(OPTIONS, num_latents=5))
    for data, test, key in (
        (replace(mine, sha256="3" * 64), other, "training_data"),
        (mine, replace(other, sha256="3" * 64), "test_data"),
    ):
        with pytest.raises(DataFileError, match=f"is of another training: wanted {key} '3333"):
            train_codec("csinet", data, test, OPTIONS, tmp_path, "", None, stop)
    train("csinet", indoor, tmp_path, replace(OPTIONS, quantizer="uniform"))  # designed after the training


def test_what_cannot_be_trained_is_refused_before_the_first_step(indoor: ChannelSet, tmp_path: Path) -> None:
    mine, other = split(indoor)
    shape = replace(indoor.shape, domain="spatial-frequency")

    def never(done: int, total: int, epoch: Epoch | None) -> None:
        raise AssertionError

    for codec, data, test, sentence in (
        ("klt", mine, other, f"`codec` must be one of {', '.join(NETWORKS)}; got 'klt'"),
        ("csinet", mine, mine, "`test` must be another file"),
        (
            "csinet",
            replace(mine, shape=shape),
            replace(other, shape=shape),
            "`data` for csinet must hold angular-delay",
        ),
        ("csinet", mine.part(0, 29), other, "`batch_size` must be at most the 29 channels; got 30"),
    ):
        with pytest.raises(InvalidArgumentError, match=sentence):
            train_codec(codec, data, test, OPTIONS, tmp_path, "", None, never)
    assert list(tmp_path.iterdir()) == []
