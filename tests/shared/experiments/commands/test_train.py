"""`csi-lab train` of a network, as a user calls it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from shared.channels import ChannelSet
from shared.channels.writing import write_channels
from shared.errors import InvalidArgumentError
from shared.experiments.__main__ import app, main
from shared.model_files import load_model
from shared.training import loop

OPTIONS = ["--num-latents", "4", "--epochs", "1", "--batch-size", "50", "--precision", "float32", "--seed", "5"]


@pytest.fixture
def files(indoor: ChannelSet, tmp_path: Path) -> list[str]:
    """Training and test split of a user, as arguments."""
    write_channels(tmp_path / "mine.npz", [indoor.h[:150]], 150)
    write_channels(tmp_path / "other.npz", [indoor.h[150:200]], 50)
    return ["--data", str(tmp_path / "mine.npz"), "--test", str(tmp_path / "other.npz")]


def test_a_network_is_trained_shown_and_verified(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "models"
    arguments = ["train", "csinet", *files, "--out", str(out), *OPTIONS]
    monkeypatch.setattr(sys, "argv", ["csi-lab", *arguments])
    trained = CliRunner().invoke(app, arguments)
    assert trained.exit_code == 0, trained.output
    assert "epoch 1/1  loss" in trained.stderr
    assert "epoch 1/1" not in trained.stdout
    assert trained.stdout.endswith(f"file {out}/csinet.safetensors\n")
    assert sorted(path.name for path in out.iterdir()) == [
        "csinet.card.json",
        "csinet.manifest.json",
        "csinet.safetensors",
    ]
    path = str(out / "csinet.safetensors")
    card = load_model(path).card
    assert card.recipe == f"csi-lab train csinet --data mine.npz --test other.npz --out models {' '.join(OPTIONS)}"
    manifest = json.loads((out / "csinet.manifest.json").read_text())
    assert manifest["command"] == card.recipe
    assert manifest["options"]["schedule"]["seed"] == 5
    assert str(tmp_path) not in (out / "csinet.manifest.json").read_text()
    shown = CliRunner().invoke(app, ["codecs", "show", path, "--json"])
    assert json.loads(shown.stdout) == card.model_dump()
    assert "num_latents" in CliRunner().invoke(app, ["codecs", "show", path]).stdout
    verified = CliRunner().invoke(app, ["codecs", "verify", path, "--data", files[3], "--json"])
    assert verified.exit_code == 0, verified.output
    assert [(row["codec"], row["verdict"]) for row in json.loads(verified.stdout)] == [("csinet", "ok")]


def test_a_model_of_another_recipe_is_replaced_only_when_told(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def invoke(*more: str) -> Result:
        arguments = ["train", "float", *files, "--out", str(tmp_path / "models"), *more]
        monkeypatch.setattr(sys, "argv", ["csi-lab", *arguments])
        return CliRunner().invoke(app, arguments)

    assert [invoke().exit_code, invoke().exit_code] == [0, 0]
    refused = invoke("--test", "indoor-open-office")
    assert "`csi-lab train float --data mine.npz --test other.npz --out models` made it." in str(refused.exception)
    assert invoke("--overwrite", "--test", "indoor-open-office").exit_code == 0
    recipe = load_model(str(tmp_path / "models/float.safetensors")).card.recipe
    assert recipe.endswith("--out models --test indoor-open-office")


@pytest.mark.parametrize(
    ("epochs_done", "sentence"),
    [
        (0, "csi-lab: stopped; nothing is kept before the first epoch's end.\n"),
        (1, "csi-lab: stopped; the same command goes on after the last whole epoch, from {}.\n"),
    ],
)
def test_an_interrupted_training_says_what_is_kept(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs_done: int, sentence: str
) -> None:
    save = loop._save

    def interrupted(*args: Any) -> None:
        if epochs_done:
            save(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_save", interrupted)
    result = CliRunner().invoke(app, ["train", "csinet", *files, "--out", str(tmp_path), *OPTIONS])
    assert result.exit_code == 130
    assert result.stderr.endswith(sentence.format(tmp_path / "csinet.checkpoint.pt"))


OWN = """
from shared.codecs import CodecEntry, Fitted
from shared.codecs.float32 import FloatDecoder, FloatEncoder

def fit(h):
    return Fitted({"mean": h.mean(0)}, "Mine", "here", rates=(65536,), links=("ideal",))

ENTRY = CodecEntry(FloatEncoder, FloatDecoder, fit=fit)
"""


def test_a_codec_of_the_users_own_is_trained_and_verified(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_module: Callable[[str, str], None]
) -> None:
    write_module("own", OWN)
    arguments = ["train", "own:ENTRY", *files, "--name", "mine", "--out", str(tmp_path / "models")]
    monkeypatch.setattr(sys, "argv", ["csi-lab", *arguments])
    trained = CliRunner().invoke(app, arguments)
    assert trained.exit_code == 0, trained.output
    path = str(tmp_path / "models/mine.safetensors")
    card = load_model(path).card
    assert card.recipe == "csi-lab train own:ENTRY --data mine.npz --test other.npz --name mine --out models"
    verified = CliRunner().invoke(app, ["codecs", "verify", f"own:ENTRY@{path}", "--data", files[3], "--json"])
    assert [row["verdict"] for row in json.loads(verified.stdout)] == ["ok"]
    alone = CliRunner().invoke(app, ["codecs", "verify", path, "--data", files[3], "--json"])
    [row] = json.loads(alone.stdout)
    assert row["verdict"].endswith("is the code own:ENTRY, which is imported only where it is given: own:ENTRY@FILE.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["klt", "--epochs", "2"],
            "csi-lab: `codec` must be a network for --epochs; got klt, which is none.",
        ),
        (
            ["float", "--num-latents=64", "--device", "cpu"],
            "csi-lab: `codec` must be a network for --num-latents, --dev",
        ),
        (
            ["own:ENTRY", "--epochs", "2"],
            "csi-lab: `codec` must be a network for --epochs; got own:ENTRY, which is none.",
        ),
        (["own:ENTRY"], "csi-lab: `codec` own:ENTRY must be importable; got ModuleNotFoundError"),
        (["csinet", "--batch-size", "151"], "csi-lab: `batch_size` must be at most the 150 channels; got 151."),
        (["crnet", "--learning-rate", "2"], "csi-lab: `learning_rate` must be in (0, 1); got 2."),
        (["csinet", "--seed", str(2**40)], "csi-lab: `seed` must be in [0, 4294967296); got 1099511627776."),
    ],
)
def test_what_cannot_be_trained_is_one_sentence_and_leaves_nothing(
    arguments: list[str],
    sentence: str,
    files: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["csi-lab", "train", *arguments, *files, "--out", str(tmp_path / "models")])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(sentence)
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not (tmp_path / "models").exists()


def test_options_of_the_other_family_of_networks_are_refused(files: list[str], tmp_path: Path) -> None:
    for words, sentence in (
        (["csinet", "--num-symbols", "4"], "must be rd-jscc, adjscc, djscc-csinet-plus, unet-jscc for --num-symbols"),
        (
            ["rd-jscc", "--num-latents", "4"],
            "must be csinet, csinet-plus, crnet, dnnet, atnet, transnet, dcrnet for --num-latents; got rd-jscc",
        ),
        (["rd-jscc", "--encoder-layers", "3"], "`encoder_layers` must be 2 or 4; got 3"),
        (["rd-jscc", "--prefixes", "4,x"], "`prefixes` must be whole numbers"),
        (["rd-jscc", "--prefixes", "0,16"], "`prefixes` must be whole numbers from 1 on, as 4,8,12,16; got '0,16'"),
        (["rd-jscc", "--prefixes", "4,8"], "`prefixes` must increase to num_symbols, 16"),
        (["rd-jscc", "--size", "large"], "`size` of rd-jscc must be small"),
        (["rd-jscc", "--snr-db", "x"], "`snr_db` must be lowest:highest"),
        (["csinet", "--bits", "2"], "must be csinet-plus or atnet, or have --through-link, for --bits; got csinet"),
        (["dnnet", "--bits", "2"], "for --bits; got dnnet"),
        (
            ["csinet-plus", "--snr-db", "5"],
            "must be dnnet or atnet, or have --through-link, for --snr-db; got csinet-p",
        ),
        (["atnet", "--bits", "0:4"], "`bits` must be least:most in [1, 8]; got '0:4'"),
        (["atnet", "--bits", "few"], "`bits` must be least:most, as 1:4; got 'few'"),
        (["csinet", "--through-link", "digital:bsc"], "`through_link` and `start_from` must be given together; got"),
        (["csinet", "--start-from", "csinet"], "`through_link` and `start_from` must be given together; got"),
        (
            ["csinet", "--start-from", "csinet", "--through-link", "digital:bsc", "--loss", "mse"],
            "must be without --through-link for --loss; got csinet with it",
        ),
    ):
        result = CliRunner().invoke(app, ["train", *words, *files, "--out", str(tmp_path / "models")])
        assert isinstance(result.exception, InvalidArgumentError), result.output
        assert sentence in str(result.exception)


def test_a_codebook_is_made_as_a_user_calls_it_and_needs_no_training_split(files: list[str], tmp_path: Path) -> None:
    arguments = ["train", "etype2", *files[2:], "--out", str(tmp_path / "models"), "--num-subbands", "32"]
    made = CliRunner().invoke(app, [*arguments, "--port-mapping", "dual", "--name", "standard"])
    assert made.exit_code == 0, made.output
    path = str(tmp_path / "models/standard.safetensors")
    card = load_model(path).card
    assert (card.output, card.length, card.training_data, card.measured) == ("precoder", "variable", "none", [])
    assert [point.rate for point in card.measured_sgcs] == [63, 93, 113, 171, 229, 325]
    assert card.codebook is not None
    assert (card.codebook.rank, card.codebook.num_subbands, card.codebook.port_mapping) == (1, 32, "dual")
    verified = CliRunner().invoke(app, ["codecs", "verify", path, "--data", files[3]])
    assert verified.exit_code == 0, verified.output
    assert "SGCS 0.0000" in verified.stdout
    assert f"{card.measured_sgcs[-1].sgcs:.4f}" in CliRunner().invoke(app, ["codecs", "show", path]).stdout


def test_options_of_a_codebook_and_of_what_learns_are_refused_with_the_other(files: list[str], tmp_path: Path) -> None:
    for words, sentence in (
        (["etype2", *files], "`codec` must be one that learns for --data; got etype2"),
        (["type1", "--epochs", "2"], "must be one that learns for --epochs; got type1"),
        (["etype2", "--rank", "2"], "`rank` of a codebook must be at most 1, the UE's antennas; got 2"),
        (["etype2", "--num-subbands", "5"], "`num_subbands` of a codebook must divide 32 subcarriers; got 5"),
        (["klt", *files, "--rank", "1"], "`codec` must be type1 or etype2 for --rank; got klt"),
        (["klt"], "`data` must be a training split, to train klt; got none"),
    ):
        result = CliRunner().invoke(app, ["train", *words, "--out", str(tmp_path / "models")])
        assert isinstance(result.exception, InvalidArgumentError), result.output
        assert sentence in str(result.exception)


def test_a_shipped_network_is_trained_on_through_a_link_as_a_user_calls_it(files: list[str], tmp_path: Path) -> None:
    words = ["--through-link", "digital:hard:qpsk", "--start-from", "csinet", "--bits", "2:3"]
    arguments = ["train", "csinet", *files, "--out", str(tmp_path / "models"), "--name", "through", *words]
    trained = CliRunner().invoke(app, [*arguments, "--snr-db", "3", "--epochs", "1", "--batch-size", "20"])
    assert trained.exit_code == 0, trained.output
    card = load_model(str(tmp_path / "models/through.safetensors")).card
    assert card.training is not None
    assert card.training.loss.startswith(
        "nmse through digital:hard:qpsk at 3 ... 3 dB, 2 to 3 bits a latent, from csinet"
    )


def test_a_network_of_symbols_is_trained_as_a_user_calls_it(files: list[str], tmp_path: Path) -> None:
    words = ["--num-symbols", "4", "--prefixes", "2,4", "--encoder-layers", "2", "--epochs", "1", "--batch-size", "50"]
    arguments = ["train", "djscc-csinet-plus", *files, "--out", str(tmp_path / "models"), *words, "--cnr-db", "0:20"]
    trained = CliRunner().invoke(app, arguments)
    assert trained.exit_code == 0, trained.output
    card = load_model(str(tmp_path / "models/djscc-csinet-plus.safetensors")).card
    assert (card.payload, card.min_rate, card.max_rate) == ("symbols", 2, 4)
