"""CsiNet's file layout on real data: COST 2100 channels of other environment draws, as multipath and as `HT`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.channels.file import load_file

NUM_CHANNELS = 6000
FOLDER = Path(__file__).parents[4] / "shared/data/cost2100-indoor"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no real data at {FOLDER}")


@pytest.fixture(scope="module")
def basis() -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Mean and principal directions of training channels in the layout of the data's own description."""
    with np.load(FOLDER / "paths_train_0.npz") as file:
        paths = {name: file[name] for name in ("offsets", "aod", "delay", "amp")}
    x = np.stack([angular_delay(paths, i) for i in range(NUM_CHANNELS)])
    x *= 32 / np.linalg.norm(x, axis=1, keepdims=True)
    centred = x - x.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred.conj())
    return x.mean(axis=0), vectors[:, ::-1]


def angular_delay(paths: dict[str, NDArray[Any]], i: int) -> NDArray[np.complex128]:
    """Return sum_p amp_p (FFT over antennas, shifted) x (inverse FFT over 1,024 subcarriers, 32 taps), flat."""
    part = slice(*paths["offsets"][i : i + 2].tolist())
    sine, turns = np.sin(paths["aod"][part].astype(float)), paths["delay"][part].astype(float) * 20e6
    steering = np.exp(-1j * np.pi * np.arange(32)[:, None] * sine)
    angle = np.fft.fftshift(np.fft.fft(steering, axis=0), axes=0)
    taps = np.arange(32)[:, None] - turns
    numerator, denominator = 1 - np.exp(2j * np.pi * taps), 1 - np.exp(2j * np.pi * taps / 1024)
    flat = np.abs(denominator) < 1e-12
    delay = np.where(flat, 1024, numerator / np.where(flat, 1, denominator)) / 1024
    return np.asarray((angle * paths["amp"][part]) @ delay.T).ravel()


@pytest.mark.parametrize(("num_reals", "published_db"), [(32, -2.62), (64, -5.01), (128, -9.33)])
def test_a_karhunen_loeve_transform_of_the_paths_fits_the_rows_as_published(
    num_reals: int,
    published_db: float,
    basis: tuple[NDArray[np.complex128], NDArray[np.complex128]],
) -> None:
    channels = load_file(FOLDER / "HT_val.npy")
    assert channels.h.shape == (494, 1, 32, 32)
    mean, vectors = basis
    centred = channels.h.numpy().reshape(494, -1) - mean
    left = centred - centred @ vectors[:, : num_reals // 2].conj() @ vectors[:, : num_reals // 2].T
    nmse_db = 10 * np.log10(np.square(np.abs(left)).sum(axis=1).mean() / 1024)
    assert nmse_db == pytest.approx(published_db, abs=0.2)
