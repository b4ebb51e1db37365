"""Learn what INRIC's networks start from, on channels, and make it a codec; COIN and a random start need no training.

training split -> signals -> MetaSIREN -> theta_0, inner rates -> model file

Every tenth channel of the training split, 100 at most, is held back: the start of the lowest loss on them is kept.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from shared.codecs import Fitted
from shared.codecs.inric.codec import architecture_of
from shared.codecs.network_files import SHAPE
from shared.errors import InvalidArgumentError
from shared.inr.csi_signals import grid_of, signals_of
from shared.inr.meta_siren import MetaOptions, MetaReport, meta_learn
from shared.inr.retrain import RETRAINING
from shared.model_files import SirenSettings, TrainingRecord
from shared.transforms import from_angular_delay

HELD_BACK, MOST_VALIDATION = 10, 100
Codec = Literal["inric", "coin"]


@dataclass(frozen=True, slots=True)
class Described:
    """What a card says of a codec."""

    title: str
    source: str


DESCRIBED: dict[Codec, Described] = {
    "inric": Described("INRIC: the weights of a SIREN overfitted to the channel", "Struempler et al., ECCV 2022"),
    "coin": Described("COIN: the weights of a SIREN without encoding", "Dupont et al., 2021"),
}


def fit_inric(
    codec: Codec, h: Tensor, settings: SirenSettings, meta: MetaOptions | None, report: MetaReport | None = None
) -> Fitted:
    """Learn a start, if the settings want one, and put it into the tensors of a model file.

    Args:
        codec: Whose model it will be.
        h: [num_channels, 1, 32, 32] complex64, training split, angular-delay, unit mean power.
        settings: Architecture, bits, steps.
        meta: How to learn; None for a random start.
        report: Called after every outer step.

    Raises:
        InvalidArgumentError: If settings and ``meta`` do not go together, or there are fewer than two channels.
    """
    if (settings.inner_steps > 0) != (meta is not None) or (meta and meta.inner_steps != settings.inner_steps):
        found = f"{settings.inner_steps} and {meta.inner_steps if meta else None}"
        raise InvalidArgumentError(f"`inner_steps` of settings and of the learning must be one number; got {found}.")
    if codec == "coin" and (settings.num_frequencies or settings.inner_steps):
        found = f"{settings.num_frequencies} and {settings.inner_steps}"
        raise InvalidArgumentError(f"`num_frequencies` and `inner_steps` of coin must be 0; got {found}.")
    if len(h) < 2:
        raise InvalidArgumentError(f"`data` must hold at least 2 channels; got {len(h)}.")
    tensors, training = {"mean": h.mean(dim=0)}, None
    if meta is not None:
        shape, signals = architecture_of(settings), signals_of(from_angular_delay(h))
        held_back = torch.arange(len(signals)) % HELD_BACK == 0
        features, validation = shape.features(grid_of(SHAPE)), signals[held_back][:MOST_VALIDATION]
        start, _ = meta_learn(shape, features, signals[~held_back], validation, meta, report)
        tensors |= {f"network.{name}": tensor.contiguous() for name, tensor in start.weights.items()}
        tensors |= {f"rates.{name}": tensor.contiguous() for name, tensor in start.rates.items()}
        samples = meta.num_steps * min(meta.batch_size, int((~held_back).sum()))
        order = "first" if meta.first_order else "second"
        training = TrainingRecord(
            loss=f"MSE after {meta.inner_steps} inner steps, MetaSIREN of {order} order, {meta.rate_kind} rates",
            epochs=round(samples / int((~held_back).sum()), 3),
            samples_seen=samples,
        )
    num_weights, macs = architecture_of(settings).num_weights, base_macs(settings)
    return Fitted(
        tensors,
        DESCRIBED[codec].title + ("" if settings.sparse_share is None else "; CoINR behind it"),
        DESCRIBED[codec].source,
        tuple(num_weights * bits for bits in range(settings.bits[0], settings.bits[1] + 1)),
        length="variable",
        encoder_macs=3 * num_passes(settings) * macs,
        decoder_macs=macs,
        siren=settings,
        training=training,
    )


def num_passes(settings: SirenSettings) -> int:
    """Return how often the UE runs the network and its gradient: inner steps, overfitting, AdaRound, retraining.

    An iteration of AdaRound on each layer is one in all. CoINR's search for atoms is not counted.
    """
    rounding, retraining = 0, 0
    if settings.sparse_share is None:
        rounding = settings.adaround_steps if "adaround" in settings.stage else 0
        retraining = RETRAINING.num_steps if "retrained" in settings.stage else 0
    return settings.inner_steps + settings.steps + rounding + retraining


def base_macs(settings: SirenSettings) -> int:
    """Return the multiply-accumulates of the network on a channel; a step of overfitting costs three times as many.

    Example:
        >>> settings = SirenSettings(width=8, num_hidden=1, num_frequencies=0, inner_steps=0, steps=1, bits=(8, 8))
        >>> base_macs(settings) == 1024 * (2 * 8 + 8 * 8 + 8 * 2)
        True
    """
    layers = architecture_of(settings).layers.values()
    return SHAPE.num_complex * sum(outputs * inputs for outputs, inputs in layers)
