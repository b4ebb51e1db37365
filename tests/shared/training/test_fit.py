from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shared.channels import ChannelSet
from shared.codecs import load_codec
from shared.errors import InvalidArgumentError
from shared.model_files import load_model
from shared.training.fit import CLOSED_FORM, fit_codec, measure_nmse_db


@pytest.fixture
def train(indoor: ChannelSet) -> ChannelSet:
    return replace(indoor.part(0, 1200), name="half", sha256="0" * 64)


@pytest.mark.parametrize("codec", CLOSED_FORM)
def test_a_fitted_codec_is_saved_with_what_was_measured_of_it(
    codec: str, train: ChannelSet, indoor: ChannelSet, tmp_path: Path
) -> None:
    test = indoor.part(1200, 1600)
    fitted = fit_codec(codec, train, test, tmp_path, "the command")
    loaded = load_model(str(tmp_path / f"{codec}.safetensors"))
    assert loaded.card == fitted.card
    assert (loaded.card.recipe, loaded.card.codec) == ("the command", codec)
    trained_on = "none" if codec == "float" else f"half, 1200 channels, sha256 {'0' * 64}"
    assert loaded.card.training_data == trained_on
    zoo = load_model(codec).card
    assert [point.rate for point in loaded.card.measured] == [point.rate for point in zoo.measured]
    assert (loaded.card.min_rate, loaded.card.max_rate, loaded.card.links) == (zoo.min_rate, zoo.max_rate, zoo.links)
    assert loaded.card.measured[-1].nmse_db == pytest.approx(zoo.measured[-1].nmse_db, abs=3)


def test_training_on_the_test_split_is_refused(indoor: ChannelSet, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="`test` must be another file"):
        fit_codec("float", indoor, indoor, tmp_path, "")


def test_a_codec_without_a_recipe_is_refused(train: ChannelSet, indoor: ChannelSet, tmp_path: Path) -> None:
    names = "klt, klt-analog, angular-topk, cs-omp, cs-lasso, float"
    with pytest.raises(InvalidArgumentError, match=f"`codec` must be one of {names}; got 'nope'"):
        fit_codec("nope", train, indoor, tmp_path, "")


OWN = """
from shared.codecs import CodecEntry, Fitted
from shared.codecs.angular_topk import AngularTopkDecoder, AngularTopkEncoder
from shared.training.angular_topk import fit_angular_topk

def fit(h):
    return Fitted(fit_angular_topk(h), "Top-k of my own", "here", rates=(32, 100, 1024))

ENTRY = CodecEntry(AngularTopkEncoder, AngularTopkDecoder, fit=fit)
WITHOUT = CodecEntry(AngularTopkEncoder, AngularTopkDecoder)
NONE = CodecEntry(AngularTopkEncoder, AngularTopkDecoder, fit=lambda h: None)
"""


def test_a_users_own_codec_is_fitted_measured_and_saved_under_its_reference(
    train: ChannelSet, indoor: ChannelSet, tmp_path: Path, write_module: Callable[[str, str], None]
) -> None:
    write_module("own", OWN)
    test = indoor.part(1200, 1300)
    fitted = fit_codec("own:ENTRY", train, test, tmp_path, "the command", "mine")
    assert (fitted.card.name, fitted.card.codec, fitted.card.recipe) == ("mine", "own:ENTRY", "the command")
    assert fitted.card.training_data == train.identity
    loaded = load_codec(f"own:ENTRY@{tmp_path / 'mine.safetensors'}")
    assert loaded.card.model_copy(update={"sha256": fitted.card.sha256}) == fitted.card  # the code is not in the file's
    assert [point.rate for point in loaded.card.measured] == [32, 100, 1024]
    assert measure_nmse_db(loaded, test, 100) == loaded.card.measured[1].nmse_db


@pytest.mark.parametrize(
    ("reference", "name", "sentence"),
    [
        ("own:WITHOUT", "mine", "`codec` own:WITHOUT must have a `fit` to be trained; its entry has none."),
        ("own:NONE", "mine", "`fit` of codec own:NONE must give a Fitted; got NoneType."),
        ("own:ENTRY", None, "`name` of codec own:ENTRY must be lower-case words .*; got None."),
        ("own:ENTRY", "klt", "`name` of codec own:ENTRY must be lower-case words .*; got 'klt'."),
        ("nowhere:ENTRY", "mine", "`codec` nowhere:ENTRY must be importable"),
    ],
)
def test_a_users_own_codec_that_cannot_be_fitted_is_refused_and_leaves_nothing(
    reference: str,
    name: str | None,
    sentence: str,
    train: ChannelSet,
    indoor: ChannelSet,
    tmp_path: Path,
    write_module: Callable[[str, str], None],
) -> None:
    write_module("own", OWN)
    with pytest.raises(InvalidArgumentError, match=sentence):
        fit_codec(reference, train, indoor, tmp_path / "models", "", name)
    assert not (tmp_path / "models").exists()
