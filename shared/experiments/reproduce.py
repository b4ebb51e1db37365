"""Measure networks beside a KLT of as many reals, on one test split and without quantisation.

training split -> KLT (real and imaginary parts as one vector of reals, mean removed)
model files    -> networks                                                           -> NMSE of each on the test split
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs import load_codec
from shared.codecs.autoencoder.codec import Autoencoder
from shared.codecs.csi_inr.codec import load_csi_inr, without_quantization
from shared.errors import InvalidArgumentError
from shared.experiments.published_figures import COST2100_INDOOR_DB
from shared.metrics import mean_interval, nmse, to_db
from shared.model_files import CodecCard, ModelFile
from shared.training.fit import require_splits

CHUNK = 1000
KLT_REALS = (512, 128, 64, 32)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        method: ``klt``, or the codec.
        num_reals: Codeword size.
        compression_ratio: ``num_reals`` over the reals of a channel.
        nmse_db: 10 log10 of the mean over reports of the ratio; latents not quantised.
        low_db: Lower end of its 95 % interval; None where it reaches 0, which has no value in dB.
        high_db: Upper end.
        published_db: What the paper has for its own data; None where it has none.
        loss: What it was trained on; None for a closed form.
        epochs: Passes over the training split; None for a closed form or published weights.
        samples_seen: Channels seen in training.
        command: What made the model; None for a KLT, which is fitted where it is measured.
    """

    method: str
    num_reals: int
    compression_ratio: str
    nmse_db: float
    low_db: float | None
    high_db: float
    published_db: float | None
    loss: str | None
    epochs: float | None
    samples_seen: int | None
    command: str | None


def measure_networks(train: ChannelSet | None, test: ChannelSet, models: list[str], published: bool) -> dict[str, Any]:
    """Measure a KLT and networks.

    Args:
        train: What the KLT is fitted on; None for no KLT.
        test: What everything is scored on.
        models: Model files of networks.
        published: Whether the data stand for the papers' COST 2100 indoor set, so that their figures belong beside.

    Returns:
        The data's identities and the rows, for JSON.

    Raises:
        InvalidArgumentError: If the splits do not fit together.
    """
    rows = []
    reals = 2 * test.shape.num_complex
    if train:
        require_splits(train, test)
    networks = [load_codec(name) for name in models]
    sizes = [n for n in sorted({*KLT_REALS, *map(_num_reals, networks)}, reverse=True) if n < reals]
    for num_reals, ratios in (klt_errors(train.h, test.h, sizes) if train else {}).items():
        rows.append(_row("klt", num_reals, reals, ratios, None, None, None, None, None))
    for model in networks:
        card, record, reconstruct = model.card, model.card.training, _unquantized(model)
        if record is None:
            raise InvalidArgumentError(f"`models` must be trained; got {card.name}.")
        if card.output != "channel":
            raise InvalidArgumentError(f"`models` must report channels, for an NMSE; {card.name} reports precoders.")
        with torch.no_grad():
            ratios = torch.cat([nmse(reconstruct(chunk), chunk) for chunk in torch.split(test.h, CHUNK)])
        row = _row(
            card.codec,
            _num_reals(model),
            reals,
            ratios,
            _published_db(card) if published else None,
            record.loss.split(",")[0],
            record.epochs,
            record.samples_seen,
            card.recipe,
        )
        rows.append(row)
    return {
        "training_data": train.identity if train else None,
        "test_data": test.identity,
        "rows": [asdict(row) for row in rows],
    }


def _num_reals(model: ModelFile) -> int:
    """Return the codeword size of a network.

    Raises:
        InvalidArgumentError: If it is none that has a codeword of reals.
    """
    settings = model.card.network or model.card.coordinates
    if settings is None:
        raise InvalidArgumentError(f"`models` must be networks with a codeword of reals; got {model.card.name}.")
    return settings.num_latents


def _unquantized(model: ModelFile) -> Callable[[Tensor], Tensor]:
    """Return what makes h_hat of ``h: [batch, 1, 32, 32]`` complex64, its codeword not quantised."""
    settings = model.card.coordinates
    if settings is None:
        return Autoencoder.load(model)
    return partial(without_quantization, load_csi_inr(model), num_steps=settings.inner_steps)


def _published_db(card: CodecCard) -> float | None:
    """Return the paper's figure of a network's size; none for CsiNet's channels-last weights, another training."""
    if card.network is None or card.training is None:
        return None
    if card.codec == "csinet" and card.training.epochs is None and card.network.norm_axis == "channel":
        return None
    return COST2100_INDOOR_DB[card.codec].get(card.network.num_latents)


def klt_errors(train: Tensor, test: Tensor, num_reals: list[int]) -> dict[int, Tensor]:
    """Return the error of a real Karhunen-Loeve transform.

    Args:
        train: [num_channels, ...] complex64, what mean and covariance are taken of.
        test: [n, ...] complex64, what is projected.
        num_reals: How many of the strongest directions are kept.

    Returns:
        For each number the [n] float64 ratios of error to channel energy.
    """
    rows = torch.view_as_real(train).flatten(1)
    mean = rows.mean(dim=0)
    covariance = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)
    for chunk in torch.split(rows, CHUNK):
        covariance += ((chunk - mean).T @ (chunk - mean)).double()
    _, vectors = torch.linalg.eigh(covariance)
    reports = torch.view_as_real(test).flatten(1)
    weights = (reports - mean).double() @ vectors.flip(1)
    left = weights.square().sum(dim=1, keepdim=True) - weights.square().cumsum(dim=1)
    energy = reports.double().square().sum(dim=1)
    return {n: left[:, n - 1].clamp(min=0) / energy for n in num_reals}


def _row(
    method: str,
    num_reals: int,
    reals: int,
    ratios: Tensor,
    published_db: float | None,
    loss: str | None,
    epochs: float | None,
    samples_seen: int | None,
    command: str | None,
) -> Row:
    mean = float(ratios.mean())
    interval = mean_interval(mean, float(ratios.square().sum()), len(ratios))
    low, high = (interval.low, interval.high) if interval else (mean, mean)
    low_db = to_db(low)
    return Row(
        method=method,
        num_reals=num_reals,
        compression_ratio=str(Fraction(num_reals, reals)),
        nmse_db=round(to_db(mean) or 0.0, 3),
        low_db=None if low_db is None else round(low_db, 3),
        high_db=round(to_db(high) or 0.0, 3),
        published_db=published_db,
        loss=loss,
        epochs=epochs,
        samples_seen=samples_seen,
        command=command,
    )
