"""`csi-lab train-inric`, as a user calls it."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.channels import ChannelSet
from shared.channels.writing import write_channels
from shared.errors import CsiError
from shared.experiments.__main__ import app
from shared.model_files import load_model

SMALL = ["--width", "6", "--hidden", "1"]
SHORT = ["--steps", "5", "--bits", "8"]


@pytest.fixture
def arguments(indoor: ChannelSet, tmp_path: Path) -> list[str]:
    write_channels(tmp_path / "mine.npz", [indoor.h[:40]], 40)
    write_channels(tmp_path / "other.npz", [indoor.h[60:68]], 8)
    files = ["--data", str(tmp_path / "mine.npz"), "--test", str(tmp_path / "other.npz")]
    return [*files, "--out", str(tmp_path / "models")]


def invoke(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["csi-lab", *words])
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("words", [["inric"], ["inric", "--coinr", "0.25"], ["coin"]])
def test_a_codec_of_random_starts_is_made(
    words: list[str], arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke(["train-inric", *words, "--name", "mine", *SMALL, *SHORT, *arguments], monkeypatch)
    card = load_model(str(tmp_path / "models" / "mine.safetensors")).card
    assert (card.codec, card.training) == (words[0], None)
    assert [point.rate for point in card.measured] == [card.max_rate]
    assert card.recipe.startswith(f"csi-lab train-inric {words[0]}")


def test_a_codec_of_a_learned_start_says_where_it_was_learned(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learning = ["--out", str(tmp_path / "starts"), "--frequencies", "2", "--steps", "2", "--inner-rate", "1e-2"]
    invoke(["train-inric-start", *arguments[:2], *learning, *SMALL], monkeypatch)
    start = str(tmp_path / "starts" / "inric-start.safetensors")
    invoke(["train-inric", "inric", "--start", start, *SHORT, *arguments], monkeypatch)
    card = load_model(str(tmp_path / "models" / "inric.safetensors")).card
    assert card.siren is not None
    assert (card.siren.width, card.siren.num_frequencies, card.siren.inner_steps) == (6, 2, 3)
    assert card.training is not None
    assert card.training.loss.startswith(
        "start of 40 channels of mine, spatial-frequency domain (csi-lab train-inric-start"
    )


def test_what_cannot_be_is_refused_before_anything_is_learned(arguments: list[str], tmp_path: Path) -> None:
    for words, sentence in (
        (["inric", "--start", "x", "--width", "3"], "`width` must be left out with --start, which brings its own"),
        (["inric", "--start", "x.safetensors"], "`start` must be a file that exists"),
        (["coin", "--frequencies", "3"], "`frequencies` must be left out with coin, which has none"),
        (["inric", "--coinr", "0.25", "--stage", "adaround"], "`stage` must be left out with --coinr"),
        (["inric", "--adaround-steps", "5"], "`adaround_steps` must be given with a --stage of AdaRound; got rounded"),
        (["inric", "--width", "0"], "`width` of inric: Input should be greater than or equal to 1; got 0"),
        (["inric", "--bits", "17"], "`bits` must be least:most in [1, 16]; got '17'"),
        (["inric", "--coinr", "0.25", "--bits", "1:4"], "`bits` must be a least, 2 or more, and a most; got [1, 4]"),
    ):
        result = CliRunner().invoke(app, ["train-inric", *words, *arguments])
        assert isinstance(result.exception, CsiError), result.output
        assert sentence in str(result.exception)
    assert not (tmp_path / "models").exists()
