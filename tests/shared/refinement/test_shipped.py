"""The refiners that ship: each belongs to a model that ships, and does what its card says."""

import hashlib
import re

import numpy as np
import pytest
import torch

from shared.channels import load_channels
from shared.metrics import nmse
from shared.model_files import load_model
from shared.refinement import load_refiner, make_refiner, refiner_names
from shared.refinement.card import REFINER_ZOO
from shared.refinement.schedule import abar_of
from shared.rng import Randomness
from shared.training.frozen_codec import FrozenCodec
from shared.training.refiner_file import MEASURED_SNR_DB

CPU = torch.device("cpu")


def test_one_ships_for_an_easy_and_one_for_a_hard_channel() -> None:
    assert {"rd-indoor", "rd-umi-nlos"} <= set(refiner_names())


@pytest.mark.parametrize("name", refiner_names())
def test_the_file_is_what_its_card_says(name: str) -> None:
    file = load_refiner(name)
    content = (REFINER_ZOO / f"{name}.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == file.card.sha256
    assert len(content) < 15_000_000
    assert sum(tensor.numel() for tensor in file.tensors.values()) == file.card.num_parameters
    assert file.card.codec_sha256 == load_model(file.card.codec).card.sha256
    assert float(abar_of(file.card.schedule, file.card.num_train_steps)[-1]) == pytest.approx(
        file.card.final_abar, 1e-3
    )


@pytest.mark.parametrize("name", refiner_names())
def test_the_gain_is_that_of_the_card(name: str) -> None:
    file = load_refiner(name)
    card = file.card
    test = load_channels(card.test_data.partition(",")[0])
    point = next(p for p in card.measured if (p.snr_db, p.num_steps) == (10, 1))
    num = int(re.search(r"--measured (\d+)", card.recipe)[1])  # type: ignore[index]
    codec, h = FrozenCodec(load_model(card.codec), card.link, card.rate), test.h[-num:]
    randomness = Randomness(0, np.zeros(num, dtype=np.int64), np.arange(num) + MEASURED_SNR_DB.index(10) * num)
    snr_db = np.full(num, 10, dtype=np.float32)
    coarse, usable = codec.coarse(h, snr_db, randomness)
    rows = np.flatnonzero(usable)
    at = torch.from_numpy(rows)
    h_hat = make_refiner(file, CPU).refine(coarse[at], snr_db[rows], 1, randomness.of(rows))
    for found, wanted in ((coarse[at], point.nmse_coarse_db), (h_hat, point.nmse_db)):
        assert 10 * float(nmse(found, h[at]).mean().log10()) == pytest.approx(wanted, abs=0.02)
