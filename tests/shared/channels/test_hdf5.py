"""HDF5: plain, and as MATLAB v7.3 writes it (axes reversed, complex as pairs, 512 bytes before)."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shared.channels.file import load_file, open_stream
from shared.channels.stream import ReadOptions
from shared.errors import DataFileError
from shared.transforms import from_csinet_truth, normalize_power, to_csinet_rows

h5py = pytest.importorskip("h5py")


@pytest.fixture
def x() -> torch.Tensor:
    x = torch.randn(6, 1, 32, 32, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    return x * 0.7 ** torch.arange(32)


def write_v73(path: Path, name: str, array: NDArray[np.generic], reverse: bool = True) -> None:
    """Write an array of MATLAB as MATLAB does."""
    stored = array.T if reverse else array
    if np.iscomplexobj(stored):
        pairs = np.empty(stored.shape, dtype=[("real", stored.real.dtype), ("imag", stored.real.dtype)])
        pairs["real"], pairs["imag"] = stored.real, stored.imag
        stored = pairs
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset(name, data=stored, chunks=True, compression="gzip")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def test_rows_of_csinet_in_a_v73_file_are_those_in_memory(tmp_path: Path, x: torch.Tensor) -> None:
    write_v73(tmp_path / "ht.mat", "HT", to_csinet_rows(x).double().numpy())
    channels = load_file(tmp_path / "ht.mat")
    assert channels.shape.domain == "angular-delay"
    assert torch.allclose(channels.h, normalize_power(x), atol=1e-5)


def test_a_v73_file_that_was_not_transposed_is_refused(tmp_path: Path, x: torch.Tensor) -> None:
    write_v73(tmp_path / "ht.mat", "HT", to_csinet_rows(x).double().numpy(), reverse=False)
    with pytest.raises(DataFileError, match=r"must hold `HT` as \[N, 2048\] real; found \[2048, 6\].*transposed"):
        load_file(tmp_path / "ht.mat")


@pytest.mark.parametrize("precision", [np.complex64, np.complex128])
def test_the_truth_of_csinet_is_complex_and_spatial_frequency(tmp_path: Path, precision: type[np.generic]) -> None:
    random = np.random.default_rng(1)
    rows = (random.standard_normal((5, 4000)) + 1j * random.standard_normal((5, 4000))).astype(precision)
    write_v73(tmp_path / "hf.mat", "HF_all", rows)
    channels = load_file(tmp_path / "hf.mat")
    assert (channels.shape.domain, channels.shape.dims) == ("spatial-frequency", (1, 32, 125))
    assert torch.allclose(channels.h, normalize_power(from_csinet_truth(torch.from_numpy(rows))), atol=1e-5)


def test_arrays_of_an_h5_file_are_read_as_their_names_say(tmp_path: Path, x: torch.Tensor) -> None:
    for name, domain in (("x", "angular-delay"), ("h", "spatial-frequency")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file[name] = x.numpy()
            file["note"] = "text"
        channels = load_file(tmp_path / f"{name}.h5")
        assert channels.shape.domain == domain
        assert torch.allclose(channels.h, normalize_power(x), atol=1e-6)


def test_a_large_array_is_read_in_pieces_of_whole_blocks(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    wanted = random.random((5000, 2048), dtype=np.float32)
    with h5py.File(tmp_path / "ht.h5", "w") as file:
        file.create_dataset("HT", data=wanted, chunks=(700, 2048))
    chunks = [chunk for chunk, _ in open_stream(tmp_path / "ht.h5", ReadOptions(trust_layout=True)).chunks()]
    assert [len(chunk) for chunk in chunks] == [700] * 7 + [100]


@pytest.mark.parametrize("keep", [0, 8, 600, 2000, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, x: torch.Tensor, keep: int) -> None:
    for name in ("x.h5", "ht.mat"):
        path = tmp_path / name
        if name.endswith(".h5"):
            with h5py.File(path, "w") as file:
                file["x"] = x.numpy()
        else:
            write_v73(path, "HT", to_csinet_rows(x).numpy())
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(DataFileError, match=f"{name}` cannot be read as"):
            load_file(path)


def test_without_h5py_both_kinds_are_refused_with_what_to_install(
    tmp_path: Path, x: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_v73(tmp_path / "ht.mat", "HT", to_csinet_rows(x).numpy())
    (tmp_path / "ht.h5").write_bytes((tmp_path / "ht.mat").read_bytes())
    monkeypatch.setitem(sys.modules, "h5py", None)
    for suffix in ("mat", "h5"):
        with pytest.raises(
            DataFileError, match=f"ht.{suffix}` cannot be read as .{suffix}: HDF5 needs h5py: pip install"
        ):
            load_file(tmp_path / f"ht.{suffix}")


def test_a_shape_without_data_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", shape=(10**9, 32, 32), dtype=np.complex64, chunks=True)
    with pytest.raises(DataFileError, match=r"`x` has a shape, .* but no data"):
        load_file(tmp_path / "x.h5")
