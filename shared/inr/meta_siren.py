r"""MetaSIREN: weights that every signal of a kind starts from, and how far to step from there.

    inner loop (`adapt`): phi_0 = theta;  phi_(j+1) = phi_j - alpha_j * grad MSE(x, f_phi_j(p)),  j = 0 ... k-1
    outer loop (`meta_learn`): (theta, alpha) by Adam on the mean over signals of MSE(x, f_phi_k(p)),
                               through the inner loop's gradients, or past them (`first_order`)

All weights are adapted. The rates alpha are one number for all, learned or not, or one a weight, or one a weight and
step. The start of the lowest validation loss is kept; where that has not improved for `patience` validations, the outer
rate halves.

Sources: INRIC, algorithms 1 and 2, section 6.3 and, for the two rates that its table lost, the authors' scripts; V.
Sitzmann et al., "MetaSDF", NeurIPS 2020; C. Finn et al., "Model-agnostic meta-learning", ICML 2017.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from shared.errors import InvalidArgumentError
from shared.inr.siren import SirenShape, mean_squared_errors, of_signal, signal_of

RateKind = Literal["static", "global", "per-parameter", "per-parameter-per-step"]


@dataclass(frozen=True, slots=True)
class MetaStart:
    """What MetaSIREN learns.

    Attributes:
        weights: Name -> [...] float32, theta_0.
        rates: Name -> [k or 1, ...] float32, alpha: an axis of steps, then those of the tensor, or none.
        num_steps: k.
    """

    weights: dict[str, Tensor]
    rates: dict[str, Tensor]
    num_steps: int


def require_start(shape: SirenShape, start: MetaStart) -> None:
    """Raise unless a start is of an architecture: float32 weights, and for each a rate, or rates, of 1 or k steps.

    Raises:
        InvalidArgumentError: Naming the tensor, the wanted and the found.
    """
    shape.require(start.weights, "start")
    for name, size in shape.tensors.items():
        rate, weight = start.rates.get(name, torch.empty(0)), start.weights[name]
        found = tuple(rate.shape)
        if found[:1] not in ((1,), (start.num_steps,)) or found[1:] not in ((), size) or start.num_steps < 1:
            wanted = f"[1 or {start.num_steps}] or [1 or {start.num_steps}, {', '.join(map(str, size))}]"
            raise InvalidArgumentError(f"rates of `{name}` must be {wanted}; got {list(found)}.")
        if (rate.dtype, weight.dtype) != (torch.float32, torch.float32):
            raise InvalidArgumentError(f"`{name}` and its rates must be float32; got {weight.dtype}, {rate.dtype}.")


@dataclass(frozen=True, slots=True)
class MetaOptions:
    """How to learn a start; the defaults are INRIC's.

    Attributes:
        num_steps: Of the outer loop.
        batch_size: Signals of a step of the outer loop.
        inner_steps: k.
        inner_rate: alpha at first.
        outer_rate: Adam's.
        rate_kind: What alpha is.
        first_order: Whether the inner gradients are taken as constants.
        validate_every: Outer steps.
        patience: Validations without improvement before the outer rate halves.
        seed: Of the first weights and of the order of the signals.
    """

    num_steps: int = 10_000
    batch_size: int = 1
    inner_steps: int = 3
    inner_rate: float = 1e-5
    outer_rate: float = 5e-5
    rate_kind: RateKind = "per-parameter-per-step"
    first_order: bool = False
    validate_every: int = 500
    patience: int = 10
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Validation:
    """How the outer loop stands.

    Attributes:
        step: Of the outer loop.
        loss: Mean over the validation signals of the loss after k inner steps.
    """

    step: int
    loss: float


MetaReport = Callable[[int, int, Validation | None], None]  # steps done, steps in all, a validation if there was one


def adapt(
    shape: SirenShape, features: Tensor, target: Tensor, start: MetaStart, create_graph: bool = False
) -> dict[str, Tensor]:
    """Take the inner steps for each signal (algorithm 2).

    Args:
        shape: The architecture.
        features: [num_points, num_inputs] float32.
        target: [batch, num_points, num_outputs] float32, the signals.
        start: What was learned.
        create_graph: Whether gradients flow through the steps' gradients.

    Returns:
        Name -> [batch, ...] float32, phi_k.
    """
    phi = {name: tensor.expand(len(target), *tensor.shape) for name, tensor in start.weights.items()}
    if not all(tensor.requires_grad for tensor in phi.values()):
        phi = {name: tensor.detach().requires_grad_() for name, tensor in phi.items()}
    for step in range(start.num_steps):
        loss = mean_squared_errors(signal_of(shape, phi, features), target).sum()
        gradients = torch.autograd.grad(loss, list(phi.values()), create_graph=create_graph)
        phi = {
            name: tensor - start.rates[name][min(step, len(start.rates[name]) - 1)] * gradient
            for (name, tensor), gradient in zip(phi.items(), gradients, strict=True)
        }
    return phi


def adapted(shape: SirenShape, features: Tensor, target: Tensor, start: MetaStart) -> dict[str, Tensor]:
    """Take the inner steps for each signal, and nothing more of them than the weights: see `adapt`."""
    return {name: tensor.detach() for name, tensor in adapt(shape, features, target, start).items()}


def meta_learn(
    shape: SirenShape,
    features: Tensor,
    signals: Tensor,
    validation: Tensor,
    options: MetaOptions,
    report: MetaReport | None = None,
) -> tuple[MetaStart, Validation]:
    """Learn a start (algorithm 1).

    Args:
        shape: The architecture.
        features: [num_points, num_inputs] float32, the same for all signals.
        signals: [num_signals, num_points, num_outputs] float32, to learn from.
        validation: [num_validation, num_points, num_outputs] float32, to choose by.
        options: How.
        report: Called after every outer step.

    Returns:
        The start of the lowest validation loss, and that loss.

    Raises:
        InvalidArgumentError: If there is no signal to learn from or to choose by.
    """
    if not len(signals) or not len(validation):
        raise InvalidArgumentError(
            f"`signals` and `validation` must hold one signal or more; got {len(signals)} and {len(validation)}."
        )
    start = _untrained(shape, options)
    rates = [] if options.rate_kind == "static" else list(dict.fromkeys(start.rates.values()))  # global: one for all
    learned = [*start.weights.values(), *rates]
    optimizer = torch.optim.Adam(learned, lr=options.outer_rate)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=options.patience)
    best = _copy(start), Validation(0, _loss_after(shape, features, validation, start))
    order = _order(len(signals), options)
    for step in range(1, options.num_steps + 1):
        target = signals[next(order)]
        phi = adapt(shape, features, target, start, create_graph=not options.first_order)
        loss = mean_squared_errors(signal_of(shape, phi, features), target).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        result = None
        if step % options.validate_every == 0 or step == options.num_steps:
            result = Validation(step, _loss_after(shape, features, validation, start))
            plateau.step(result.loss)
            if result.loss < best[1].loss:
                best = _copy(start), result
        if report:
            report(step, options.num_steps, result)
    return best


def _untrained(shape: SirenShape, options: MetaOptions) -> MetaStart:
    """Return weights and rates before the first outer step, ready to be learned."""
    weights = of_signal(shape.random_weights(options.seed), 0)
    rates = {}
    shared = torch.full((1,), options.inner_rate)
    for name, tensor in weights.items():
        if options.rate_kind in ("static", "global"):
            rates[name] = shared
        else:
            num_steps = options.inner_steps if options.rate_kind == "per-parameter-per-step" else 1
            rates[name] = torch.full((num_steps, *tensor.shape), options.inner_rate)
    for tensor in (*weights.values(), *rates.values()):
        tensor.requires_grad_()
    return MetaStart(weights, rates, options.inner_steps)


def _copy(start: MetaStart) -> MetaStart:
    weights, rates = (
        {name: tensor.detach().clone() for name, tensor in tensors.items()} for tensors in (start.weights, start.rates)
    )
    return MetaStart(weights, rates, start.num_steps)


def _loss_after(shape: SirenShape, features: Tensor, signals: Tensor, start: MetaStart) -> float:
    """Return the mean loss after the inner steps; one signal at a time, since there may be many of many points."""
    fixed = _copy(start)
    losses = [
        mean_squared_errors(signal_of(shape, adapted(shape, features, signal[None], fixed), features), signal[None])
        for signal in signals
    ]
    return float(torch.cat(losses).mean())


def _order(num_signals: int, options: MetaOptions) -> Iterator[Tensor]:
    """Yield the rows of each batch, in an order of its own a pass, without end."""
    generator = torch.Generator().manual_seed(options.seed)
    batch_size = min(options.batch_size, num_signals)
    while True:
        order = torch.randperm(num_signals, generator=generator)
        yield from order[: num_signals // batch_size * batch_size].view(-1, batch_size)
