r"""A SIREN as a function of its weights, for several signals at once.

    features [num_points, num_inputs], the encoded coordinates
      --first--> sin(omega_0 (W f + b)) --hidden.0 ...--> sin(omega_0 (W f + b)) --output--> W f + b

Weights are named as those of `shared.networks.coordinates.Siren`: one signal's as the network has them, several
signals' with an axis before, ``[batch, ...]``. The encoding has no weights, and is taken once a grid, not once a step.

Sources: Y. Struempler et al., "Implicit neural representations for image compression", ECCV 2022, section 3.2 and table
1 (INRIC); E. Dupont et al., "COIN: compression with implicit neural representations", 2021 (no encoding).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from shared.errors import InvalidArgumentError, require_in_range
from shared.networks.coordinates import PositionalEncoding, Siren

Weights: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class SirenShape:
    """The architecture of a SIREN and of the encoding before it.

    Attributes:
        width: M, of a layer.
        num_hidden: Layers of sines behind the first.
        num_outputs: Values of a coordinate.
        num_frequencies: L of the positional encoding; 0 for none.
        spacing: sigma of the positional encoding.
        omega_0: Scale inside the sines.
        num_coordinates: Of a point.

    Example:
        >>> shape = SirenShape(width=32)
        >>> shape.num_inputs, shape.num_weights
        (50, 4899)
    """

    width: int
    num_hidden: int = 3
    num_outputs: int = 3
    num_frequencies: int = 12
    spacing: float = 1.4
    omega_0: float = 30.0
    num_coordinates: int = 2

    def __post_init__(self) -> None:
        """Refuse sizes that no file's header holds."""
        require_in_range("width", self.width, 1, 1024)
        require_in_range("num_hidden", self.num_hidden, 0, 32)
        require_in_range("num_outputs", self.num_outputs, 1, 64)
        require_in_range("num_frequencies", self.num_frequencies, 0, 64)

    @property
    def num_inputs(self) -> int:
        """Features of a point."""
        return self.num_coordinates * (2 * self.num_frequencies + 1)

    @property
    def layers(self) -> dict[str, tuple[int, int]]:
        """Name -> (outputs, inputs) of each layer, in order."""
        inner = {f"hidden.{layer}": (self.width, self.width) for layer in range(self.num_hidden)}
        return {"first": (self.width, self.num_inputs), **inner, "output": (self.num_outputs, self.width)}

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of one signal's weights, layer by layer, the bias behind the weight."""
        return {
            f"{name}.{kind}": size
            for name, (outputs, inputs) in self.layers.items()
            for kind, size in (("weight", (outputs, inputs)), ("bias", (outputs,)))
        }

    @property
    def num_weights(self) -> int:
        """Of one signal."""
        return sum(math.prod(size) for size in self.tensors.values())

    def features(self, coordinates: Tensor) -> Tensor:
        """Return [num_points, num_inputs] float32 of ``coordinates: [num_points, num_coordinates]``."""
        if not self.num_frequencies:
            return coordinates
        encoded: Tensor = PositionalEncoding(self.num_frequencies, self.spacing)(coordinates)
        return encoded

    def random_weights(self, seed: int, num_signals: int = 1) -> dict[str, Tensor]:
        """Draw weights as SIREN starts, the same for each signal: name -> [num_signals, ...] float32."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Siren(self.num_inputs, self.width, self.num_hidden, self.num_outputs, self.omega_0)
        return for_signals(network.state_dict(), num_signals)

    def zero_weights(self) -> dict[str, Tensor]:
        """Return the start that is none: what is sent are the weights themselves, name -> [...] float32."""
        return {name: torch.zeros(size) for name, size in self.tensors.items()}

    def require(self, weights: Weights, name: str) -> None:
        """Raise unless ``weights`` are one signal's of this shape.

        Raises:
            InvalidArgumentError: Naming ``name``, the wanted and the found.
        """
        require_tensors(weights, self.tensors, name)


def require_tensors(weights: Weights, tensors: Mapping[str, tuple[int, ...]], name: str) -> None:
    """Raise unless ``weights`` have the names and shapes of ``tensors``.

    Raises:
        InvalidArgumentError: Naming ``name``, the wanted and the found.
    """
    found = {key: tuple(tensor.shape) for key, tensor in weights.items()}
    if found != tensors:
        raise InvalidArgumentError(f"`{name}` must be the weights {tensors}; got {found}.")


def for_signals(weights: Weights, num_signals: int) -> dict[str, Tensor]:
    """Repeat one signal's weights: name -> [num_signals, ...]."""
    return {name: tensor.expand(num_signals, *tensor.shape).clone() for name, tensor in weights.items()}


def of_signal(weights: Weights, signal: int) -> dict[str, Tensor]:
    """Return the weights of one signal of several: name -> [...]."""
    return {name: tensor[signal] for name, tensor in weights.items()}


def activations(shape: SirenShape, weights: Weights, features: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Go through the layers.

    Args:
        shape: The architecture.
        weights: Name -> [...], or [batch, ...].
        features: [num_points, num_inputs] float32, or [batch, num_points, num_inputs].

    Yields:
        Name of each layer, and what comes out of it, [num_points, outputs] or [batch, num_points, outputs].
    """
    f = features
    for name in shape.layers:
        f = layer_output(shape, name, weights[f"{name}.weight"], weights[f"{name}.bias"], f)
        yield name, f


def layer_output(shape: SirenShape, name: str, weight: Tensor, bias: Tensor, f: Tensor) -> Tensor:
    """Return what comes out of one layer, behind its sine.

    Args:
        shape: The architecture.
        name: Of the layer; the output has no sine.
        weight: [outputs, inputs], or [batch, outputs, inputs].
        bias: [outputs], or [batch, outputs].
        f: [num_points, inputs], or [batch, num_points, inputs].
    """
    if name == "output":
        return f @ weight.mT + bias[..., None, :]
    return torch.sin(f @ (shape.omega_0 * weight).mT + shape.omega_0 * bias[..., None, :])  # few weights, many points


def signal_of(shape: SirenShape, weights: Weights, features: Tensor) -> Tensor:
    """Return the signals of some weights, [num_points, num_outputs], or [batch, num_points, num_outputs].

    Example:
        >>> shape = SirenShape(width=8)
        >>> signal_of(shape, shape.random_weights(1, num_signals=5), shape.features(torch.zeros(4, 2))).shape
        torch.Size([5, 4, 3])
    """
    *_, (_, y) = activations(shape, weights, features)
    return y


def mean_squared_errors(y: Tensor, target: Tensor) -> Tensor:
    """Return [batch], the mean over points and outputs of ``y`` and ``target: [batch, num_points, num_outputs]``.

    Equation 7 sums over the colours; the authors' code takes the mean, as PSNR does, and so do we: lambda is theirs.
    """
    return (y - target).square().mean(dim=(1, 2))
