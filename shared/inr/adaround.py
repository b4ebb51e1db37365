r"""AdaRound: each weight up or down so that what comes out of its layer changes least, not the weight itself.

    q = floor(w / step) + h(V),  h(V) = clip(1.2 sigmoid(V) - 0.1, 0, 1)
    min over V of |f(W x) - f(W_q x_q)|^2 + lambda sum (1 - |2 h(V) - 1|^beta),  beta from 20 to 2

Layer by layer: x_q is what the layers before give with the weights already chosen, x what they gave. The layer is taken
whole, start, update and sine: sin(omega_0 ((W_0 + dW) x + b_0 + db)); V belongs to dW and db alone (INRIC eq. 11). A
term of the regulariser is left out over the first fifth, as its authors do.

Sources: M. Nagel et al., "Up or down? Adaptive rounding for post-training quantization", ICML 2020; INRIC, section 3.3
and table 4 (1,000 iterations, lambda 1e-4). Ours: biases are rounded so too, and a step sees some of the points.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.inr.overfit import Report
from shared.inr.siren import SirenShape, Weights, layer_output
from shared.inr.weight_quantizer import Grid, values_of

ZETA, GAMMA = 1.1, -0.1  # the ends of the stretched sigmoid
BETAS = (20.0, 2.0)
WARM_START = 0.2  # share of the iterations without regulariser


@dataclass(frozen=True, slots=True)
class AdaRoundOptions:
    """How to round.

    Attributes:
        num_iterations: Of a layer.
        regularizer: lambda.
        learning_rate: Adam's, on V.
        num_points: Of a step, drawn anew each time; all if there are fewer.
        seed: Of the draws.
    """

    num_iterations: int = 1_000
    regularizer: float = 1e-4
    learning_rate: float = 1e-2
    num_points: int = 2_048
    seed: int = 1


def adaround(
    shape: SirenShape,
    features: Tensor,
    start: Weights,
    update: Weights,
    grids: Mapping[str, Grid],
    options: AdaRoundOptions,
    report: Report | None = None,
) -> dict[str, Tensor]:
    """Choose the indices of an update.

    Args:
        shape: The architecture.
        features: [num_points, num_inputs] float32.
        start: Name -> [...] float32, theta_0 (zeros for none), which the decoder knows.
        update: Name -> [batch, ...] float32.
        grids: Name -> the grid of each tensor.
        options: How.
        report: Called after every iteration of every layer.

    Returns:
        Name -> [batch, ...] int64, one of the two indices beside each weight.
    """
    num_signals = len(next(iter(update.values())))
    exact, rounded = (features.expand(num_signals, *features.shape) for _ in range(2))
    indices: dict[str, Tensor] = {}
    generator = torch.Generator().manual_seed(options.seed)
    total = options.num_iterations * len(shape.layers)
    for number, name in enumerate(shape.layers):
        layer = _Layer(shape, name, start, update, grids)
        wanted = layer.output({key: update[key] for key in layer.keys}, exact)
        soft = layer.soft_start()
        optimizer = torch.optim.Adam(list(soft.values()), lr=options.learning_rate)
        for iteration in range(options.num_iterations):
            points = _some(len(features), options.num_points, generator)
            y = layer.output(layer.values(_rectified(soft)), rounded[:, points])
            loss = (y - wanted[:, points]).square().sum(dim=2).mean(dim=1).sum()
            loss = loss + options.regularizer * _pull(soft, iteration / options.num_iterations)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if report:
                report(number * options.num_iterations + iteration + 1, total)
        with torch.no_grad():
            chosen = layer.indices({key: (value > 0).float() for key, value in soft.items()})
            exact, rounded = wanted, layer.output(values_of(chosen, layer.grids), rounded)
            indices |= chosen
    return indices


class _Layer:
    """One layer's start, update and grids.

    Args:
        shape: The architecture.
        name: Of the layer.
        start: See `adaround`.
        update: See `adaround`.
        grids: See `adaround`.
    """

    def __init__(
        self, shape: SirenShape, name: str, start: Weights, update: Weights, grids: Mapping[str, Grid]
    ) -> None:
        self._shape, self._name = shape, name
        self.keys = (f"{name}.weight", f"{name}.bias")
        self.grids = {key: grids[key] for key in self.keys}
        self._start = {key: start[key] for key in self.keys}
        self._place = {key: grids[key].place(update[key]) for key in self.keys}

    def soft_start(self) -> dict[str, Tensor]:
        """Return the V at which the weights are as they were: name -> [batch, ...] float32, to be learned."""
        soft = {}
        for key, place in self._place.items():
            share = ((place - place.floor() - GAMMA) / (ZETA - GAMMA)).clamp(1e-4, 1 - 1e-4)
            soft[key] = share.logit().requires_grad_()
        return soft

    def indices(self, up: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the indices below, and as much above as ``up`` says: name -> [batch, ...] int64."""
        return {key: self._among(key, up[key]).round().long() for key in self.keys}

    def values(self, up: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the update at soft indices: name -> [batch, ...] float32."""
        return {key: self.grids[key].value(self._among(key, up[key])) for key in self.keys}

    def output(self, update: Weights, f: Tensor) -> Tensor:
        """Return what comes out with an update, [batch, num_points, outputs]."""
        weight, bias = (self._start[key] + update[key] for key in self.keys)
        return layer_output(self._shape, self._name, weight, bias, f)

    def _among(self, key: str, up: Tensor) -> Tensor:
        grid = self.grids[key]
        return (self._place[key].floor() + up).clamp(grid.lowest, grid.highest)


def _rectified(soft: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return h(V)."""
    return {key: ((ZETA - GAMMA) * value.sigmoid() + GAMMA).clamp(0, 1) for key, value in soft.items()}


def _pull(soft: Mapping[str, Tensor], progress: float) -> Tensor:
    """Return what pulls every h(V) to 0 or 1, after the warm start."""
    if progress < WARM_START:
        return torch.zeros(())
    beta = BETAS[0] + (BETAS[1] - BETAS[0]) * (progress - WARM_START) / (1 - WARM_START)
    rectified = _rectified(soft)
    return torch.stack([(1 - (2 * up - 1).abs().pow(beta)).sum() for up in rectified.values()]).sum()


def _some(num_points: int, most: int, generator: torch.Generator) -> Tensor:
    """Return the rows of some points, [min(most, num_points)] int64."""
    if num_points <= most:
        return torch.arange(num_points)
    return torch.randint(num_points, (most,), generator=generator)
