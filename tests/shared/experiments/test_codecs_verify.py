"""`csi-lab codecs verify`: a model file against its card."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.channels import ChannelSet, load_channels
from shared.channels.writing import write_channels
from shared.experiments.codecs_verify import verify_codec
from shared.model_files import ModelFile, load_model, save_model, zoo_names
from shared.training.fit import measure_nmse_db

SAME_WEIGHTS = ["csi-inr-32-narrow", "csi-inr-32-narrow-analog", "csi-inr-32-narrow-entropy"]
MEASURED_HERE = [  # a minute each where an encoder is an optimisation; of symbols: their contract measures all rates
    name for name in zoo_names() if load_model(name).card.payload == "bits" and name not in SAME_WEIGHTS[:2]
]


def test_one_network_travels_three_ways() -> None:
    first, *others = ({k: v for k, v in load_model(name).tensors.items() if "network." in k} for name in SAME_WEIGHTS)
    for other in others:
        assert other.keys() == first.keys() != set()
        assert all(torch.equal(other[key], first[key]) for key in first)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", MEASURED_HERE)
def test_the_models_that_ship_are_what_their_cards_say(name: str) -> None:
    result = verify_codec(name)
    assert result.verdict == "ok"
    if load_model(name).card.output == "precoder":
        assert result.nmse_off_db is None
        assert result.sgcs_off is not None
        assert result.sgcs_off <= 0.002
    else:
        assert result.sgcs_off is None
        assert result.nmse_off_db is not None
        assert result.nmse_off_db <= 0.1
    assert result.num_parameters == load_model(name).card.num_parameters


@pytest.fixture
def mine(indoor: ChannelSet, tmp_path: Path) -> Path:
    """A copy of `angular-topk`, measured on a file of a user."""
    write_channels(tmp_path / "data.npz", [indoor.h[:30]], 30)
    test = load_channels(str(tmp_path / "data.npz"))
    model = load_model("angular-topk")
    measured = [
        point.model_copy(update={"nmse_db": measure_nmse_db(model, test, point.rate)})
        for point in model.card.measured[:2]
    ]
    card = model.card.model_copy(update={"name": "mine", "test_data": test.identity, "measured": measured})
    save_model(ModelFile(card, model.tensors), tmp_path)
    return tmp_path / "mine.safetensors"


def change_card(path: Path, **changes: Any) -> None:
    card = path.with_suffix(".card.json")
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


def data_of(mine: Path) -> str:
    return str(mine.with_name("data.npz"))


def test_a_users_model_is_held_against_the_test_split_that_the_user_gives(mine: Path) -> None:
    result = verify_codec(str(mine), data_of(mine))
    assert (result.codec, result.nmse_off_db, result.verdict) == ("mine", 0.0, "ok")


def test_without_the_test_split_nothing_is_said_to_be_ok(mine: Path) -> None:
    result = verify_codec(str(mine))
    assert (result.nmse_off_db, result.verdict) == (None, "test split data is not here: give --data")


def test_another_test_split_is_named(mine: Path) -> None:
    verdict = verify_codec(str(mine), "indoor-open-office").verdict
    assert verdict.startswith("`data` of mine must be data, 30 channels, sha256 ")


def test_a_tampered_file_is_refused_by_its_name(mine: Path) -> None:
    content = bytearray(mine.read_bytes())
    content[-1] ^= 1
    mine.write_bytes(content)
    result = verify_codec(str(mine), data_of(mine))
    assert "mine.safetensors` is not the file of its card: SHA-256" in result.verdict
    assert (result.codec, result.sha256, result.num_parameters, result.nmse_off_db) == (str(mine), None, None, None)


def test_a_wrong_nmse_is_found_and_its_rate_named(mine: Path) -> None:
    measured = [point.model_dump() for point in load_model(str(mine)).card.measured]
    measured[1]["nmse_db"] -= 0.2
    change_card(mine, measured=measured)
    result = verify_codec(str(mine), data_of(mine))
    assert result.verdict == f"NMSE: more than 0.1 dB from the card at {measured[1]['rate']} bits"
    assert result.nmse_off_db == pytest.approx(0.2, abs=1e-3)


def test_an_nmse_that_is_not_there_or_said_to_be_exact_is_found(mine: Path) -> None:
    change_card(mine, measured=[])
    assert verify_codec(str(mine), data_of(mine)).verdict == "NMSE: none in the card"
    change_card(mine, measured=[{"rate": 64, "nmse_db": None}])
    assert "NMSE: more than" in verify_codec(str(mine), data_of(mine)).verdict


def test_a_wrong_sgcs_and_one_that_is_not_there_are_found(indoor: ChannelSet, tmp_path: Path) -> None:
    model = load_model("type1")
    measured = [point.model_copy(update={"sgcs": point.sgcs - 0.01}) for point in model.card.measured_sgcs[:1]]
    for points, verdict in (
        (measured, "SGCS: more than 0.002 from the card at 8 bits"),
        ([], "SGCS: none in the card"),
    ):
        save_model(ModelFile(model.card.model_copy(update={"measured_sgcs": points}), model.tensors), tmp_path)
        assert verify_codec(str(tmp_path / "type1.safetensors")).verdict == verdict


def test_a_wrong_count_is_found_beside_a_wrong_nmse(mine: Path) -> None:
    count = load_model(str(mine)).card.num_parameters
    change_card(mine, num_parameters=count + 1, measured=[{"rate": 64, "nmse_db": 3.0}])
    verdict = verify_codec(str(mine), data_of(mine)).verdict
    assert f"parameters: {count + 1} in the card, {count} in the file; NMSE: more than 0.1 dB" in verdict


def test_an_exact_codec_whose_card_names_an_nmse_is_found(indoor: ChannelSet, tmp_path: Path) -> None:
    model = load_model("float")
    card = model.card.model_copy(update={"name": "mine", "measured": [model.card.measured[0]]})
    save_model(ModelFile(card, model.tensors), tmp_path)
    path = tmp_path / "mine.safetensors"
    change_card(path, measured=[{"rate": 65536, "nmse_db": 0.0}])
    assert "NMSE: more than 0.1 dB" in verify_codec(str(path)).verdict
