r"""Weights <-> indices on uniform grids, one a tensor and signal.

    b >= 2: step = scale / (2^(b-1) - 1),  value = step q,        q = -(2^(b-1) - 1) ... 2^(b-1) - 1;  scale = max |w|
    b = 1:  step = 2 scale,                value = step (q + 1/2),  q = -1, 0;                          scale = mean |w|

The grids are symmetric, as in the authors' code, so that 0 is a level and all tensors' indices look alike. One scale a
tensor is sent, float16 or float32, rounded up so that nothing is clipped; where it is 0, nothing else is.

Source: INRIC, section 3.3.1, stage 2. The sign of one bit is ours (M. Rastegari et al., "XNOR-Net", ECCV 2016).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from shared.errors import InvalidArgumentError, require_in_range
from shared.inr.siren import Weights

MAX_BITS = 16
ScaleFormat = Literal["float16", "float32"]


@dataclass(frozen=True, slots=True)
class Grid:
    """The levels of one tensor.

    Attributes:
        bits: b.
        scale: [batch] float32, not negative.

    Example:
        >>> grid = Grid(bits=3, scale=torch.tensor([0.75]))
        >>> grid.index(torch.tensor([[0.3, -0.8]])), grid.value(torch.tensor([[1, -3]]))
        (tensor([[ 1, -3]]), tensor([[ 0.2500, -0.7500]]))
    """

    bits: int
    scale: Tensor

    @property
    def lowest(self) -> int:
        """Least index."""
        return -1 if self.bits == 1 else 1 - 2 ** (self.bits - 1)

    @property
    def highest(self) -> int:
        """Greatest index."""
        return 0 if self.bits == 1 else 2 ** (self.bits - 1) - 1

    @property
    def offset(self) -> float:
        """Of a level from its index, in steps."""
        return 0.5 if self.bits == 1 else 0.0

    @property
    def step(self) -> Tensor:
        """[batch] float32, between two levels."""
        return self.scale * 2 if self.bits == 1 else self.scale / self.highest

    def place(self, values: Tensor) -> Tensor:
        """Return where values lie, in steps, 0 where the scale is 0: [batch, ...] like ``values``."""
        step = self._along(values)
        return torch.where(step > 0, values / step - self.offset, 0.0)

    def index(self, values: Tensor) -> Tensor:
        """Return the nearest levels' indices, [batch, ...] int64."""
        return self.place(values).round().clamp(self.lowest, self.highest).long()

    def value(self, index: Tensor) -> Tensor:
        """Return the levels of indices, which may be soft: [batch, ...] float32."""
        return self._along(index) * (index + self.offset)

    def _along(self, values: Tensor) -> Tensor:
        return self.step.view(-1, *[1] * (values.ndim - 1))


def grids_of(update: Weights, bits: int, scale_format: ScaleFormat = "float32") -> dict[str, Grid]:
    """Return a grid for each tensor, which its values fit.

    Args:
        update: Name -> [batch, ...] float32, weights less their start.
        bits: 1 ... 16, of an index.
        scale_format: Of the scales on the wire.

    Raises:
        InvalidArgumentError: If there are no such grids, or a weight is not finite or too large for float16.
    """
    require_in_range("bits", bits, 1, MAX_BITS)
    return {name: Grid(bits, _scale(tensor, name, bits, scale_format)) for name, tensor in update.items()}


def _scale(tensor: Tensor, name: str, bits: int, scale_format: ScaleFormat) -> Tensor:
    magnitude = tensor.detach().abs().flatten(1)
    exact = (magnitude.mean(dim=1) if bits == 1 else magnitude.amax(dim=1)).cpu()
    if scale_format == "float16":
        numbers = exact.numpy().astype(np.float64)
        with np.errstate(over="ignore"):
            half = numbers.astype(np.float16)
        half = np.where(half < numbers, np.nextafter(half, np.float16(np.inf)), half)
        exact = torch.from_numpy(half.astype(np.float32))
    if not exact.isfinite().all():
        raise InvalidArgumentError(f"`update` must be finite in {scale_format}; got {name} up to {magnitude.max()}.")
    return exact.to(tensor.device)


def indices_of(update: Weights, grids: dict[str, Grid]) -> dict[str, Tensor]:
    """Round every tensor to its grid: name -> [batch, ...] int64."""
    return {name: grids[name].index(tensor) for name, tensor in update.items()}


def values_of(indices: Weights, grids: dict[str, Grid], start: Weights | None = None) -> dict[str, Tensor]:
    """Return the weights that indices stand for, behind their start: name -> [batch, ...] float32."""
    values = {name: grids[name].value(tensor) for name, tensor in indices.items()}
    return values if start is None else {name: start[name] + tensor for name, tensor in values.items()}
