"""`csi-lab train-inric`, as a user calls it."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.channels import ChannelSet
from shared.channels.writing import write_channels
from shared.errors import InvalidArgumentError
from shared.experiments.__main__ import app
from shared.model_files import load_model

SMALL = ["--width", "6", "--hidden", "1", "--steps", "5", "--bits", "8"]


@pytest.fixture
def arguments(indoor: ChannelSet, tmp_path: Path) -> list[str]:
    write_channels(tmp_path / "mine.npz", [indoor.h[:40]], 40)
    write_channels(tmp_path / "other.npz", [indoor.h[60:68]], 8)
    files = ["--data", str(tmp_path / "mine.npz"), "--test", str(tmp_path / "other.npz")]
    return [*files, "--out", str(tmp_path / "models")]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["inric", "--outer-steps", "4", "--frequencies", "2"], "MSE after 3 inner steps, MetaSIREN of second order"),
        (["inric", "--basic", "--coinr", "0.25"], None),
        (["coin"], None),
    ],
)
def test_a_codec_is_made(
    words: list[str], told: str | None, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train-inric", *words, "--name", "mine", *SMALL, *arguments]
    monkeypatch.setattr(sys, "argv", ["csi-lab", *words])
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    card = load_model(str(tmp_path / "models" / "mine.safetensors")).card
    assert card.codec == words[1]
    assert [point.rate for point in card.measured] == [card.max_rate]
    assert (None if card.training is None else card.training.loss.split(", per")[0]) == told
    assert card.recipe.startswith(f"csi-lab train-inric {words[1]}")


def test_what_cannot_be_is_refused_before_anything_is_learned(arguments: list[str], tmp_path: Path) -> None:
    for words, sentence in (
        (["inric", "--basic", "--outer-steps", "3"], "`outer_steps` must be left out with a random start"),
        (["coin", "--frequencies", "3"], "`frequencies` must be left out with coin, which has none; got 3"),
        (["inric", "--coinr", "0.25", "--stage", "adaround"], "`stage` must be left out with --coinr"),
        (["inric", "--adaround-steps", "5"], "`adaround_steps` must be given with a --stage of AdaRound; got rounded"),
        (["inric", "--width", "0"], "`width`: Input should be greater than or equal to 1; got 0"),
        (["inric", "--bits", "17"], "`bits` must be least:most in [1, 16]; got '17'"),
        (["inric", "--coinr", "0.25", "--bits", "1:4"], "`bits` must be a least, 2 or more, and a most; got [1, 4]"),
    ):
        result = CliRunner().invoke(app, ["train-inric", *words, *arguments])
        assert isinstance(result.exception, InvalidArgumentError), result.output
        assert sentence in str(result.exception)
    assert not (tmp_path / "models").exists()
