import json
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.codecs import make_decoder, make_encoder
from shared.errors import DataFileError, InvalidArgumentError
from shared.model_files import ModelFile, load_model, save_model, zoo_names


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A small model of a user, saved."""
    card = load_model("klt").card.model_copy(update={"name": "mine"})
    save_model(ModelFile(card, {"mean": torch.arange(6.0).reshape(2, 3)}), tmp_path)
    return tmp_path / "mine.safetensors"


def change_card(path: Path, **changes: Any) -> None:
    card = path.with_suffix(".card.json")
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


def test_a_saved_model_comes_back_with_digest_and_count_filled_in(saved: Path) -> None:
    model = load_model(str(saved))
    assert torch.equal(model.tensors["mean"], torch.arange(6.0).reshape(2, 3))
    assert model.card.num_parameters == 6
    assert model.card.sha256 != load_model("klt").card.sha256


def test_the_zoo_holds_the_models_of_the_first_release() -> None:
    assert {"angular-topk", "float", "klt"} <= set(zoo_names())


def test_one_altered_byte_of_a_model_file_is_refused(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(content)
    with pytest.raises(DataFileError, match="is not the file of its card"):
        load_model(str(saved))


def test_a_model_without_a_card_is_refused(saved: Path) -> None:
    saved.with_suffix(".card.json").unlink()
    with pytest.raises(DataFileError, match="is not a codec card"):
        load_model(str(saved))


@pytest.mark.parametrize(
    "changes", [{"surprise": 1}, {"sha256": "no digest"}, {"domain": "time"}, {"num_rx_ant": 0}, {"min_rate": 0}]
)
def test_a_card_with_a_field_that_is_wrong_or_not_ours_is_refused(saved: Path, changes: dict[str, Any]) -> None:
    change_card(saved, **changes)
    with pytest.raises(DataFileError, match=f"is not a codec card(.|\n)*{next(iter(changes))}"):
        load_model(str(saved))


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"\xff" * 64])
def test_a_foreign_file_is_refused_even_under_its_own_digest(saved: Path, content: bytes) -> None:
    from hashlib import sha256

    saved.write_bytes(content)
    change_card(saved, sha256=sha256(content).hexdigest())
    with pytest.raises(DataFileError, match="cannot be read as safetensors"):
        load_model(str(saved))


@pytest.mark.parametrize(
    "name", ["", "nope", "../klt", "../zoo/klt", "klt.card", "klt\0", "/etc/passwd", "..", "~/klt.safetensors"]
)
def test_a_name_that_is_no_model_is_refused_with_the_names_that_are(name: str) -> None:
    with pytest.raises(DataFileError, match=r"must be a model of the zoo .*klt"):
        load_model(name)


def test_a_card_says_which_rates_and_links_it_allows() -> None:
    card = load_model("float").card
    with pytest.raises(InvalidArgumentError, match="`rate` of codec float must be 65536 bits; got 64"):
        card.require_rate(64)
    with pytest.raises(InvalidArgumentError, match="`link` of codec float must be ideal; got digital"):
        card.require_link("digital", "digital:bsc")
    card.require_rate(65536)
    card.require_link("ideal", "ideal")


def test_a_model_of_an_unknown_codec_or_without_a_tensor_of_it_builds_no_codec(saved: Path) -> None:
    lacking = load_model(str(saved))
    unknown = ModelFile(lacking.card.model_copy(update={"codec": "nope"}), {})
    for make in (make_encoder, make_decoder):
        with pytest.raises(DataFileError, match="must be one of klt, angular-topk, float; got 'nope'"):
            make(unknown, torch.device("cpu"))
        with pytest.raises(DataFileError, match="must hold tensor 'basis' of codec klt"):
            make(lacking, torch.device("cpu"))
