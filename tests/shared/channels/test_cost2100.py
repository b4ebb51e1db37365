"""The official COST 2100 model's indoor channels of other environment draws, as multipath and as `HT`."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from shared.channels.file import load_file, open_stream

NUM_CHANNELS = 6000


@pytest.fixture(scope="module")
def train(shared_data: Path) -> tuple[Tensor, Tensor]:
    """Channels of the paths, and what the crop leaves out of each."""
    xs, losses = [], []
    for x, crop_loss in open_stream(shared_data / "cost2100-indoor/paths_train_0.npz").chunks():
        assert crop_loss is not None
        xs.append(x)
        losses.append(crop_loss)
        if sum(map(len, xs)) >= NUM_CHANNELS:
            break
    return torch.cat(xs).flatten(1), torch.cat(losses)


def test_the_first_32_taps_keep_the_energy_that_they_should(train: tuple[Tensor, Tensor]) -> None:
    assert float(train[1].mean()) == pytest.approx(1 - 0.964, abs=0.003)


@pytest.mark.parametrize(("num_reals", "wanted_db"), [(32, -2.62), (64, -5.01), (128, -9.33), (512, -29.10)])
def test_a_karhunen_loeve_transform_of_the_paths_fits_the_rows(
    num_reals: int, wanted_db: float, train: tuple[Tensor, Tensor], shared_data: Path
) -> None:
    x, _ = train
    mean = x.mean(dim=0)
    _, vectors = torch.linalg.eigh((x - mean).T @ (x - mean).conj())
    centred = load_file(shared_data / "cost2100-indoor/HT_val.npy").h.flatten(1) - mean
    basis = vectors.flip(1)[:, : num_reals // 2]
    left = centred - centred @ basis.conj() @ basis.T
    nmse_db = 10 * torch.log10(left.abs().square().sum(dim=1).mean() / 1024)
    assert float(nmse_db) == pytest.approx(wanted_db, abs=0.3)  # that of a fit on all 99,050
