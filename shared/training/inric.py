"""Make a codec of networks that are sent themselves: from a meta-learned start (MetaSIREN), or from a random one.

start file, or none; training split -> its mean channel -> model file
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from shared.codecs import Fitted
from shared.codecs.inric.codec import architecture_of
from shared.codecs.network_files import SHAPE
from shared.errors import InvalidArgumentError
from shared.inr.retrain import RETRAINING
from shared.inr.start_file import StartFile
from shared.model_files import TrainingRecord
from shared.network_settings import SirenSettings

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


def fit_inric(codec: Codec, h: Tensor, settings: SirenSettings, start: StartFile | None = None) -> Fitted:
    """Put a start into the tensors of a model file.

    Args:
        codec: Whose model it will be.
        h: [num_channels, 1, 32, 32] complex64, training split, angular-delay, unit mean power: its mean is what a lost
            report becomes.
        settings: Architecture, bits, steps.
        start: What the networks start from; None for random weights.

    Raises:
        InvalidArgumentError: If the settings are not the start's, or not COIN's.
    """
    inner_steps = start.start.num_steps if start else 0
    if settings.inner_steps != inner_steps:
        raise InvalidArgumentError(f"`inner_steps` must be the start's, {inner_steps}; got {settings.inner_steps}.")
    if codec == "coin" and (settings.num_frequencies or settings.inner_steps):
        found = f"{settings.num_frequencies} and {settings.inner_steps}"
        raise InvalidArgumentError(f"`num_frequencies` and `inner_steps` of coin must be 0; got {found}.")
    tensors, training = {"mean": h.mean(dim=0)}, None
    if start is not None:
        architecture_of(settings).require(start.start.weights, "start")
        tensors |= {f"network.{name}": tensor.contiguous() for name, tensor in start.start.weights.items()}
        tensors |= {f"rates.{name}": tensor.contiguous() for name, tensor in start.start.rates.items()}
        told = f"start of {start.card.trained_on} ({start.card.recipe})"
        training = TrainingRecord(loss=told, epochs=None, samples_seen=None)
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
