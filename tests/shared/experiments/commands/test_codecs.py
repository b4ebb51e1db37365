"""`csi-lab codecs import`, `verify` and `check`, as a user calls them."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.channels import ChannelSet
from shared.channels.writing import write_channels
from shared.codecs.contract import CHECKS
from shared.codecs.symbol_contract import SYMBOL_CHECKS
from shared.experiments.__main__ import app, main
from shared.model_files import ZOO, load_model

from ...training.keras_weights import NUM_LATENTS, random_layers, write_keras


@pytest.fixture
def splits(indoor: ChannelSet, tmp_path: Path) -> list[str]:
    write_channels(tmp_path / "design.npz", [indoor.h[:60]], 60)
    write_channels(tmp_path / "test.npz", [indoor.h[60:90]], 30)
    return ["--data", str(tmp_path / "design.npz"), "--test", str(tmp_path / "test.npz")]


def test_published_weights_are_imported_and_verified(
    splits: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_keras(tmp_path / "weights.h5", random_layers("channels last"))
    arguments = ["codecs", "import", str(tmp_path / "weights.h5"), *splits, "--name", "mine", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["csi-lab", *arguments, "--quantizer", "mu-law"])
    result = CliRunner().invoke(app, [*arguments, "--quantizer", "mu-law"])
    assert result.exit_code == 0, result.output
    assert "published Keras weights" in result.stdout
    card = load_model(str(tmp_path / "mine.safetensors")).card
    assert card.recipe.startswith("csi-lab codecs import weights.h5 --data design.npz --test test.npz --name mine")
    assert card.num_parameters == 4097 * NUM_LATENTS + 2048 + 3404
    verified = CliRunner().invoke(app, ["codecs", "verify", str(tmp_path / "mine.safetensors"), "--data", splits[3]])
    assert verified.exit_code == 0, verified.output


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("weights.h5", b"no weights", "cannot be read as a Keras weight file"),
        ("weights.pth", b"no weights", "cannot be read as CRNet's weights"),
        ("weights.onnx", b"", "`weights` must be a file ending in .h5 or .pth"),
    ],
)
def test_a_bad_weight_file_is_one_sentence_and_exit_code_1(
    name: str,
    content: bytes,
    sentence: str,
    splits: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / name).write_bytes(content)
    arguments = ["codecs", "import", str(tmp_path / name), *splits, "--name", "mine", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["csi-lab", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("csi-lab: ")
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_verify_goes_through_all_models_and_says_which_is_wrong(tmp_path: Path) -> None:
    """A wrong count, an altered file and a whole one: exit code 1, and the verdicts in the order of the models."""
    paths = []
    for name in ("miscounted", "altered", "whole"):
        path = tmp_path / f"{name}.safetensors"
        shutil.copyfile(ZOO / "float.safetensors", path)
        card = json.loads((ZOO / "float.card.json").read_text()) | {"name": name}
        if name == "miscounted":
            card["num_parameters"] += 1
        path.with_suffix(".card.json").write_text(json.dumps(card))
        paths.append(str(path))
    with Path(paths[1]).open("ab") as file:
        file.write(b"\0")
    result = CliRunner().invoke(app, ["codecs", "verify", *paths, "--json"])
    assert result.exit_code == 1
    verdicts = [row["verdict"] for row in json.loads(result.stdout)]
    assert verdicts[0] == "parameters: 1 in the card, 0 in the file"
    assert "altered.safetensors` is not the file of its card" in verdicts[1]
    assert verdicts[2] == "ok"
    table = CliRunner().invoke(app, ["codecs", "verify", *paths])
    assert table.exit_code == 1
    assert "\nmiscounted: parameters: 1 in the card, 0 in the file\n" in table.stdout
    assert f"\n{paths[1]}: `{paths[1]}` is not the file of its card" in table.stdout
    assert "\nwhole: " not in table.stdout
    assert CliRunner().invoke(app, ["codecs", "verify", paths[2]]).exit_code == 0


OWN = """
import dataclasses
import numpy as np
from shared.codecs import CodecEntry, Fitted, make_model
from shared.codecs.float32 import FloatDecoder, FloatEncoder
from shared.types import CsiShape

class Sloppy(FloatDecoder):
    def decode(self, payload, context):
        reconstruction = super().decode(payload, context)
        return dataclasses.replace(reconstruction, valid=np.ones(len(payload.bits), dtype=bool))

def model(size):
    bits = 64 * 32 * size
    fitted = Fitted({}, "Mine", "here", rates=(bits,), links=("ideal",))
    return make_model("mine", CsiShape("angular-delay", 1, 32, size), fitted)

GOOD = CodecEntry(FloatEncoder, FloatDecoder, model=lambda: model(32))
BAD = CodecEntry(FloatEncoder, Sloppy, model=lambda: model(32))
SMALL = CodecEntry(FloatEncoder, FloatDecoder, model=lambda: model(16))
"""


def test_a_codec_of_the_users_own_is_shown_and_checked(write_module: Callable[[str, str], None]) -> None:
    write_module("own", OWN)
    shown = json.loads(CliRunner().invoke(app, ["codecs", "show", "own:GOOD", "--json"]).stdout)
    assert (shown["name"], shown["codec"]) == ("mine", "own:GOOD")
    good = CliRunner().invoke(app, ["codecs", "check", "own:GOOD"])
    assert (good.exit_code, good.stdout.count(" holds ")) == (0, len(CHECKS))
    bad = CliRunner().invoke(app, ["codecs", "check", "own:BAD", "--json"])
    assert bad.exit_code == 1
    wrong = {check: verdict for check, verdict in json.loads(bad.stdout)["checks"].items() if verdict}
    assert wrong == {"any bits decode or are not valid": "at 65536 bits, h_hat of random bits is not finite"}
    assert "not finite" in " ".join(CliRunner().invoke(app, ["codecs", "check", "own:BAD"]).stdout.split())


def test_a_codec_of_symbols_is_checked_as_one() -> None:
    end = CliRunner().invoke(app, ["codecs", "check", "klt-analog", "--json"])
    assert (end.exit_code, json.loads(end.stdout)["checks"]) == (0, dict.fromkeys(SYMBOL_CHECKS))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["check", "own:SMALL"],
            "`data` for codec mine must hold angular-delay [1, 32, 16]; indoor-open-office holds angular-delay [1, ",
        ),
        (
            ["check", "own:NOWHERE"],
            "`codec` own:NOWHERE must name a CodecEntry of its module; found there: GOOD, BAD, ",
        ),
        (["show", "nowhere:ENTRY"], "`codec` nowhere:ENTRY must be importable"),
    ],
)
def test_a_codec_of_the_users_own_that_is_none_is_one_sentence(
    arguments: list[str],
    sentence: str,
    write_module: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_module("own", OWN)
    monkeypatch.setattr(sys, "argv", ["csi-lab", "codecs", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    captured = capsys.readouterr()
    assert (exit_.value.code, captured.out) == (1, "")
    assert captured.err.startswith(f"csi-lab: {sentence}")
    assert captured.err.count("\n") == 1


def test_verify_says_that_nothing_was_measured_of_a_codec_without_a_file(
    write_module: Callable[[str, str], None],
) -> None:
    write_module("own", OWN)
    end = CliRunner().invoke(app, ["codecs", "verify", "own:GOOD", "--json"])
    assert (end.exit_code, json.loads(end.stdout)[0]["verdict"]) == (1, "NMSE: none in the card")
