import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.channels import load_channels, shipped_datasets
from shared.channels.file import load_file
from shared.channels.writing import COMPRESSED_UP_TO, write_arrays, write_channels
from shared.errors import InvalidArgumentError
from shared.transforms import normalize_power


@pytest.fixture
def x() -> Tensor:
    x = torch.randn(7, 2, 8, 6, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    return normalize_power(x * 0.7 ** torch.arange(6))  # early delays, as a file without a card must have


@pytest.mark.parametrize("num_channels", [7, None])
@pytest.mark.parametrize("chunk", [1, 3, 7])
def test_channels_come_back_in_half_precision_with_one_digest_whatever_the_chunks(
    tmp_path: Path, x: Tensor, num_channels: int | None, chunk: int
) -> None:
    seen: list[int] = []
    digest = write_channels(tmp_path / "a/x.npz", torch.split(x, chunk), num_channels, progress=seen.append)
    assert (sum(seen), len(seen)) == (7, -(-7 // chunk))
    assert digest == write_channels(tmp_path / "y.npz", [x], 7)
    assert digest != write_channels(tmp_path / "z.npz", [x.flip(0)], 7)
    channels = load_file(tmp_path / "a/x.npz")
    assert (channels.sha256, channels.name, channels.card) == (digest, "x", None)
    assert channels.shape.dims == (2, 8, 6)
    assert torch.allclose(channels.h, x, atol=5e-3)
    with np.load(tmp_path / "y.npz") as file:
        assert file["x_re_im"].dtype == np.float16
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "x.npz", "y.npz", "z.npz"]


def test_the_bytes_of_the_shipped_data_set_are_those_of_its_channels(tmp_path: Path) -> None:
    name = "indoor-open-office"
    with np.load(shipped_datasets()[name]) as file:
        pairs, losses = torch.from_numpy(file["x_re_im"]).float(), torch.from_numpy(file["crop_loss"]).double()
    chunks = torch.split(torch.view_as_complex(pairs), 256)
    digest = write_channels(tmp_path / "x.npz", chunks, 2400, crop_loss=lambda: losses)
    assert digest == load_channels(name).sha256


def test_crop_losses_below_their_rounding_do_not_change_the_bytes(tmp_path: Path, x: Tensor) -> None:
    losses = torch.linspace(0, 0.5, 7, dtype=torch.float64)
    digest = write_channels(tmp_path / "x.npz", [x], crop_loss=lambda: losses)
    assert digest == write_channels(tmp_path / "y.npz", torch.split(x, 2), 7, crop_loss=lambda: losses + 1e-12)
    assert digest != write_channels(tmp_path / "y.npz", [x], crop_loss=lambda: losses + 1e-6)
    assert digest != write_channels(tmp_path / "y.npz", [x])


def test_a_large_file_is_stored_uncompressed(tmp_path: Path) -> None:
    size = COMPRESSED_UP_TO // 4096 + 1
    chunk = torch.ones(size, 1, 32, 32, dtype=torch.complex64)
    write_channels(tmp_path / "large.npz", [chunk], size, crop_loss=lambda: torch.zeros(size))
    with zipfile.ZipFile(tmp_path / "large.npz") as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
    assert (tmp_path / "large.npz").stat().st_size > COMPRESSED_UP_TO
    write_channels(tmp_path / "small.npz", [chunk[:-1]], size - 1)
    assert (tmp_path / "small.npz").stat().st_size < COMPRESSED_UP_TO / 100


@pytest.mark.parametrize(
    ("change", "num_channels", "message"),
    [
        (lambda x: [x], 8, "must hold 8 channels; got 7"),
        (lambda x: [x, x], 7, "must hold 7 channels; got 14"),
        (lambda x: [x[:, 0]], 7, r"must be \[n, rx, tx, subcarriers\] complex64; got \[7, 8, 6\]"),
        (lambda x: [x[:3], x[3:, :1]], 7, r"must be \[n, 2, 8, 6\] complex64; got \[4, 1, 8, 6\]"),
        (lambda x: [x.real], 7, "must be .* complex64; got .* torch.float32"),
        (lambda x: [x * 1e5], 7, "must be finite and below 65,504 in magnitude; got"),
        (lambda x: [], None, "at least one channel; got none"),
        (lambda x: [], 0, "at least one channel; got none"),
    ],
)
def test_unfit_chunks_are_refused_and_the_file_before_stays(
    tmp_path: Path, x: Tensor, change: object, num_channels: int | None, message: str
) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"before")
    with pytest.raises(InvalidArgumentError, match=message):
        write_channels(path, change(x), num_channels)  # type: ignore[operator]
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ([0.1] * 6, r"must be \[7\] in \[0, 1\]; got \[6\] in \[0.1, 0.1\]"),
        ([0.1] * 6 + [1.5], r"must be \[7\] in \[0, 1\]; got \[7\] in \[0.1, 1.5\]"),
        ([0.1] * 6 + [-0.5], r"got \[7\] in \[-0.5, 0.1\]"),
        ([0.1] * 6 + [float("nan")], r"got \[7\] in \[nan, nan\]"),
    ],
)
def test_unfit_crop_losses_are_refused_and_the_file_before_stays(
    tmp_path: Path, x: Tensor, losses: list[float], message: str
) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"before")
    with pytest.raises(InvalidArgumentError, match=f"`crop_loss` .*{message}"):
        write_channels(path, [x], crop_loss=lambda: torch.tensor(losses, dtype=torch.float64))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_source_that_breaks_off_leaves_nothing_behind(tmp_path: Path, x: Tensor) -> None:
    def broken() -> Iterator[Tensor]:
        yield x
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_channels(tmp_path / "x.npz", broken(), 14)
    assert list(tmp_path.iterdir()) == []


def test_arrays_come_back_and_the_bytes_depend_on_them_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {"a": np.arange(5), "b": np.array([[True], [False]]), "c": np.zeros((0, 4), np.float32)}
    digest = write_arrays(tmp_path / "folder/a.npz", arrays)
    monkeypatch.setattr("time.localtime", lambda *_: (2040, 1, 2, 3, 4, 5, 0, 1, 0))
    assert write_arrays(tmp_path / "b.npz", arrays) == digest
    assert write_arrays(tmp_path / "c.npz", arrays | {"a": np.arange(6)}) != digest
    with np.load(tmp_path / "folder/a.npz") as stored:
        assert set(stored) == set(arrays)
        for name, array in arrays.items():
            assert stored[name].dtype == array.dtype
            assert np.array_equal(stored[name], array)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.npz", "b.npz", "c.npz", "folder"]
