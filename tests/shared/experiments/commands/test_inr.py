"""`csi-lab inr` and `csi-lab train-inric-start`, as a user calls them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from shared.experiments.__main__ import app, main
from shared.experiments.picture import psnr_db, read_picture
from shared.inr.start_file import read_start
from tests.shared.experiments.pictures import synthetic_picture

SMALL = ["--width", "6", "--hidden", "1", "--frequencies", "3"]
QUICK = ["--steps", "60", "--adaround-steps", "20"]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("num_colours", [1, 3])
def test_a_picture_is_compressed_shown_and_decoded_by_another_process(num_colours: int, tmp_path: Path) -> None:
    picture, out = synthetic_picture(num_colours=num_colours), tmp_path / "out"
    picture.write(tmp_path / "mine.png")
    shown = run("inr", tmp_path / "mine.png", *SMALL, *QUICK, "--coinr", "--out", out).stdout
    for way in ("not quantised", "rounded", "AdaRound", "retrained", "CoINR", "COIN", "JPEG", "JPEG 2000"):
        assert way in shown
    command = ["inr", "--out", str(tmp_path), "--decode"]
    run(*command, out / "coinr.inr")
    run(*command, out / "coin.inr")
    other = [sys.executable, "-m", "shared.experiments", *command, str(out / "inric-adaround-retrained.inr")]
    subprocess.run(other, check=True, capture_output=True)
    for stem in ("inric-adaround-retrained", "coinr", "coin"):
        decoded, told = read_picture(tmp_path / f"{stem}.decoded.png"), read_picture(out / f"{stem}.png")
        assert np.array_equal(decoded.pixels, told.pixels)
    size = (out / "inric-adaround-retrained.inr").stat().st_size
    assert f"{8 * size / picture.num_pixels:.3f}" in shown
    found = read_picture(out / "inric-adaround-retrained.png")
    assert f"{psnr_db(found, picture):.2f}" in shown


def test_a_learned_start_compresses_and_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, start = tmp_path / "pictures", tmp_path / "start.safetensors"
    folder.mkdir()
    for number in range(4):
        synthetic_picture(shift=number / 4).write(folder / f"{number}.png")
    arguments = [
        "train-inric-start",
        "--data",
        str(folder),
        "--out",
        str(tmp_path),
        "--name",
        "start",
        "--size",
        "20x16",
    ]
    arguments += [*SMALL, "--steps", "4", "--inner-rate", "1e-2", "--outer-rate", "1e-3", "--validate-every", "2"]
    monkeypatch.setattr(sys, "argv", ["csi-lab", *arguments])
    trained = run(*arguments)
    assert "validation loss" in trained.stderr
    card = read_start(start).card
    assert (card.trained_on, card.num_rows, card.num_columns) == ("4 pictures of pictures", 16, 20)
    assert card.recipe.startswith("csi-lab train-inric-start --data pictures --out")
    out = tmp_path / "out"
    run("inr", folder / "0.png", "--start", start, *QUICK, "--out", out)
    run("inr", "--decode", out / "inric-rounded.inr", "--start", start, "--out", tmp_path)
    decoded = read_picture(tmp_path / "inric-rounded.decoded.png")
    assert np.array_equal(decoded.pixels, read_picture(out / "inric-rounded.png").pixels)
    assert sentence(["inr", "--decode", str(out / "inric-rounded.inr")], monkeypatch).startswith(
        f"csi-lab: `start` must be the meta-learned start whose SHA-256 begins with {card.sha256[:16]}; got none."
    )
    wider = ["inr", str(folder / "0.png"), "--start", str(start), "--width", "8"]
    assert "`width` must be left out with --start, which brings its own network." in sentence(wider, monkeypatch)
    synthetic_picture(num_colours=1).write(tmp_path / "grey.png")
    assert "`start` must be for pictures of as many colours; got 3 and 1." in sentence(
        ["inr", str(tmp_path / "grey.png"), "--start", str(start)], monkeypatch
    )


def sentence(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a command that fails says."""
    told: list[str] = []
    monkeypatch.setattr(sys, "argv", ["csi-lab", *arguments])
    monkeypatch.setattr("typer.echo", lambda message, err=False: told.append(message))
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    return " ".join(told)


def test_wrong_arguments_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synthetic_picture().write(tmp_path / "mine.png")
    (tmp_path / "not.inr").write_text("nothing")
    for arguments, wanted in (
        (["inr"], "`picture` must be a file, unless --decode gives one."),
        (["inr", str(tmp_path / "nope.png")], "`picture` must be a file that exists; got"),
        (["inr", str(tmp_path / "mine.png"), "--decode", "x.inr"], "`picture` must be left out with --decode; got"),
        (["inr", str(tmp_path / "mine.png"), "--share", "0.3"], "`share` must be given with --coinr."),
        (["inr", "--decode", "x.inr", "--bits", "7", "--seed", "2"], "`bits`, `seed` must be left out with --decode."),
        (["inr", "--decode", str(tmp_path / "nope.inr")], "`decode` must be a file that exists; got"),
        (["inr", "--decode", str(tmp_path / "not.inr")], "`decode` must be a file that `csi-lab inr` wrote;"),
        (
            ["inr", str(tmp_path / "mine.png"), "--start", "nope"],
            "`start` must be a file that exists, its card beside it",
        ),
    ):
        assert wanted in sentence(arguments, monkeypatch)
