"""`csi-lab data generate`, as a user calls it."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.channels import load_channels
from shared.experiments.__main__ import app, main

GENERATE = ["data", "generate", "tr38901"]


def test_splits_are_made_beside_each_other_and_a_recipe_makes_its_file_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sionna.phy")
    options = "--scenario cdl-b --num-tx-ant 4 --num-subcarriers 64 --carrier-frequency-hz 3.54321e9"
    splits = "--split train=12 --split test=4 --seed 3"
    result = CliRunner().invoke(app, [*GENERATE, *options.split(), *splits.split(), "--out", str(tmp_path / "b.npz")])
    assert result.exit_code == 0, result.output
    train, test = (load_channels(str(tmp_path / f"b-{name}.npz")) for name in ("train", "test"))
    assert (len(train.h), len(test.h)) == (12, 4)
    assert test.shape.dims == (1, 4, 32)
    assert test.card is not None
    assert test.card.configuration["carrier_frequency_hz"] == 3.54321e9
    (tmp_path / "again").mkdir()
    monkeypatch.chdir(tmp_path / "again")
    command, *arguments = test.card.recipe.split()
    assert command == "csi-lab"
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert (tmp_path / "again/b-test.npz").read_bytes() == (tmp_path / "b-test.npz").read_bytes()
    assert json.loads((tmp_path / "again/b-test.card.json").read_text()) == test.card.model_dump()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "csi-lab: `preset` (easy, hard) or `scenario` (indoor-open, "),
        (["--preset", "easy", "--scenario", "umi"], "csi-lab: `preset` (easy, hard) or `scenario` (indoor-open, "),
        (["--scenario", "mars"], "csi-lab: `scenario` must be one of indoor-open, "),
        (["--preset", "hard", "--num-tx-ant", "0"], "csi-lab: `num_tx_ant` must be in [1, 1024]; got 0."),
        (["--preset", "hard", "--split", "train"], "csi-lab: `split` must be NAME=COUNT, such as train=20000; got"),
        (["--preset", "hard", "--split", "a=1", "--num-channels", "1"], "csi-lab: `num_channels` must not be given"),
        (
            ["--preset", "easy", "--speed-m-s", "1", "--reports-per-drop", "5", "--split", "a=5", "--split", "b=6"],
            "csi-lab: `num_channels` must be a multiple of 5, the reports of a drop; got 6.",
        ),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_nothing_is_made(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["csi-lab", *GENERATE, *arguments, "--out", str(tmp_path / "x.npz")])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(sentence)
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_the_help_names_the_presets_and_the_scenarios() -> None:
    output = CliRunner().invoke(app, [*GENERATE, "--help"]).output
    for word in ("easy", "hard", "indoor-open", "umi", "cdl-a", "tdl-e", "--split"):
        assert word in output
