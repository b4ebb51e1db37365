from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shared.channels.file import load_file, open_stream
from shared.channels.multipath import Paths, Sampling, angular_delay_chunks
from shared.channels.stream import ReadOptions
from shared.errors import DataFileError
from shared.transforms import normalize_power

h5py = pytest.importorskip("h5py")


@pytest.fixture
def arrays() -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(1)
    return {
        "offsets": np.array([0, 3, 4, 9]),
        "aod": random.uniform(-3, 3, 9).astype(np.float32),
        "delay": random.uniform(0, 1e-6, 9).astype(np.float32),
        "amp": (random.standard_normal(9) + 1j * random.standard_normal(9)).astype(np.complex64),
        "env_id": np.array([5, 5, 7], dtype=np.int32),
        "ue_pos": np.zeros((3, 2), dtype=np.float32),
    }


def test_paths_of_npz_and_h5_become_channels_of_their_environments(
    tmp_path: Path, arrays: dict[str, NDArray[Any]]
) -> None:
    np.savez_compressed(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    paths = Paths(arrays["offsets"], np.sin(arrays["aod"].astype(float)), arrays["delay"], arrays["amp"])
    ((x, _),) = angular_delay_chunks(paths, Sampling())
    for name in ("a.npz", "a.h5"):
        channels = load_file(tmp_path / name)
        assert channels.shape.domain == "angular-delay"
        assert torch.allclose(channels.h, normalize_power(x), atol=1e-6)
        environments = open_stream(tmp_path / name).environments
        assert environments is not None
        assert environments.tolist() == [5, 5, 7]


def test_the_sampling_is_the_callers(tmp_path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    sampling = Sampling(num_tx_ant=8, bandwidth_hz=10e6, num_subcarriers=128, num_delay_taps=16)
    stream = open_stream(tmp_path / "a.npz", ReadOptions(sampling=sampling))
    assert stream.shape.dims == (1, 8, 16)
    assert stream.configuration["bandwidth_hz"] == 10e6
    assert len(next(stream.chunks())[0]) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": np.array([0, 3, 4, 8])}, "`offsets` .* must rise from 0 to the 9 paths"),
        ({"offsets": np.array([0, 3, 3, 9])}, "at least one a channel"),
        ({"offsets": np.array([0, 5, 4, 9])}, "must rise"),
        ({"offsets": np.array([1, 4, 9])}, "must rise"),
        ({"offsets": np.array([0])}, "must rise"),
        ({"offsets": np.array([0.0, 9.0])}, r"`offsets` .* must be \[n\] integer; found \[2\] float64"),
        ({"aod": np.zeros(8, np.float32)}, r"must be of one length; found \[8, 9, 9\]"),
        ({"amp": np.zeros(9)}, r"`amp` .* must be \[n\] complex"),
        ({"env_id": np.zeros(4, int)}, r"`env_id` .* must be \[3\] integer; found \[4\]"),
        ({"aod": np.full(9, 90.0)}, "`aod` .* must be in rad; found up to 90"),
        ({"aod": np.full(9, np.nan)}, "must be in rad"),
        ({"delay": np.full(9, 300.0)}, "delays of .* s, one symbol; found 300"),
        ({"delay": np.full(9, -1e-9)}, "delays of .* one symbol; found -1e-09"),
        ({"amp": np.full(9, np.nan, complex)}, "must hold finite paths"),
        ({"amp": np.zeros(9, complex)}, "must be finite and have power"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict[str, NDArray[Any]], changes: dict[str, NDArray[Any]], message: str
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **(arrays | changes))  # type: ignore[arg-type]
    with pytest.raises(DataFileError, match=message) as error:
        load_file(path)
    assert str(path) in str(error.value)
