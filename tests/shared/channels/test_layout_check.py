"""Layouts that must not pass for [angle, delay] or [antenna, subcarrier]."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.channels import load_channels
from shared.channels.card import write_dataset_card
from shared.channels.file import load_file, open_stream
from shared.channels.stream import ReadOptions
from shared.channels.writing import write_channels
from shared.errors import DataFileError
from shared.transforms import from_angular_delay, normalize_power, to_csinet_rows


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


def _wide(x: Tensor) -> Tensor:
    """Return 1,024 subcarriers."""
    return from_angular_delay(torch.nn.functional.pad(x, (0, 1024 - x.shape[3])))


WRONG_BANDS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "axes swapped": (lambda x: from_angular_delay(x).transpose(2, 3), "over the antennas: the two axes look swapped"),
    "axes swapped, wide": (lambda x: _wide(x).transpose(2, 3), "over the antennas: the two axes look swapped"),
    "angular-delay": (lambda x: x, "in the first half of the band: it looks like angular-delay"),
    "antenna-delay": (
        lambda x: torch.fft.ifft(from_angular_delay(x), norm="ortho"),
        "in the first half of the band: it looks like angular-delay",
    ),
    "phase turned round": (lambda x: from_angular_delay(x).conj(), "of the delays: they look turned round"),
}


@pytest.mark.parametrize("name", ["h", "h_re_im"])
@pytest.mark.parametrize(("change", "message"), WRONG_BANDS.values(), ids=WRONG_BANDS.keys())
def test_a_wrong_layout_of_a_band_is_refused_unless_it_is_trusted(
    tmp_path: Path, x: Tensor, change: Callable[[Tensor], Tensor], message: str, name: str
) -> None:
    late = torch.nn.functional.pad(x, (2, 0))[..., :32]  # the first path comes at tap 2

    def save(h: Tensor) -> Path:
        h = h.resolve_conj()
        np.savez(tmp_path / "h.npz", **{name: (h if name == "h" else torch.view_as_real(h)).numpy()})  # type: ignore[arg-type]
        return tmp_path / "h.npz"

    for right in (from_angular_delay(late), _wide(late)):
        assert load_file(save(right)).shape.domain == "spatial-frequency"
    path = save(change(late))
    with pytest.raises(DataFileError, match=f"{message}.*--trust-layout"):
        load_file(path)
    trusted = open_stream(path, ReadOptions(trust_layout=True))
    assert sum(len(chunk) for chunk, _ in trusted.chunks()) == 64


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("data", ["indoor-open-office", "umi-nlos"])
def test_shipped_channels_as_a_band_pass_and_swapped_do_not(tmp_path: Path, data: str, mirrored: bool) -> None:
    h = from_angular_delay(load_channels(data).h[:200])
    h = h.flip(2) if mirrored else h
    np.savez(tmp_path / "h.npz", h=h.numpy())
    assert len(load_file(tmp_path / "h.npz").h) == 200
    np.savez(tmp_path / "h.npz", h=h.transpose(2, 3).numpy())
    with pytest.raises(DataFileError, match="the two axes look swapped"):
        load_file(tmp_path / "h.npz")


def test_antennas_that_fade_independently_pass(tmp_path: Path) -> None:
    """Over the subcarriers too: then there is no delay that could be wrong."""
    draw = torch.Generator().manual_seed(2)
    taps = torch.randn(40, 2, 32, 16, dtype=torch.complex64, generator=draw) * 0.8 ** torch.arange(16)
    for h in (torch.fft.fft(taps, n=128), torch.randn(40, 1, 32, 64, dtype=torch.complex64, generator=draw)):
        np.savez(tmp_path / "h.npz", h=h.numpy())
        assert len(load_file(tmp_path / "h.npz").h) == 40


def test_too_few_channels_to_tell_pass(tmp_path: Path, x: Tensor) -> None:
    np.savez(tmp_path / "h.npz", h=x[:7].numpy())
    assert len(load_file(tmp_path / "h.npz").h) == 7
    np.savez(tmp_path / "h.npz", h=x[:8].numpy())
    with pytest.raises(DataFileError, match="looks like angular-delay"):
        load_file(tmp_path / "h.npz")


def test_own_pairs_are_checked_where_no_card_vouches_for_them(tmp_path: Path, x: Tensor) -> None:
    path = tmp_path / "x.npz"
    digest = write_channels(path, [normalize_power(x.transpose(2, 3))])
    with pytest.raises(DataFileError, match="the two axes look swapped"):
        load_file(path)
    card = load_channels("indoor-open-office").card
    assert card is not None
    write_dataset_card(path, card.model_copy(update={"sha256": digest, "num_channels": 64}))
    assert len(load_file(path).h) == 64
