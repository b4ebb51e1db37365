"""The training loop that every network shares: epochs, cosine schedule, averaged weights, resumable checkpoints.

    for each epoch: shuffle (seed, epoch) -> batches -> loss -> Adam (warm-up, cosine) -> average of the weights (EMA)
                    -> measure the averaged network -> checkpoint

The averaged weights are what is measured and kept. Source of the schedule: Loshchilov and Hutter, "SGDR", ICLR 2017.
"""

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from shared.errors import DataFileError, InvalidArgumentError

Precision = Literal["auto", "float32", "bfloat16"]

LARGEST_SEED = 2**32  # the order of an epoch is seeded by 2^20 seed + epoch, and torch takes 64 bits


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Reports a step.
        learning_rate: Adam's, after the warm-up.
        final_learning_rate: Where the cosine ends.
        warmup_steps: Steps of linear increase from 0; at most a tenth of all steps are used for it.
        ema_decay: Share of the averaged weights that a step keeps.
        seed: Seeds initial weights and order of the reports.
        precision: Of the forward pass. ``auto`` takes bfloat16 where the hardware computes in it, else float32.
        clip_norm: Largest norm of a step's gradient; None for any.
    """

    epochs: int = 20
    batch_size: int = 100
    learning_rate: float = 5e-3
    final_learning_rate: float = 1e-5
    warmup_steps: int = 300
    ema_decay: float = 0.999
    seed: int = 1
    precision: Precision = "auto"
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        for name, low in (("epochs", 1), ("batch_size", 2)):
            if getattr(self, name) < low:
                raise InvalidArgumentError(f"`{name}` must be at least {low}; got {getattr(self, name)}.")
        if not 0 < self.learning_rate < 1:
            raise InvalidArgumentError(f"`learning_rate` must be in (0, 1); got {self.learning_rate:g}.")
        if not 0 <= self.ema_decay < 1:
            raise InvalidArgumentError(f"`ema_decay` must be in [0, 1); got {self.ema_decay:g}.")
        if not 0 < self.final_learning_rate <= self.learning_rate:
            wanted = f"in [`final_learning_rate` = {self.final_learning_rate:g}, 1)"
            raise InvalidArgumentError(f"`learning_rate` must be {wanted}; got {self.learning_rate:g}.")
        if not 0 <= self.seed < LARGEST_SEED:
            raise InvalidArgumentError(f"`seed` must be in [0, {LARGEST_SEED}); got {self.seed}.")


@dataclass(frozen=True, slots=True)
class Epoch:
    """What is told after an epoch.

    Attributes:
        epoch: From 1.
        loss: Mean training loss.
        nmse_db: Of the averaged network, as ``measure`` returned it: 1 - SGCS where that is the loss.
        seconds: Wall time.
        mmd: Of the averaged network, as ``measure_mmd`` returned it; None where it is not asked for.
    """

    epoch: int
    loss: float
    nmse_db: float
    seconds: float
    mmd: float | None = None


def train_network(
    network: nn.Module,
    h: Tensor,
    loss: Callable[[nn.Module, Tensor, torch.Generator, float], Tensor],
    measure: Callable[[nn.Module], float],
    schedule: Schedule,
    checkpoint: Path,
    identity: dict[str, Any],
    device: torch.device,
    report: Callable[[int, int, Epoch | None], None],
    measure_mmd: Callable[[nn.Module], float] | None = None,
) -> tuple[nn.Module, list[Epoch]]:
    """Train, from the last checkpoint if there is one.

    Args:
        network: With its initial weights.
        h: [num_channels, ...] complex64, training split, on the host.
        loss: Of a network on a batch, a scalar; the generator, on the host, is for what it draws, the number is the
            share of all steps that are done.
        measure: NMSE in dB of a network in evaluation mode, or of its own measure. Told, not used: no epoch is chosen
            by it.
        schedule: How long and how fast.
        checkpoint: Where the state after each epoch goes.
        identity: What else must be equal for a checkpoint to be continued (model, data).
        device: Where to train.
        report: Called after each step with (steps done, steps in all, None), and after each epoch with what it gave.
        measure_mmd: How far the reconstructions of a network in evaluation mode are from channels, as distributions.

    Returns:
        The network of averaged weights, in evaluation mode on the host, and the epochs.

    Raises:
        DataFileError: If the checkpoint is of another training.
        InvalidArgumentError: If there are fewer channels than a batch holds, or the loss is not finite.
    """
    if len(h) < schedule.batch_size:
        raise InvalidArgumentError(f"`batch_size` must be at most the {len(h)} channels; got {schedule.batch_size}.")
    network = network.to(device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network).requires_grad_(requires_grad=False)
    optimizer = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    steps_per_epoch = len(h) // schedule.batch_size
    num_steps = steps_per_epoch * schedule.epochs
    bfloat16 = _uses_bfloat16(schedule.precision, device)
    identity = identity | asdict(schedule) | {"precision": "bfloat16" if bfloat16 else "float32"}
    history = _resume(checkpoint, identity, network, average, optimizer)
    dtype = torch.bfloat16 if bfloat16 else None
    for epoch in range(len(history), schedule.epochs):
        start_s, total = time.monotonic(), 0.0
        generator = torch.Generator().manual_seed((schedule.seed << 20) + epoch)
        order = torch.randperm(len(h), generator=generator)
        network.train()
        for step in range(steps_per_epoch):
            done = epoch * steps_per_epoch + step
            optimizer.param_groups[0]["lr"] = learning_rate(schedule, done, num_steps)
            rows = order[step * schedule.batch_size : (step + 1) * schedule.batch_size]
            with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
                value = loss(network, h[rows].to(device), generator, done / num_steps)
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            if schedule.clip_norm is not None:
                nn.utils.clip_grad_norm_(network.parameters(), schedule.clip_norm)
            optimizer.step()
            _average(average, network, min(schedule.ema_decay, (1 + done) / (10 + done)))
            total += float(value.detach())
            report(done + 1, num_steps, None)
        if not math.isfinite(total):
            raise InvalidArgumentError(f"`learning_rate` {schedule.learning_rate:g} is too high: the loss is {total}.")
        average.eval()
        nmse_db, mmd = measure(average), measure_mmd(average) if measure_mmd else None
        told = Epoch(epoch + 1, total / steps_per_epoch, nmse_db, time.monotonic() - start_s, mmd)
        history.append(told)
        _save(checkpoint, identity, network, average, optimizer, history)
        report(num_steps * (epoch + 1) // schedule.epochs, num_steps, told)
    return average.eval().to("cpu"), history


def samples_seen(num_channels: int, schedule: Schedule, history: list[Epoch]) -> int:
    """Return how many reports the steps of all epochs held; what is left over of an epoch is not seen in it."""
    return len(history) * (num_channels // schedule.batch_size) * schedule.batch_size


def learning_rate(schedule: Schedule, step: int, num_steps: int) -> float:
    """Return the learning rate of a step: linear warm-up, then half a cosine.

    Example:
        >>> schedule = Schedule(learning_rate=1.0 / 2, final_learning_rate=0.1, warmup_steps=10)
        >>> [round(learning_rate(schedule, step, 110), 3) for step in (0, 9, 10, 60, 110)]
        [0.05, 0.5, 0.5, 0.3, 0.1]
    """
    warmup = min(schedule.warmup_steps, num_steps // 10)
    if step < warmup:
        return schedule.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, num_steps - warmup)
    low, high = schedule.final_learning_rate, schedule.learning_rate
    return low + (high - low) * (1 + math.cos(math.pi * share)) / 2


def _uses_bfloat16(precision: Precision, device: torch.device) -> bool:
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())  # torch has no public question for it


@torch.no_grad()
def _average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the network's; running statistics are averages already and are copied."""
    for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(weight, 1 - decay)
    for own, other in zip(average.buffers(), network.buffers(), strict=True):
        own.copy_(other)


def _save(
    path: Path,
    identity: dict[str, Any],
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: list[Epoch],
) -> None:
    """Write the checkpoint so that a kill leaves the old one or the new one."""
    state = {
        "identity": identity,
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": [asdict(epoch) for epoch in history],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    torch.save(state, partial)
    os.replace(partial, path)


def _resume(
    path: Path, identity: dict[str, Any], network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> list[Epoch]:
    """Load the checkpoint into what is trained; return the epochs done."""
    if not path.is_file():
        return []
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        found = dict(state["identity"])
    except Exception as error:  # a cut-off file: zipfile, pickle and torch each raise their own
        why = " ".join(str(error).split())
        raise DataFileError(f"`{path}` is not a checkpoint: {why}. Remove it to train anew.") from error
    if found != identity:
        different = [key for key in identity | found if identity.get(key) != found.get(key)]
        wanted = ", ".join(f"{key} {identity.get(key)!r} (found {found.get(key)!r})" for key in different)
        raise DataFileError(f"`{path}` is of another training: wanted {wanted}. Remove it to train anew.")
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return [Epoch(**epoch) for epoch in state["history"]]
