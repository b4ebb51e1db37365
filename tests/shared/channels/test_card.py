from pathlib import Path

import pytest

from shared.channels import shipped_datasets
from shared.channels.card import read_dataset_card
from shared.errors import DataFileError


def test_a_card_says_the_shape_of_a_channel_and_what_the_crop_left_out() -> None:
    card = read_dataset_card(shipped_datasets()["indoor-open-office"].with_suffix(".card.json"))
    assert (card.shape.domain, card.shape.dims) == ("angular-delay", (1, 32, 32))
    assert card.crop_loss is not None
    assert 0 < card.crop_loss < 0.1


@pytest.mark.parametrize("content", ["", "[]", "{}", "not json"])
def test_another_file_is_no_card(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.card.json"
    with pytest.raises(DataFileError, match="is not a data set card"):
        read_dataset_card(path)
    path.write_text(content)
    with pytest.raises(DataFileError, match="is not a data set card"):
        read_dataset_card(path)
