"""Fit a codec on a training split, measure it on a test split, and write model file and card."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, make_decoder, make_encoder
from shared.codecs.float32 import BITS_PER_COMPLEX
from shared.errors import InvalidArgumentError
from shared.metrics import nmse, to_db
from shared.model_files import CodecCard, MeasuredNmse, ModelFile, save_model
from shared.rng import Randomness
from shared.training.angular_topk import fit_angular_topk
from shared.training.klt import MAX_RATE, MIN_RATE, fit_klt

MEASURED_RATES = (32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a codec is fitted, and what its card says of it."""

    fit: Callable[[Tensor], dict[str, Tensor]]
    title: str
    source: str


RECIPES: dict[str, Recipe] = {
    "klt": Recipe(
        fit_klt,
        "Karhunen-Loeve transform, reverse water-filling, Lloyd-Max quantisers",
        "Berger 1971; Gersho and Gray 1992, chapter 8",
    ),
    "angular-topk": Recipe(
        fit_angular_topk,
        "k strongest angular-delay taps: index, amplitude, phase",
        "sparsity: Kuo et al., WCNC 2012; quantiser: csilink",
    ),
    "float": Recipe(lambda _: {}, "No compression, 32-bit floats, ideal link only", "IEEE 754"),
}


def fit_codec(
    codec: str, train: ChannelSet, test: ChannelSet, folder: Path, command: str, name: str | None = None
) -> ModelFile:
    """Fit, measure over an ideal link, and save a codec.

    Args:
        codec: Key of `RECIPES`.
        train: Training split.
        test: Test split, of the same shape and domain.
        folder: Where ``<name>.safetensors`` and its card go.
        command: The command line, for the card.
        name: Name of the model; None for the codec's.

    Raises:
        InvalidArgumentError: If the codec has no recipe or the splits do not fit together.
    """
    if codec not in RECIPES:
        raise InvalidArgumentError(f"`codec` must be one of {', '.join(RECIPES)}; got {codec!r}.")
    if train.shape != test.shape or train.sha256 == test.sha256:
        raise InvalidArgumentError(f"`test` must be another file of shape {train.shape}; got {test.shape}.")
    if codec == "klt" and len(train.h) < train.shape.num_complex:
        found = len(train.h)
        raise InvalidArgumentError(
            f"`data` must hold at least {train.shape.num_complex} channels for klt; got {found}."
        )
    recipe = RECIPES[codec]
    tensors = recipe.fit(train.h)
    model = ModelFile(_card(codec, train, test, tensors, command, name or codec), tensors)
    rates = [model.card.max_rate] if codec == "float" else MEASURED_RATES
    measured = [MeasuredNmse(rate=rate, nmse_db=measure_nmse_db(model, test, rate)) for rate in rates]
    return save_model(ModelFile(model.card.model_copy(update={"measured": measured}), tensors), folder)


def measure_nmse_db(model: ModelFile, test: ChannelSet, rate: int) -> float | None:
    """Return 10 log10 of the mean NMSE of a model over an ideal link, rounded to 0.001 dB; None if exact."""
    count = len(test.h)
    snr_db = np.zeros(count, dtype=np.float32)
    randomness = Randomness(0, np.zeros(count, dtype=np.uint32), np.arange(count))
    device = torch.device("cpu")
    payload = make_encoder(model, device).encode(test.h, EncodeContext(rate, snr_db, randomness))
    decoded = make_decoder(model, device).decode(payload, DecodeContext(rate, snr_db))
    value = to_db(float(nmse(decoded.h_hat, test.h).mean()))
    return None if value is None else round(value, 3)


def _card(
    codec: str, train: ChannelSet, test: ChannelSet, tensors: dict[str, Tensor], command: str, name: str
) -> CodecCard:
    exact = codec == "float"
    num_bits = BITS_PER_COMPLEX * train.shape.num_complex
    macs = 4 * train.shape.num_complex * _num_coefficients(tensors["widths"][-1]) if "widths" in tensors else 0
    return CodecCard(
        name=name,
        codec=codec,
        title=RECIPES[codec].title,
        source=RECIPES[codec].source,
        sha256="0" * 64,  # `save_model` fills in digest and count
        domain=train.shape.domain,
        num_rx_ant=train.shape.num_rx_ant,
        num_tx_ant=train.shape.num_tx_ant,
        num_subcarriers=train.shape.num_subcarriers,
        output="channel",
        min_rate=num_bits if exact else MIN_RATE,
        max_rate=num_bits if exact else MAX_RATE,
        links=["ideal"] if exact else ["ideal", "digital"],
        num_parameters=0,
        encoder_macs=macs,
        decoder_macs=macs,
        recipe=command,
        training_data="none" if exact else _identity(train),
        test_data=_identity(test),
        measured=[],
    )


def _num_coefficients(widths: Tensor) -> int:
    """Return how many leading coefficients of `klt` are sent."""
    return int(widths.nonzero()[-1]) // 2 + 1


def _identity(channels: ChannelSet) -> str:
    return f"{channels.name}, {len(channels.h)} channels, sha256 {channels.sha256}"
