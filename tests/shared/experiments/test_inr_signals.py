"""What a start is learned from."""

from pathlib import Path

import pytest
import torch

from shared.channels import ChannelSet
from shared.channels.writing import write_channels
from shared.errors import CsiError, DataFileError, InvalidArgumentError
from shared.experiments.inr_signals import parse_size, signals_from
from shared.inr.csi_signals import channels_of
from shared.transforms import to_angular_delay
from shared.types import CsiShape
from tests.shared.experiments.pictures import synthetic_picture


def test_pictures_of_a_folder_are_brought_to_one_size(tmp_path: Path) -> None:
    for number in range(12):
        synthetic_picture(20 + number, 16, 3 if number else 1).write(tmp_path / f"{number:02}.png")
    signals = signals_from(str(tmp_path), (10, 8))
    assert signals.training.shape == (10, 80, 3)
    assert signals.validation.shape == (2, 80, 3)
    assert (signals.num_rows, signals.num_columns, len(signals.grid)) == (8, 10, 80)
    assert (signals.validation[0, :, 0] == signals.validation[0, :, 1]).all()  # the grey one
    assert signals.told_as == f"12 pictures of {tmp_path.name}"


def test_channels_are_signals_over_antenna_and_subcarrier(indoor: ChannelSet, tmp_path: Path) -> None:
    write_channels(tmp_path / "mine.npz", [indoor.h[:20]], 20)
    signals = signals_from(str(tmp_path / "mine.npz"), (8, 8))
    assert signals.training.shape == (18, 1024, 2)
    shape = CsiShape("spatial-frequency", 1, 32, 32)
    first = to_angular_delay(channels_of(signals.validation, shape))[0]
    torch.testing.assert_close(first, indoor.h[0], atol=1e-4, rtol=0)


def test_a_folder_of_too_few_pictures_or_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="`data` must be a folder of two pictures or more"):
        signals_from(str(tmp_path), (8, 8))
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(CsiError, match="`data` must be a picture that Pillow reads"):
        signals_from(str(tmp_path), (8, 8))


@pytest.mark.parametrize("text", ["7x9", "128", "axb", "128x-1", ""])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="`size` must be WIDTHxHEIGHT from 8 on"):
        parse_size(text)
