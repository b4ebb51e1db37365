from dataclasses import replace
from pathlib import Path

import pytest

from shared.channels import ChannelSet
from shared.errors import InvalidArgumentError
from shared.model_files import load_model
from shared.training.fit import CLOSED_FORM, fit_codec


@pytest.fixture
def train(indoor: ChannelSet) -> ChannelSet:
    return replace(indoor, name="half", sha256="0" * 64, h=indoor.h[:1200])


@pytest.mark.parametrize("codec", CLOSED_FORM)
def test_a_fitted_codec_is_saved_with_what_was_measured_of_it(
    codec: str, train: ChannelSet, indoor: ChannelSet, tmp_path: Path
) -> None:
    test = replace(indoor, h=indoor.h[1200:1600])
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
    with pytest.raises(
        InvalidArgumentError, match="`codec` must be one of klt, klt-analog, angular-topk, float; got 'nope'"
    ):
        fit_codec("nope", train, indoor, tmp_path, "")
