"""`csi-lab train-invertible`, as a user calls it."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.channels import ChannelSet
from shared.channels.writing import write_channels
from shared.errors import InvalidArgumentError
from shared.experiments.__main__ import app
from shared.model_files import load_model


@pytest.fixture
def arguments(indoor: ChannelSet, tmp_path: Path) -> list[str]:
    write_channels(tmp_path / "mine.npz", [indoor.h[:60]], 60)
    write_channels(tmp_path / "other.npz", [indoor.h[60:80]], 20)
    files = ["--data", str(tmp_path / "mine.npz"), "--test", str(tmp_path / "other.npz")]
    return [*files, "--out", str(tmp_path / "models"), "--epochs", "1", "--batch-size", "20"]


def test_a_network_is_trained_without_a_part_and_its_card_says_so(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train-invertible", "--name", "mine", "--bits", "2", "--without-ic", "--without-daq", *arguments]
    monkeypatch.setattr(sys, "argv", ["csi-lab", *words])
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    card = load_model(str(tmp_path / "models" / "mine.safetensors")).card
    assert (card.codec, card.min_rate, card.max_rate) == ("invcsinet", 64, 64)
    assert card.training is not None
    assert card.training.loss == "nmse + 0.1 mmd, digital:bsc at 0 ... 10 dB, without DAQ, IC"
    assert card.recipe.startswith(
        "csi-lab train-invertible --name mine --bits 2 --without-ic --without-daq --data mine"
    )


def test_what_cannot_be_is_refused_before_anything_is_trained(arguments: list[str]) -> None:
    for words, sentence in (
        (["--num-latents", "40"], "multiple of 16; got 40"),
        (["--snr-db", "x"], "`snr_db` must be lowest:highest"),
        (["--ideal", "--link", "digital:bsc", "--without-ic"], "`link`, `without_ic` must be left out with --ideal"),
        (["--without-d-bcd", "--link", "digital:bsc"], "`link` must be left out with --without-d-bcd; got digital:bsc"),
        (["--link", "ideal"], "`link` of a training with bit errors must be digital; got 'ideal'"),
    ):
        result = CliRunner().invoke(app, ["train-invertible", *words, *arguments])
        assert isinstance(result.exception, InvalidArgumentError)
        assert sentence in str(result.exception)
