"""`csi-lab`, as a user calls it."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.channels import ChannelSet
from shared.channels.writing import write_channels
from shared.experiments.__main__ import app, main
from shared.model_files import load_model, zoo_names


def output_of(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_list_of_codecs_as_json_is_that_of_the_zoo() -> None:
    cards = json.loads(output_of("codecs", "list", "--json"))
    assert [card["name"] for card in cards] == zoo_names()


@pytest.mark.parametrize("codec", zoo_names())
def test_a_codec_as_json_is_its_card(codec: str) -> None:
    assert json.loads(output_of("codecs", "show", codec, "--json")) == load_model(codec).card.model_dump(mode="json")


def test_a_data_set_as_json_has_shares_of_energy_that_grow_to_the_whole() -> None:
    info = json.loads(output_of("data", "info", "--json"))
    assert (info["name"], info["num_channels"]) == ("indoor-open-office", 2400)
    shares = list(info["energy_of_strongest"].values())
    assert 0 < shares[0] < shares[1] < shares[2] < shares[3] < shares[4] <= 1
    assert sum(10 ** (db / 10) for db in info["power_profile_db"]) == pytest.approx(1, abs=0.01)


def test_the_tables_name_what_the_json_does() -> None:
    listed = output_of("codecs", "list")
    assert all(name in listed for name in zoo_names())
    assert "-16.3" in output_of("codecs", "show", "klt")
    assert "exact" in output_of("codecs", "show", "float")
    assert "indoor-open-office" in output_of("data", "info")


def test_a_codec_is_trained_from_a_file_into_a_folder_and_its_card_tells_no_folders(
    tmp_path: Path, indoor: ChannelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_channels(tmp_path / "mine.npz", [indoor.h[:4]], 4)
    arguments = ["train", "float", f"--data={tmp_path}/mine.npz", "--out", str(tmp_path / "models")]
    monkeypatch.setattr(sys, "argv", ["csi-lab", *arguments])
    output_of(*arguments)
    card = load_model(str(tmp_path / "models/float.safetensors")).card
    assert card.recipe == "csi-lab train float --data=mine.npz --out models"
    assert card.training_data == "none"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["codecs", "show", "nope"], "csi-lab: `codec` must be a model of the zoo"),
        (["data", "info", "nope"], "csi-lab: `data` must be a shipped data set"),
        (
            ["train", "nope", "--data", "nope.npz"],
            "csi-lab: `codec` must be one of klt, klt-analog, angular-topk, cs-omp, cs-lasso, float,",
        ),
        (
            ["codecs", "show", "nope.safetensors"],
            "csi-lab: `codec` must be a file that exists; got 'nope.safetensors'.",
        ),
        (["data", "info", "."], "csi-lab: `data` must be a file; got '.', a folder. DeepMIMO's become one by `csi-lab"),
        (["data", "info", "--train", "no.npz"], "csi-lab: `train` must be a file that exists; got 'no.npz'."),
        (["train", "klt", "--data", "nope.npz"], "csi-lab: `data` must be a file that exists; got 'nope.npz'."),
        (
            ["train", "klt", "--data", "indoor-open-office", "--test", "nope"],
            "csi-lab: `test` must be a shipped data set (indoor-open-office, street-28g, street-3g5-narrow, "
            "street-3g5, umi-nlos) or a file; got 'nope'.",
        ),
        (["train", "klt", "--data", "indoor-open-office"], "csi-lab: `test` must be another file"),
    ],
)
def test_a_wrong_argument_is_one_sentence_on_standard_error_and_exit_code_1(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["csi-lab", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(sentence)
    assert captured.err.count("\n") == 1
    assert captured.out == ""
