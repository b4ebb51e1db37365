"""What `csi-lab data info` computes, against channels whose statistics are known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.channels.writing import write_channels
from shared.errors import DataFileError
from shared.experiments import data_info
from shared.experiments.data_info import describe
from shared.experiments.data_plot import plot_data
from shared.metrics.nmse_full import nmse_full_from_loss
from shared.transforms import from_angular_delay


@pytest.fixture
def x() -> Tensor:
    """Channels in a plane: angle 3, delays 0 and 2, of independent phases; 80 and 20 per cent of the energy."""
    phases = torch.rand(200, 2, generator=torch.Generator().manual_seed(1)) * 2 * torch.pi
    x = torch.zeros(200, 1, 8, 16, dtype=torch.complex64)
    x[:, 0, 3, 0] = torch.polar(torch.full((200,), 0.8**0.5), phases[:, 0])
    x[:, 0, 3, 2] = torch.polar(torch.full((200,), 0.2**0.5), phases[:, 1])
    return x


@pytest.mark.parametrize("domain", ["angular-delay", "spatial-frequency"])
def test_power_over_delay_and_angle_strongest_entries_and_klt_are_those_of_the_channels(
    tmp_path: Path, x: Tensor, domain: str
) -> None:
    path = tmp_path / "x.npz"
    if domain == "angular-delay":
        np.savez(path, x=x.numpy())
    else:
        np.savez(path, h=from_angular_delay(x).numpy())
    info = describe(str(path))
    assert info.identity["shape"] == [1, 8, 16]
    assert info.power_profile_db[0] == pytest.approx(10 * np.log10(0.8), abs=0.02)
    assert info.power_profile_db[2] == pytest.approx(10 * np.log10(0.2), abs=0.02)
    assert max(info.power_profile_db[3:]) < -60
    assert info.angular_spectrum_db[3] == pytest.approx(0, abs=0.02)
    assert info.energy_of_strongest == {"1": 0.8, "4": 1.0, "16": 1.0, "64": 1.0}
    assert info.klt_nmse_db["2"] == pytest.approx(10 * np.log10(0.2), abs=0.3), "one complex direction of two"
    assert info.klt_nmse_db["4"] < -50
    assert info.klt_fit == "fitted on every second channel, scored on the others"


def test_the_klt_is_fitted_on_the_training_file_where_there_is_one(tmp_path: Path, x: Tensor) -> None:
    np.savez(tmp_path / "x.npz", x=x.numpy())
    np.savez(tmp_path / "other.npz", x=x.roll(1, dims=2).numpy())
    same = describe(str(tmp_path / "x.npz"), str(tmp_path / "x.npz"))
    assert same.klt_nmse_db["4"] < -50
    assert same.klt_fit == "fitted on x.npz, scored on all of x.npz"
    other = describe(str(tmp_path / "x.npz"), str(tmp_path / "other.npz"))
    assert other.klt_nmse_db["4"] == pytest.approx(0, abs=0.1), "its directions are of another angle"
    with pytest.raises(DataFileError, match=r"`train` must hold angular-delay \[1, 8, 16\]"):
        describe(str(tmp_path / "x.npz"), "indoor-open-office")


def test_a_channel_too_large_for_a_covariance_has_no_klt(
    tmp_path: Path, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_info, "MOST_ENTRIES", 100)
    np.savez(tmp_path / "x.npz", x=x.numpy())
    info = describe(str(tmp_path / "x.npz"))
    assert info.klt_nmse_db == {}
    assert info.klt_fit.startswith("none: more than 100 entries")
    plot_data(info, tmp_path / "a/x.png")
    assert (tmp_path / "a/x.png").read_bytes().startswith(b"\x89PNG")


def test_the_shipped_set_fits_worse_the_fewer_reals_are_kept(indoor: ChannelSet) -> None:
    info = describe(indoor.name)
    nmse_db = list(info.klt_nmse_db.values())
    assert nmse_db == sorted(nmse_db, reverse=True)
    assert info.identity["sha256"] == indoor.sha256
    assert sum(10 ** (db / 10) for db in info.angular_spectrum_db) == pytest.approx(1, abs=0.01)


def test_what_the_crop_left_out_is_the_floor_of_nmse_full(indoor: ChannelSet) -> None:
    crop = describe(indoor.name).crop
    assert crop is not None
    assert indoor.crop_loss is not None
    perfect = nmse_full_from_loss(torch.zeros_like(indoor.crop_loss), indoor.crop_loss)
    assert crop.mean_loss == pytest.approx(float(perfect.mean()), abs=1e-7)
    assert crop.nmse_full_floor_db == pytest.approx(10 * np.log10(float(perfect.mean())), abs=0.005)
    assert crop.largest_loss == pytest.approx(float(perfect.max()), abs=1e-7)
    assert str(crop) == "mean 1.751%, largest 9.704%; floor of nmse_full -17.57 dB"


def test_a_file_that_does_not_say_what_was_left_out_has_no_floor(tmp_path: Path, x: Tensor) -> None:
    np.savez(tmp_path / "x.npz", x=x.numpy())
    assert describe(str(tmp_path / "x.npz")).crop is None
    write_channels(tmp_path / "whole.npz", [x], crop_loss=lambda: torch.zeros(len(x)))
    whole = describe(str(tmp_path / "whole.npz"))
    assert whole.crop is not None
    assert whole.crop.nmse_full_floor_db == -120, "nothing left out: no floor but that of the table"
