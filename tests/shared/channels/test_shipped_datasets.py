import hashlib

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet, load_channels, shipped_datasets


@pytest.mark.parametrize("name", shipped_datasets())
def test_a_shipped_data_set_is_small_and_the_file_of_its_card(name: str) -> None:
    path = shipped_datasets()[name]
    assert path.stat().st_size <= 12 * 2**20
    card = path.with_suffix(".card.json").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card


def test_the_indoor_set_holds_distinct_channels_of_unit_power_in_half_precision(indoor: ChannelSet) -> None:
    assert len(indoor.h) >= 2000
    assert torch.allclose(indoor.h.abs().square().mean(dim=(1, 2, 3)), torch.ones(len(indoor.h)), atol=1e-5)
    with np.load(shipped_datasets()["indoor-open-office"]) as file:
        assert file["x_re_im"].dtype == np.float16
        power = np.square(file["x_re_im"].astype(np.float64)).sum(axis=-1).mean(axis=(1, 2, 3))
        assert np.abs(power - 1).max() < 1e-3
        assert len(np.unique(file["x_re_im"].reshape(len(indoor.h), -1)[:, :64], axis=0)) == len(indoor.h)


def test_the_indoor_set_is_centred_on_its_first_delays_and_spread_over_the_angles(indoor: ChannelSet) -> None:
    """A transposed layout would spread over the delays instead."""
    power = indoor.h.abs().square().mean(dim=(0, 1))
    by_angle, by_delay = power.sum(dim=1) / power.sum(), power.sum(dim=0) / power.sum()
    assert float(by_delay[:8].sum()) > 0.8
    assert float(by_angle.max()) < 0.3


@pytest.mark.parametrize(
    ("name", "carrier_hz"), [("street-3g5", 3.5e9), ("street-3g5-narrow", 3.5e9), ("street-28g", 28e9)]
)
def test_the_streets_hold_test_channels_of_the_whole_band(name: str, carrier_hz: float) -> None:
    street = load_channels(name)
    assert street.shape.dims == (1, 32, 32)
    assert len(street.h) == 1000
    assert shipped_datasets()[name].stat().st_size <= 6 * 2**20
    assert street.card is not None
    assert street.card.crop_loss == 0.0
    assert street.card.configuration["carrier_frequency_hz"] == carrier_hz
    assert street.card.configuration["split"] == (
        "at random, and by area too: whole blocks of about 5 m, at least 1 m between UEs of two splits; "
        "the first 1000 at most"
    )
