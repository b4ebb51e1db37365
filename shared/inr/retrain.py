r"""Quantisation-aware retraining: a few small steps with the quantiser in the way.

    W_0 x + b_0 + (Q(dW) x + Q(db)),  dQ(w)/dw = 1

The start stays; the update learns through its rounding (straight-through). The grids stay too, so that retraining
behind AdaRound starts where that ended: in the middle of each chosen level.

Source: INRIC, equation 11 and table 4 (300 steps of Adam at 1e-6); Y. Bengio et al., "Estimating or propagating
gradients through stochastic neurons", 2013.
"""

from torch import Tensor

from shared.inr.overfit import OverfitOptions, Report, overfit
from shared.inr.siren import SirenShape, Weights
from shared.inr.weight_quantizer import Grid, indices_of

RETRAINING = OverfitOptions(num_steps=300, learning_rate=1e-6, patience=300, stop_after=300, l1=0.0)


def retrain(
    shape: SirenShape,
    features: Tensor,
    target: Tensor,
    start: Weights,
    update: Weights,
    grids: dict[str, Grid],
    options: OverfitOptions = RETRAINING,
    report: Report | None = None,
) -> dict[str, Tensor]:
    """Train an update on with its quantiser; never worse than it was.

    Args:
        shape: The architecture.
        features: [num_points, num_inputs] float32.
        target: [batch, num_points, num_outputs] float32.
        start: Name -> [...] float32, theta_0 (zeros for none).
        update: Name -> [batch, ...] float32, as overfitted, or the levels that AdaRound chose.
        grids: Name -> the grid of each tensor.
        options: How.
        report: Called after every step.

    Returns:
        Name -> [batch, ...] int64, indices.
    """

    def through(learned: Weights) -> Weights:
        return {name: start[name] + straight_through(tensor, grids[name]) for name, tensor in learned.items()}

    found = overfit(shape, features, target, update, options, through=through, report=report)
    return indices_of(found.weights, grids)


def straight_through(values: Tensor, grid: Grid) -> Tensor:
    """Return the levels of values, with the gradient of the values themselves: [batch, ...] float32."""
    levels = grid.value(grid.index(values.detach()))
    return levels + (values - values.detach())
