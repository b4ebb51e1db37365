r"""Overfitting SIRENs, each to one signal.

    theta_(t+1) = theta_t - rate Adam(grad L),  L = MSE(x, f_theta(p)) + lambda |theta - reference|_1
                                                reference: 0 (eq. 8), or theta_0 of a meta-learned start (eq. 10)

The rate halves where the loss has not improved for `patience` steps (by 1e-4 of itself, as PyTorch's scheduler means
it), and a signal is done after `stop_after` such steps. From a meta-learned start the rate grows linearly over
`warm_up` steps. The weights of the lowest loss are kept. Each signal has its own rate and its own end, so that it never
depends on the others of its batch.

Source: INRIC, equations 6 to 10, table 3 and section 6.2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from shared.errors import InvalidArgumentError
from shared.inr.siren import SirenShape, Weights, mean_squared_errors, signal_of

IMPROVEMENT = 1e-4  # relative, below which a loss has not improved
BETAS, EPSILON = (0.9, 0.999), 1e-8  # Adam's

Report: TypeAlias = Callable[[int, int], None]  # steps done, steps in all


@dataclass(frozen=True, slots=True)
class OverfitOptions:
    """How to overfit; the defaults are INRIC's from a random start.

    Attributes:
        num_steps: At most; each sees all points.
        learning_rate: Adam's, at first.
        patience: Steps without improvement before the rate is multiplied by ``factor``.
        factor: See ``patience``.
        stop_after: Steps without improvement after which a signal is done.
        warm_up: Steps over which the rate grows; 100 from a meta-learned start.
        l1: lambda.
    """

    num_steps: int = 25_000
    learning_rate: float = 5e-4
    patience: int = 500
    factor: float = 0.5
    stop_after: int = 5_000
    warm_up: int = 0
    l1: float = 1e-5


def warm_up_of(num_steps: int) -> int:
    """Return the steps of warm-up from a meta-learned start: INRIC's 100 (section 6.2), or a tenth of all, ours.

    Example:
        >>> warm_up_of(25_000), warm_up_of(50)
        (100, 5)
    """
    return min(100, num_steps // 10)


@dataclass(frozen=True, slots=True)
class Overfitted:
    """What overfitting found.

    Attributes:
        weights: Name -> [batch, ...] float32, of the lowest loss.
        loss: [batch] float32, that loss.
        num_steps: Taken until every signal was done.
    """

    weights: dict[str, Tensor]
    loss: Tensor
    num_steps: int


def overfit(
    shape: SirenShape,
    features: Tensor,
    target: Tensor,
    start: Weights,
    options: OverfitOptions,
    reference: Weights | None = None,
    through: Callable[[Weights], Weights] | None = None,
    report: Report | None = None,
) -> Overfitted:
    """Overfit a network to each signal.

    Args:
        shape: The architecture.
        features: [num_points, num_inputs] float32, see `SirenShape.features`.
        target: [batch, num_points, num_outputs] float32, the signals.
        start: Name -> [batch, ...] float32, weights to start from.
        options: How.
        reference: Name -> [...], weights that the L1 norm is taken from; None: from 0.
        through: What stands between the weights and the network, a quantiser say; None: nothing.
        report: Called after every step.

    Returns:
        The best weights, before ``through``.

    Raises:
        InvalidArgumentError: If shapes do not fit together.
    """
    wanted = (len(features), shape.num_outputs)
    if target.ndim != 3 or tuple(target.shape[1:]) != wanted:
        raise InvalidArgumentError(f"`target` must be [batch, {wanted[0]}, {wanted[1]}]; got {list(target.shape)}.")
    weights = {name: tensor.detach().clone().requires_grad_() for name, tensor in start.items()}
    adam = _Adam(weights)
    course = _Course(weights, len(target), options, target.device)
    step = 0
    for step in range(1, options.num_steps + 1):
        y = signal_of(shape, through(weights) if through else weights, features)
        loss = mean_squared_errors(y, target)
        if options.l1:
            loss = loss + options.l1 * _l1_norms(weights, reference)
        gradients = torch.autograd.grad(loss.sum(), list(weights.values()))
        course.record(loss.detach(), weights)
        if course.all_done:
            break
        adam.step(gradients, course.rates(step))
        if report:
            report(step, options.num_steps)
    with torch.no_grad():  # the last step's weights have had no loss yet
        loss = mean_squared_errors(signal_of(shape, through(weights) if through else weights, features), target)
        course.record(loss + options.l1 * _l1_norms(weights, reference), weights)
    return Overfitted(course.best_weights, course.best_loss, step)


def _l1_norms(weights: Weights, reference: Weights | None) -> Tensor:
    """Return [batch], the L1 norms of all weights, or of their differences from the reference."""
    differences = (tensor if reference is None else tensor - reference[name] for name, tensor in weights.items())
    return torch.stack([tensor.abs().flatten(1).sum(dim=1) for tensor in differences]).sum(dim=0)


class _Adam:
    """Adam with a rate for each signal (D. P. Kingma, J. Ba, ICLR 2015).

    Args:
        weights: Name -> [batch, ...]; changed in place.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self._weights = list(weights.values())
        self._mean = [torch.zeros_like(tensor) for tensor in self._weights]
        self._square = [torch.zeros_like(tensor) for tensor in self._weights]
        self._steps = 0

    @torch.no_grad()
    def step(self, gradients: tuple[Tensor, ...], rates: Tensor) -> None:
        """Take one step; ``rates: [batch]``."""
        self._steps += 1
        first, second = (1 - beta**self._steps for beta in BETAS)
        for tensor, gradient, mean, square in zip(self._weights, gradients, self._mean, self._square, strict=True):
            mean.lerp_(gradient, 1 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
            rate = (rates / first).view(-1, *[1] * (tensor.ndim - 1))
            tensor.sub_(rate * mean / ((square / second).sqrt_().add_(EPSILON)))


class _Course:
    """Where each signal stands: its rate, its best weights, whether it is done.

    Args:
        weights: Name -> [batch, ...], the start.
        num_signals: batch.
        options: See `overfit`.
        device: Of the weights.
    """

    def __init__(self, weights: Weights, num_signals: int, options: OverfitOptions, device: torch.device) -> None:
        self._options = options
        self.best_weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
        self.best_loss = torch.full((num_signals,), torch.inf, device=device)
        self._plateau = self.best_loss.clone()
        self._since_plateau = torch.zeros(num_signals, dtype=torch.int64, device=device)
        self._since_best = self._since_plateau.clone()
        self._rates = torch.full((num_signals,), options.learning_rate, device=device)
        self._done = torch.zeros(num_signals, dtype=torch.bool, device=device)

    @property
    def all_done(self) -> bool:
        """Whether no signal is left."""
        return bool(self._done.all())

    @torch.no_grad()
    def record(self, loss: Tensor, weights: Weights) -> None:
        """Note ``loss: [batch]`` of some weights."""
        better = (loss < self.best_loss) & ~self._done
        self.best_loss = torch.where(better, loss, self.best_loss)
        for name, best in self.best_weights.items():
            best.copy_(torch.where(better.view(-1, *[1] * (best.ndim - 1)), weights[name], best))
        improved = loss < self._plateau * (1 - IMPROVEMENT)
        self._plateau = torch.where(improved, loss, self._plateau)
        self._since_plateau = torch.where(improved, 0, self._since_plateau + 1)
        self._since_best = torch.where(improved, 0, self._since_best + 1)
        lower = self._since_plateau > self._options.patience
        self._rates = torch.where(lower, self._rates * self._options.factor, self._rates)
        self._since_plateau = torch.where(lower, 0, self._since_plateau)
        self._done |= self._since_best > self._options.stop_after

    def rates(self, step: int) -> Tensor:
        """Return [batch], the rates of step 1, 2 ...; 0 where a signal is done."""
        warm = min(1.0, step / self._options.warm_up) if self._options.warm_up else 1.0
        return torch.where(self._done, 0.0, self._rates * warm)
