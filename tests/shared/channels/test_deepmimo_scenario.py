"""DeepMIMO's version 4, in folders written here as its converter writes them: no sample of its own was at hand."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import savemat

from shared.channels.deepmimo_scenario import is_scenario, scenario_streams
from shared.channels.file import load_file, open_stream
from shared.channels.multipath import Sampling
from shared.channels.stream import ChannelStream, ReadOptions
from shared.digests import sha256_of
from shared.errors import DataFileError, InvalidArgumentError
from shared.transforms import normalize_power, to_angular_delay
from tests.shared.channels.test_deepmimo import USERS, generator_channel, write_city

ROW_OF = {"phase": 0, "delay": 1, "power": 2, "aoa_az": 3, "aoa_el": 4, "aod_az": 5, "aod_el": 6}
MAX_PATHS = 5
SAMPLING = Sampling(num_tx_ant=16, bandwidth_hz=50e6, num_subcarriers=256, num_delay_taps=64)


def matrices(users: list[list[list[float]]]) -> dict[str, NDArray[np.float32]]:
    """Return what version 4 keeps of the users of an older file: NaN behind the last path."""
    found = {quantity: np.full((len(users), MAX_PATHS), np.nan, np.float32) for quantity in ROW_OF}
    for i, user in enumerate(users):
        for quantity, row in ROW_OF.items():
            if user:
                found[quantity][i, : len(user[row])] = user[row]
    return found | {"rx_pos": np.zeros((len(users), 3), np.float32), "tx_pos": np.zeros((1, 3), np.float32)}


def write_scenario(folder: Path, links: dict[str, list[list[list[float]]]], suffix: str = "npz") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "params.json").write_text("{}")
    for code, users in links.items():
        for quantity, array in matrices(users).items():
            path = folder / f"{quantity}_{code}.{suffix}"
            if suffix == "mat":
                savemat(path, {quantity: array})
            else:
                np.savez_compressed(path, **{quantity: array})  # type: ignore[arg-type]
    return folder


def the_one(folder: Path, number: int = 1, axis: str = "y") -> ChannelStream:
    (stream,) = scenario_streams(folder, ReadOptions(sampling=SAMPLING, array_axis=axis, base_stations=(number,)))
    return stream


@pytest.mark.parametrize("suffix", ["mat", "npz"])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_channel_is_that_of_the_generator_and_of_the_older_file(tmp_path: Path, axis: str, suffix: str) -> None:
    stream = the_one(write_scenario(tmp_path / "city", {"t001_tx000_r000": USERS}, suffix), axis=axis)
    ((x, crop_loss),) = stream.chunks()
    wanted = np.stack([generator_channel(user, axis, SAMPLING) for user in USERS if user])
    whole = to_angular_delay(torch.from_numpy(wanted).to(torch.complex64))[:, None]
    assert torch.allclose(x, normalize_power(whole[..., :64]), atol=1e-4)
    older = open_stream(write_city(tmp_path / "BS1_UE_0-4.mat", USERS), ReadOptions(sampling=SAMPLING, array_axis=axis))
    ((same, same_loss),) = older.chunks()
    assert torch.equal(x, same)
    assert crop_loss is not None
    assert same_loss is not None
    assert torch.equal(crop_loss, same_loss)
    assert stream.configuration["users_without_coverage_of_city/t001_tx000"] == 2


def test_a_base_station_reaches_every_set_that_does_not_transmit_and_the_card_names_its_files(tmp_path: Path) -> None:
    folder = write_scenario(
        tmp_path / "o1",
        {
            "t010_tx000_r000": [USERS[3]],
            "t002_tx000_r000": [USERS[1], []],
            "t002_tx000_r001": [[], []],  # a grid out of reach
            "t002_tx001_r000": [USERS[3]],
            "t002_tx001_r001": [[], USERS[1], USERS[3]],
            "t002_tx001_r002": [USERS[1]],  # base stations hear each other: no users
        },
    )
    assert is_scenario(folder)
    assert not is_scenario(tmp_path)
    assert not is_scenario(folder / "params.json")
    assert [the_one(folder, number).num_channels for number in (1, 2, 3)] == [1, 3, 1]
    both = scenario_streams(folder, ReadOptions(sampling=SAMPLING, base_stations=(2, 1)))
    assert [stream.num_channels for stream in both] == [3, 1]
    ((x, _),) = both[0].chunks()
    ((alone, _),) = the_one(folder, 1).chunks()
    assert torch.equal(x[1], alone[0])
    assert both[0].configuration["users_without_coverage_of_o1/t002_tx001"] == 1
    digests = {key: value for key, value in both[0].configuration.items() if key.startswith("sha256_of_")}
    assert len(digests) == 10
    assert digests["sha256_of_o1/phase_t002_tx001_r001.npz"] == sha256_of(folder / "phase_t002_tx001_r001.npz")


def test_of_two_formats_the_mat_is_read_as_deepmimos_loader_does(tmp_path: Path) -> None:
    write_scenario(tmp_path / "city", {"t000_tx000_r001": [USERS[1]]}, "mat")
    write_scenario(tmp_path / "city", {"t000_tx000_r001": [USERS[3], USERS[3]]}, "npz")
    assert the_one(tmp_path / "city").num_channels == 1


@pytest.mark.parametrize(("numbers", "got"), [((), "none"), ((0,), "0"), ((1, 3, 4), "3, 4")])
def test_a_base_station_that_is_not_there_is_refused(tmp_path: Path, numbers: tuple[int, ...], got: str) -> None:
    folder = write_scenario(tmp_path / "city", {"t001_tx000_r000": USERS, "t001_tx001_r000": USERS})
    there = rf"`base_station` must be of 1 \(t001_tx000\), 2 \(t001_tx001\), which .* holds; got {got}\."
    with pytest.raises(InvalidArgumentError, match=there):
        scenario_streams(folder, ReadOptions(base_stations=numbers))


def rewrite(quantity: str, change: Callable[[NDArray[np.float32]], NDArray[np.generic]]) -> Callable[[Path], None]:
    """Return what replaces a quantity of a folder."""

    def apply(folder: Path) -> None:
        path = folder / f"{quantity}_t001_tx000_r000.npz"
        with np.load(path) as file:
            array = file[quantity]
        np.savez(path, **{quantity: change(array)})  # type: ignore[arg-type]

    return apply


def other_name(folder: Path) -> None:
    shutil.copy(folder / "aoa_az_t001_tx000_r000.npz", folder / "aod_az_t001_tx000_r000.npz")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "delay_t001_tx000_r000.npz").unlink(),
            r"must hold phase, delay, power, aod_az, aod_el of t001_tx000_r000; found no delay\.",
        ),
        (
            rewrite("phase", lambda a: a[:3]),
            r"of t001_tx000_r000 in .* one shape; found phase \[3, 5\], delay \[4, 5\]",
        ),
        (rewrite("power", lambda a: a[0]), r"`power` of .*npz` must be \[receivers, paths\] real; found \[5\]"),
        (rewrite("power", lambda a: a.astype(complex)), r"`power` of .* must be \[receivers, paths\] real"),
        (other_name, r"`aod_az` of .* must be \[receivers, paths\] real; found no such array"),
        (rewrite("aod_el", lambda a: 90 - a), r"`aod_el` of .* 0 to 180 degrees; found -10 \.\.\. 10\."),
        (rewrite("power", lambda a: a * np.float32(np.nan)), "found 4 users, none with a path"),
        (rewrite("power", lambda a: a * 20), r"must be in \[-1000, 1000\] dB; found -1.6e\+03"),
        (rewrite("phase", lambda a: a * np.float32(np.nan)), "must hold finite paths"),
        (rewrite("aod_az", lambda a: np.where(a > 0, np.float32(np.inf), a)), "must hold finite paths"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_refused(
    tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    folder = write_scenario(tmp_path / "city", {"t001_tx000_r000": USERS})
    damage(folder)
    with pytest.raises(DataFileError, match=message):
        the_one(folder)


def test_a_folder_of_base_stations_alone_has_no_users(tmp_path: Path) -> None:
    folder = write_scenario(tmp_path / "city", {"t001_tx000_r001": USERS})
    with pytest.raises(
        DataFileError, match=r"a set of receivers \(r\) that transmits nothing .* found t001_tx000_r001"
    ):
        the_one(folder)


def test_one_file_of_a_scenario_is_not_taken_for_channels(tmp_path: Path) -> None:
    folder = write_scenario(tmp_path / "city", {"t001_tx000_r000": USERS})
    with pytest.raises(DataFileError):
        load_file(folder / "power_t001_tx000_r000.npz")


@pytest.mark.parametrize("suffix", ["mat", "npz"])
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    quantity=st.sampled_from(["phase", "delay", "power", "aod_az", "aod_el"]),
    at=st.integers(0, 400),
    change=st.binary(min_size=1, max_size=4),
    cut=st.integers(0, 600),
)
def test_damaged_bytes_give_a_sentence_or_channels_and_nothing_else(
    tmp_path: Path, suffix: str, quantity: str, at: int, change: bytes, cut: int
) -> None:
    folder = write_scenario(tmp_path / "city", {"t001_tx000_r000": USERS}, suffix)
    path = folder / f"{quantity}_t001_tx000_r000.{suffix}"
    content = path.read_bytes()
    content = content[:at] + change + content[at + len(change) :]
    path.write_bytes(content[: len(content) - cut] if cut < 300 else content)
    with contextlib.suppress(DataFileError):
        for x, _ in the_one(folder).chunks():
            assert x.isfinite().all()
