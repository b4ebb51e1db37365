"""DeepMIMO's .mat: as its own generator computes a channel from it, and real cities."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.io import savemat

from shared.channels.deepmimo import base_station_files
from shared.channels.file import load_file, open_stream
from shared.channels.mat5 import Cells, open_mat5
from shared.channels.multipath import Sampling
from shared.channels.stored import StoredArray
from shared.channels.stream import ReadOptions
from shared.errors import DataFileError, InvalidArgumentError
from shared.transforms import normalize_power, to_angular_delay

USERS: list[list[list[float]]] = [
    [],
    [
        [70.0, -20.0, 123.0],  # phase, degrees
        [2e-7, 3.1e-7, 8e-7],  # s
        [-80.0, -84.0, -90.0],  # dBm
        [1.0, 2.0, 3.0],
        [90.0, 90.0, 90.0],
        [30.0, -75.0, 170.0],  # departure azimuth
        [93.0, 97.0, 80.0],  # departure elevation, from the z axis
        [1.0, 0.0, 0.0],
    ],
    [],
    [[10.0], [5e-8], [-120.0], [0.0], [90.0], [-45.0], [100.0], [0.0]],
]


def write_city(path: Path, users: list[list[list[float]]]) -> Path:
    cells = np.empty((1, len(users)), dtype=object)
    for i, user in enumerate(users):
        cells[0, i] = {"p": np.array(user, dtype=np.float32).reshape(8, -1)}
    path.parent.mkdir(exist_ok=True)
    savemat(path, {"channels": cells, "rx_locs": np.zeros((len(users), 5), np.float32)})
    return path


def generator_channel(user: list[list[float]], axis: str, sampling: Sampling) -> NDArray[np.complex128]:
    """Compute sum_l sqrt(power) e^(j phase) a(az, el) e^(-j 2 pi k tau B / K), the DeepMIMO generator's formula."""
    phase, tau, power, _, _, azimuth, elevation, _ = np.array(user, dtype=np.float32).astype(float)
    azimuth, elevation = np.radians(azimuth), np.radians(elevation)
    direction = np.sin(elevation) * (np.sin(azimuth) if axis == "y" else np.cos(azimuth))
    response = np.exp(1j * 2 * np.pi * 0.5 * np.outer(np.arange(sampling.num_tx_ant), direction))
    k = np.arange(sampling.num_subcarriers) * sampling.bandwidth_hz / sampling.num_subcarriers
    gain = np.sqrt(10 ** (power / 10) * 1e-3) * np.exp(1j * np.radians(phase))
    return np.asarray((response * gain) @ np.exp(-2j * np.pi * np.outer(tau, k)))


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_channel_is_that_of_the_generator_and_users_without_coverage_are_left_out(tmp_path: Path, axis: str) -> None:
    path = write_city(tmp_path / "BS1_UE_0-4.mat", USERS)
    sampling = Sampling(num_tx_ant=16, bandwidth_hz=50e6, num_subcarriers=256, num_delay_taps=64)
    stream = open_stream(path, ReadOptions(sampling=sampling, array_axis=axis))
    ((x, crop_loss),) = stream.chunks()
    wanted = np.stack([generator_channel(user, axis, sampling) for user in USERS if user])
    whole = to_angular_delay(torch.from_numpy(wanted).to(torch.complex64))[:, None]
    assert torch.allclose(x, normalize_power(whole[..., :64]), atol=1e-4)
    assert crop_loss is not None
    assert stream.configuration[f"users_without_coverage_of_{tmp_path.name}/BS1_UE_0-4.mat"] == 2
    assert load_file(path).shape.dims == (1, 32, 32)


def test_files_of_a_folder_are_chosen_by_base_station(tmp_path: Path) -> None:
    city = tmp_path / "city"
    for name in ("BS1_UE_0-4.mat", "BS1_BS.mat", "BS2_UE_0-4.mat", "TX3-1_RX4.mat", "params.mat"):
        write_city(city / name, USERS)
    assert [path.name for path in base_station_files(city, (3, 1))] == ["TX3-1_RX4.mat", "BS1_UE_0-4.mat"]
    with pytest.raises(InvalidArgumentError, match=r"`base_station` must be of 1, 2, 3, which .* holds; got none"):
        base_station_files(city, ())
    with pytest.raises(InvalidArgumentError, match=r"must be of 1, 2, 3, which .* holds; got 4"):
        base_station_files(city, (1, 4))
    with pytest.raises(DataFileError, match=r"must hold DeepMIMO's files .*; found none"):
        base_station_files(tmp_path, (1,))


def test_a_file_without_coverage_or_of_other_structs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="must hold users with paths; found 2 users, none with a path"):
        load_file(write_city(tmp_path / "a.mat", [[], []]))
    cells = np.empty((1, 1), dtype=object)
    cells[0, 0] = {"p": np.ones((5, 2))}
    savemat(tmp_path / "b.mat", {"channels": cells})
    with pytest.raises(DataFileError, match=r"must be \[8, paths\] real; found \[5, 2\]"):
        load_file(tmp_path / "b.mat")
    cells[0, 0] = {"q": np.ones((8, 2))}
    savemat(tmp_path / "c.mat", {"channels": cells})
    with pytest.raises(DataFileError, match="one struct a user with the field `p`"):
        load_file(tmp_path / "c.mat")


@pytest.mark.parametrize(("city", "links"), [("NY", [1014, 694, 916]), ("LA", [457, 1096, 718])])
def test_real_cities_hold_the_links_that_their_description_counts(
    shared_data: Path, city: str, links: list[int]
) -> None:
    files = base_station_files(shared_data / "deepmimo" / city, (1, 2, 3))
    streams = [open_stream(file) for file in files]
    assert [stream.num_channels for stream in streams] == links
    assert len(torch.cat([x for x, _ in streams[0].chunks()])) == links[0]


def test_a_line_of_sight_departs_towards_its_user(shared_data: Path) -> None:
    """The angles' convention, off the geometry: azimuth from x, elevation from z; the delay is the distance."""
    found = open_mat5(shared_data / "deepmimo/NY/BS1_UE_0-5148.mat")
    users, rx, tx = found["channels"], found["rx_locs"], found["tx_loc"]
    assert isinstance(users, Cells)
    assert isinstance(rx, StoredArray)
    assert isinstance(tx, StoredArray)
    seen = 0
    for user, position in zip(users.items, rx.load(), strict=True):
        table = np.asarray(user.items[0] if isinstance(user, Cells) else None, dtype=float)
        los = table[:, table[7] == 1]
        if not los.shape[1]:
            continue
        seen += 1
        dx, dy, dz = (position[:3].astype(float) - tx.load()[0]).tolist()
        distance = float(np.hypot(np.hypot(dx, dy), dz))
        assert los[5, 0] == pytest.approx(np.degrees(np.arctan2(dy, dx)), abs=0.01)
        assert los[6, 0] == pytest.approx(np.degrees(np.arccos(dz / distance)), abs=0.01)
        assert los[1, 0] == pytest.approx(distance / 299792458, rel=1e-3)
    assert seen > 100
