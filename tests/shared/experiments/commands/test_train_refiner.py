"""`csi-lab train-refiner` and `csi-lab refiners`, as a user calls them."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.channels import ChannelSet
from shared.channels.writing import write_channels
from shared.errors import DataFileError, InvalidArgumentError
from shared.experiments.__main__ import app
from shared.network_settings import UNetSettings
from shared.refinement import load_refiner, refiner_names
from shared.training import jscc_presets


@pytest.fixture(autouse=True)
def tiny_unet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(jscc_presets.UNETS, "small", UNetSettings(width=8, multipliers=(1, 2), num_blocks=1))


@pytest.fixture
def arguments(indoor: ChannelSet, tmp_path: Path) -> list[str]:
    write_channels(tmp_path / "mine.npz", [indoor.h[:60]], 60)
    write_channels(tmp_path / "other.npz", [indoor.h[60:80]], 20)
    files = ["--data", str(tmp_path / "mine.npz"), "--test", str(tmp_path / "other.npz")]
    rest = ["--codec", "klt", "--link", "digital:soft", "--rate", "64", "--out", str(tmp_path / "refiners")]
    return [*files, *rest, "--epochs", "1", "--batch-size", "20", "--measured", "4", "--precision", "float32"]


def test_a_refiner_is_trained_listed_and_shown(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train-refiner", "residual", "--name", "mine", *arguments]
    monkeypatch.setattr(sys, "argv", ["csi-lab", *words])
    trained = CliRunner().invoke(app, words)
    assert trained.exit_code == 0, trained.output
    assert "epoch 1/1  loss" in trained.stderr
    folder = tmp_path / "refiners"
    assert sorted(path.name for path in folder.iterdir()) == [
        "mine.card.json",
        "mine.manifest.json",
        "mine.safetensors",
    ]
    card = load_refiner(str(folder / "mine.safetensors")).card
    assert (card.schedule, card.codec, card.rate, card.training.samples_seen) == ("stopped", "klt", 64, 60)
    assert card.recipe.startswith("csi-lab train-refiner residual --name mine --data mine.npz")
    assert str(tmp_path) not in (folder / "mine.card.json").read_text()
    shown = CliRunner().invoke(app, ["refiners", "show", str(folder / "mine.safetensors"), "--json"])
    assert json.loads(shown.stdout)["name"] == "mine"
    measure = ["refiners", "measure", str(folder / "mine.safetensors"), "--test", str(tmp_path / "other.npz")]
    measured = CliRunner().invoke(app, [*measure, "--codec", "klt", "--measured", "4"])
    assert measured.exit_code == 0, measured.output
    again = load_refiner(str(folder / "mine.safetensors")).card
    assert [(p.snr_db, p.num_steps, p.nmse_db) for p in again.measured] == [
        (p.snr_db, p.num_steps, p.nmse_db) for p in card.measured
    ]
    beside = CliRunner().invoke(app, [*measure, "--codec", "klt", "--measured", "4", "--out", str(tmp_path / "again")])
    assert beside.exit_code == 0, beside.output
    assert load_refiner(str(tmp_path / "again" / "mine.safetensors")).card.sha256 == card.sha256
    nowhere = ["refiners", "measure", "rd-klt", "--codec", "klt", "--test", str(tmp_path / "other.npz")]
    assert "`out` must say where the card of a shipped" in str(CliRunner().invoke(app, nowhere).exception)
    other = CliRunner().invoke(app, [*measure, "--codec", "csinet"])
    assert "`codec` of refiner mine must be klt; got csinet" in str(other.exception)
    monkeypatch.setattr(sys, "argv", ["csi-lab", *words, "--seed", "2"])
    refused = CliRunner().invoke(app, [*words, "--seed", "2"])
    assert isinstance(refused.exception, InvalidArgumentError)
    assert "--overwrite" in str(refused.exception)


def test_what_ships_is_listed() -> None:
    listed = CliRunner().invoke(app, ["refiners", "list", "--json"])
    assert [card["name"] for card in json.loads(listed.stdout)] == refiner_names()
    assert CliRunner().invoke(app, ["refiners", "list"]).exit_code == 0
    for name in refiner_names():
        assert CliRunner().invoke(app, ["refiners", "show", name]).exit_code == 0


@pytest.mark.parametrize(
    ("more", "error", "sentence"),
    [
        (
            ["--name", "Foo_Bar"],
            InvalidArgumentError,
            "`name` must be lower-case letters, digits, dots and hyphens; got 'Foo_Bar'",
        ),
        (["--noise", "stopped"], InvalidArgumentError, "`noise` of a generative refiner must be cosine; got stopped"),
        (["--codec", "nope"], DataFileError, "`codec` must be a model of the zoo"),
        (["--rate", "1"], InvalidArgumentError, "`rate` of codec klt must be"),
        (["--link", "analog"], InvalidArgumentError, "`link` of codec klt must be ideal or digital"),
        (["--snr-db", "5:1"], InvalidArgumentError, "`snr_db` must be lowest:highest"),
        (["--batch-size", "61"], InvalidArgumentError, "`batch_size` must be at most the 60 channels"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    more: list[str], error: type[Exception], sentence: str, arguments: list[str]
) -> None:
    result = CliRunner().invoke(app, ["train-refiner", "generative", "--name", "mine", *arguments, *more])
    assert isinstance(result.exception, error), result.output
    assert sentence in str(result.exception)
