"""`csi-lab train-csi-inr`, as a user calls it."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.channels import ChannelSet
from shared.channels.writing import write_channels
from shared.errors import InvalidArgumentError
from shared.experiments.__main__ import app
from shared.model_files import load_model

SMALL = ["--num-latents", "4", "--width", "8", "--num-layers", "2"]
SHORT = ["--epochs", "1", "--batch-size", "20", "--num-points", "64"]


@pytest.fixture
def arguments(indoor: ChannelSet, tmp_path: Path) -> list[str]:
    write_channels(tmp_path / "mine.npz", [indoor.h[:60]], 60)
    write_channels(tmp_path / "other.npz", [indoor.h[60:80]], 20)
    files = ["--data", str(tmp_path / "mine.npz"), "--test", str(tmp_path / "other.npz")]
    return [*files, "--out", str(tmp_path / "models")]


def test_a_network_is_trained_and_made_to_travel_another_way(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train-csi-inr", "--name", "mine", *SMALL, *SHORT, "--order", "1", "--fixed-rates", *arguments]
    monkeypatch.setattr(sys, "argv", ["csi-lab", *words])
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    mine = tmp_path / "models" / "mine.safetensors"
    card = load_model(str(mine)).card
    assert (card.codec, card.min_rate, card.max_rate) == ("csi-inr", 12, 56)
    assert card.training is not None
    assert card.training.loss == "MSE after 3 inner steps, MAML of first order, one inner rate"
    assert card.recipe.startswith("csi-lab train-csi-inr --name mine --num-latents 4")
    words = ["train-csi-inr", "--name", "coded", "--start-from", str(mine), "--epochs", "0", "--coding", "entropy"]
    result = CliRunner().invoke(app, [*words, *arguments])
    assert result.exit_code == 0, result.output
    coded = load_model(str(tmp_path / "models" / "coded.safetensors")).card
    assert (coded.min_rate, coded.max_rate, coded.training) == (12, 32, card.training)


def test_coin_plus_plus_is_trained_likewise(arguments: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train-csi-inr", "--codec", "coin-plus-plus", *SMALL, *SHORT, *arguments])
    assert result.exit_code == 0, result.output
    card = load_model(str(tmp_path / "models" / "coin-plus-plus.safetensors")).card
    assert card.codec == "coin-plus-plus"
    assert card.coordinates is not None
    assert card.coordinates.modulation == "shift"


def test_what_cannot_be_is_refused_before_anything_is_trained(arguments: list[str], tmp_path: Path) -> None:
    for words, sentence in (
        (["--num-latents", "0"], "`num_latents` of csi-inr: Input should be greater than or equal to 1; got 0"),
        (["--epochs", "0"], "`epochs` must be at least 1 without --start-from; got 0"),
        (["--start-from", "csinet", "--width", "8"], "`width` must be left out with --start-from"),
        (["--start-from", "csinet", "--epochs", "0", "--order", "1"], "`order` must be left out with 0 epochs"),
        (["--start-from", "csinet"], "`start_from` must be a model of csi-inr or coin-plus-plus; got csinet, csinet"),
        (["--codec", "coin-plus-plus", "--deviation", "5"], "`deviation` must be left out with coin-plus-plus"),
        (["--num-latents", "3", "--coding", "analog"], "analog needs an even `num_latents`, two a symbol, not 3"),
    ):
        result = CliRunner().invoke(app, ["train-csi-inr", *words, *arguments])
        assert isinstance(result.exception, InvalidArgumentError), result.output
        assert sentence in str(result.exception)
    assert not (tmp_path / "models").exists()
