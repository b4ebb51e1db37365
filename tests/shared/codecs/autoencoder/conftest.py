"""A small network with random weights, as a model file in memory."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from shared.channels import ChannelSet
from shared.codecs.autoencoder.codec import Autoencoder
from shared.codecs.autoencoder.scaling import Scaling
from shared.coding.latents import Companding
from shared.model_files import ModelFile, TrainingRecord
from shared.network_settings import NetworkSettings
from shared.training.fit import save_codec
from shared.training.train import as_codec

NUM_LATENTS = 6

MakeModel = Callable[[str, Scaling, Companding], ModelFile]


@pytest.fixture(scope="session")
def make_model(indoor: ChannelSet, tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """Return what builds, measures on a few channels and saves a network that nobody trained."""
    few = ChannelSet("few", "0" * 64, indoor.h[:40], indoor.shape, None)
    made: dict[tuple[str, str, str], ModelFile] = {}

    def make(codec: str, scaling: Scaling, quantizer: Companding) -> ModelFile:
        key = (codec, scaling, quantizer)
        if key not in made:
            settings = NetworkSettings(num_latents=NUM_LATENTS, scaling=scaling, quantizer=quantizer)
            record = TrainingRecord(loss="none", epochs=0, samples_seen=0, unquantized_nmse_db=0.0)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(1)
                network = Autoencoder.build(codec, settings)
            network.encoder.eval().requires_grad_(requires_grad=False)
            network.decoder.eval().requires_grad_(requires_grad=False)
            fitted = as_codec(codec, network, settings, indoor.h[40:140], record)
            folder: Path = tmp_path_factory.mktemp("models")
            made[key] = save_codec(codec, fitted, "nothing", few, folder, "", "-".join(key))
        return made[key]

    return make
