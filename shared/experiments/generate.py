"""Generate a data set and its card (extra `data`)."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch

from shared.channels import DatasetCard
from shared.channels.tr38901 import IndoorOpenOffice, generate
from shared.channels.writing import write_channels


def generate_indoor_open_office(
    path: Path, num_channels: int, seed: int, progress: Callable[[int], None]
) -> DatasetCard:
    """Make TR 38.901 indoor open-office channels, and write them and their card.

    Args:
        path: The .npz file; the card goes beside it.
        num_channels: How many.
        seed: Seed of the generator. Two splits need two seeds.
        progress: Called with the number of channels just made.
    """
    config = IndoorOpenOffice()
    channels, losses = [], []
    for x, crop_loss in generate(num_channels, seed, config):
        channels.append(x)
        losses.append(crop_loss)
        progress(len(x))
    card = DatasetCard(
        name=path.stem,
        title="3GPP TR 38.901 indoor office (InH open), 3.5 GHz, 32-antenna ULA, 20 MHz",
        file=path.name,
        sha256=write_channels(path, channels, num_channels),
        num_channels=num_channels,
        domain="angular-delay",
        num_rx_ant=1,
        num_tx_ant=config.num_tx_ant,
        num_subcarriers=config.num_delay_taps,
        storage="x_re_im [N, rx, angle, delay, (re, im)] float16, unit mean power per channel",
        time_correlation=False,
        crop_loss=round(float(torch.cat(losses).mean()), 5),
        generator=f"sionna-no-rt {version('sionna-no-rt')}, torch {version('torch')}",
        source="3GPP TR 38.901 v19.2, clause 7.5, indoor office (open), LOS drawn by Table 7.4.2-1",
        configuration={
            "seed": seed,
            "carrier_frequency_hz": config.carrier_frequency_hz,
            "bandwidth_hz": config.bandwidth_hz,
            "num_subcarriers_before_crop": config.num_subcarriers,
            "bs_array": f"ULA of {config.num_tx_ant}, half wavelength, V polarised omni elements, along y",
            "ue_array": "one V polarised omni element",
            "room_m": list(config.room_m),
            "bs_position_m": [config.room_m[0] / 2, config.room_m[1] / 2, config.room_m[2]],
            "ue_drop": "uniform over the room, one UE a drop",
            "ue_height_m": config.ue_height_m,
        },
        recipe=f"csi-lab data generate --num-channels {num_channels} --seed {seed} --out {path.name}",
        licence="Apache-2.0",
    )
    path.with_suffix(".card.json").write_text(card.model_dump_json(indent=2) + "\n")
    return card
