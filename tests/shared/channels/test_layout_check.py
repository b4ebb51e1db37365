"""Layouts that must not pass for [angle, delay]."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.channels.file import load_file, open_stream
from shared.channels.stream import ReadOptions
from shared.errors import DataFileError
from shared.transforms import from_angular_delay, to_csinet_rows


@pytest.fixture
def x() -> Tensor:
    """Channels of a sector to one side, with early delays."""
    x = torch.randn(64, 1, 32, 32, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    sector = 1 / (1 + (torch.arange(32) - 25).abs())
    return x * sector[:, None] * 0.7 ** torch.arange(32)


WRONG: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "axes swapped": (lambda x: x.transpose(2, 3), "first quarter of the angles: the two axes look swapped"),
    "spatial-frequency": (from_angular_delay, "first half of the taps: it looks like spatial-frequency"),
    "delays shifted": (lambda x: torch.fft.fftshift(x, dim=3), "0% of the energy in the first half of the taps"),
    "delays turned round": (lambda x: x.flip(3), "0% of the energy in the first half of the taps"),
    "constant": (lambda x: x + 3, "in a constant: an offset was not taken off"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_layout_is_refused_unless_it_is_trusted(
    tmp_path: Path, x: Tensor, change: Callable[[Tensor], Tensor], message: str
) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=x.numpy())
    assert load_file(path).shape.dims == (1, 32, 32)
    np.savez(path, x=change(x).numpy())
    with pytest.raises(DataFileError, match=f"{message}.*--trust-layout"):
        load_file(path)
    trusted = open_stream(path, ReadOptions(trust_layout=True))
    assert sum(len(chunk) for chunk, _ in trusted.chunks()) == 64


def test_rows_whose_real_and_imaginary_parts_alternate_are_refused(tmp_path: Path, x: Tensor) -> None:
    re, im = to_csinet_rows(x).chunk(2, dim=1)
    np.save(tmp_path / "ht.npy", torch.stack([re, im], dim=2).flatten(1).numpy())
    with pytest.raises(DataFileError, match="every second angle: real and imaginary parts look interleaved"):
        load_file(tmp_path / "ht.npy")


@pytest.mark.parametrize(("scale", "offset"), [(1, -0.2), (2, -0.5)])
def test_rows_around_another_offset_are_refused(tmp_path: Path, x: Tensor, scale: float, offset: float) -> None:
    rows = (to_csinet_rows(x) + offset).abs() * scale
    np.save(tmp_path / "ht.npy", rows.clamp(0, 1).numpy())
    with pytest.raises(DataFileError, match="in a constant: an offset was not taken off"):
        load_file(tmp_path / "ht.npy")


def test_real_rows_pass_and_swapped_do_not(tmp_path: Path, shared_data: Path) -> None:
    rows = np.load(shared_data / "cost2100-indoor/HT_val.npy")
    np.save(tmp_path / "swapped.npy", rows.reshape(-1, 2, 32, 32).swapaxes(2, 3).reshape(-1, 2048))
    assert len(load_file(shared_data / "cost2100-indoor/HT_val.npy").h) == 494
    with pytest.raises(DataFileError, match="the two axes look swapped"):
        load_file(tmp_path / "swapped.npy")
