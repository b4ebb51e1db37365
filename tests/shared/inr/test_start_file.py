"""Starts on disk."""

from pathlib import Path

import pytest
import torch

from shared.errors import CsiError, DataFileError
from shared.inr.meta_siren import MetaStart
from shared.inr.siren import SirenShape, of_signal
from shared.inr.start_file import StartFile, card_of, read_start, write_start

SHAPE = SirenShape(width=5, num_hidden=1)


@pytest.fixture
def written(tmp_path: Path) -> StartFile:
    weights = of_signal(SHAPE.random_weights(1), 0)
    start = MetaStart(weights, {name: torch.full((1, *tensor.shape), 1e-3) for name, tensor in weights.items()}, 3)
    told = {"num_rows": 8, "num_columns": 9, "trained_on": "3 pictures", "validation_loss": 0.1, "recipe": "csi-lab"}
    return write_start(tmp_path / "mine.safetensors", card_of(SHAPE, name="mine", inner_steps=3, **told), start)


def test_a_start_comes_back(written: StartFile, tmp_path: Path) -> None:
    found = read_start(tmp_path / "mine.safetensors")
    assert found.card == written.card
    assert found.card.shape() == SHAPE
    assert list(found.start.weights) == list(SHAPE.tensors)
    assert all(torch.equal(found.start.weights[name], tensor) for name, tensor in written.start.weights.items())
    assert all(torch.equal(found.start.rates[name], tensor) for name, tensor in written.start.rates.items())
    assert found.start.num_steps == 3


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="`start` must be a file that exists, its card beside it"):
        read_start(tmp_path / "nope.safetensors")


@pytest.mark.usefixtures("written")
def test_a_card_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.card.json").write_text("{}")
    with pytest.raises(DataFileError, match="`start` must be a meta-learned start and its card"):
        read_start(tmp_path / "mine.safetensors")


@pytest.mark.usefixtures("written")
def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataFileError, match="the SHA-256 of"):
        read_start(path)
    path.write_bytes(b"no safetensors")
    with pytest.raises(CsiError):
        read_start(path)
