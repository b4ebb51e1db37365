"""The training loop on a problem small enough to be trained in a second."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shared.errors import DataFileError, InvalidArgumentError
from shared.training.loop import Epoch, Schedule, learning_rate, train_network

CPU = torch.device("cpu")
SCHEDULE = Schedule(epochs=4, batch_size=16, learning_rate=1e-2, warmup_steps=5, seed=3, precision="float32")
WANTED = torch.tensor([[1.0, -2.0, 0.5, 3.0], [0.0, 1.0, -1.0, 2.0]])
INPUTS = torch.randn(128, 4, generator=torch.Generator().manual_seed(5))


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.LeakyReLU(0.3), nn.Linear(16, 2))


def loss(trained: nn.Module, batch: Tensor, _: torch.Generator | None = None, _progress: float = 0) -> Tensor:
    error: Tensor = trained(batch) - batch @ WANTED.T
    return error.square().mean()


def measure(trained: nn.Module) -> float:
    assert not trained.training
    with torch.no_grad():
        return 10 * math.log10(float(loss(trained, INPUTS)))


def ignore(done: int, total: int, epoch: Epoch | None) -> None:
    pass


def train(
    checkpoint: Path,
    schedule: Schedule = SCHEDULE,
    identity: dict[str, Any] | None = None,
    loss: Callable[[nn.Module, Tensor, torch.Generator, float], Tensor] = loss,
    report: Callable[[int, int, Epoch | None], None] = ignore,
) -> tuple[nn.Module, list[Epoch]]:
    return train_network(
        network(), INPUTS, loss, measure, schedule, checkpoint, identity or {"data": "some"}, CPU, report
    )


class StopError(Exception):
    pass


def stop_after(epoch_to_stop: int) -> Callable[[int, int, Epoch | None], None]:
    def report(done: int, total: int, epoch: Epoch | None) -> None:
        if epoch and epoch.epoch == epoch_to_stop:
            raise StopError

    return report


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for (name, mine), theirs in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name


def test_the_loss_falls_and_the_averaged_network_is_measured_after_each_epoch(tmp_path: Path) -> None:
    seen: list[tuple[int, int, Epoch | None]] = []
    schedule = replace(SCHEDULE, epochs=12)
    trained, history = train(tmp_path / "c.pt", schedule, report=lambda *told: seen.append(told))
    assert [epoch.epoch for epoch in history] == list(range(1, 13))
    assert history[-1].loss < history[0].loss / 4
    assert history[-1].nmse_db == measure(trained) < history[0].nmse_db - 6
    steps = [done for done, total, epoch in seen if epoch is None]
    assert steps == list(range(1, 12 * 8 + 1))
    assert {total for _, total, _ in seen} == {96}
    assert [told for _, _, told in seen if told] == history


def test_a_training_that_was_stopped_goes_on_to_the_same_weights_bit_by_bit(tmp_path: Path) -> None:
    whole, whole_history = train(tmp_path / "whole.pt")
    for stop in (1, 3):
        with pytest.raises(StopError):
            train(tmp_path / "parts.pt", report=stop_after(stop))
    parts, parts_history = train(tmp_path / "parts.pt")
    assert_same(parts, whole)
    assert [epoch.loss for epoch in parts_history] == [epoch.loss for epoch in whole_history]


def test_a_training_that_was_stopped_within_an_epoch_repeats_the_epoch(tmp_path: Path) -> None:
    def report(done: int, total: int, epoch: Epoch | None) -> None:
        if done == 13:
            raise StopError

    with pytest.raises(StopError):
        train(tmp_path / "parts.pt", report=report)
    assert_same(train(tmp_path / "parts.pt")[0], train(tmp_path / "whole.pt")[0])


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    trained, history = train(tmp_path / "c.pt")

    def never(trained: nn.Module, batch: Tensor, _: torch.Generator, _progress: float) -> Tensor:
        raise AssertionError

    again, same = train(tmp_path / "c.pt", loss=never)
    assert_same(again, trained)
    assert same == history


def test_the_order_of_the_reports_depends_on_seed_and_epoch_alone(tmp_path: Path) -> None:
    def orders(name: str, schedule: Schedule) -> list[list[float]]:
        seen: list[Tensor] = []

        def watched(trained: nn.Module, batch: Tensor, _: torch.Generator, _progress: float) -> Tensor:
            seen.append(batch[:, 0])
            return loss(trained, batch)

        train(tmp_path / name, schedule, loss=watched)
        return torch.cat(seen).reshape(schedule.epochs, -1).tolist()

    first = orders("1.pt", SCHEDULE)
    torch.manual_seed(99)  # whatever the global generator is at
    assert orders("2.pt", replace(SCHEDULE, learning_rate=1e-3)) == first
    assert orders("3.pt", replace(SCHEDULE, epochs=2))[1] == first[1]
    assert orders("4.pt", replace(SCHEDULE, seed=4))[0] != first[0] != first[1]
    assert all(sorted(order) == sorted(INPUTS[:, 0].tolist()) for order in first)


def test_torchs_global_generator_is_left_as_it_was(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    train(tmp_path / "c.pt")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("schedule", "identity", "sentence"),
    [
        (SCHEDULE, {"data": "other"}, "wanted data 'other' \\(found 'some'\\). Remove it to train anew."),
        (SCHEDULE, {"data": "some", "model": "x"}, "wanted model 'x' \\(found None\\)"),
        (replace(SCHEDULE, epochs=9), {"data": "some"}, "wanted epochs 9 \\(found 4\\)"),
    ],
)
def test_the_checkpoint_of_another_training_is_refused(
    tmp_path: Path, schedule: Schedule, identity: dict[str, Any], sentence: str
) -> None:
    train(tmp_path / "c.pt")
    with pytest.raises(DataFileError, match=f"c.pt` is of another training: {sentence}"):
        train(tmp_path / "c.pt", schedule, identity)


def test_a_damaged_or_foreign_checkpoint_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    train(path)
    whole = path.read_bytes()
    contents: list[bytes] = [b"", b"no checkpoint", whole[: len(whole) // 2], whole[:-10]]
    for foreign in ({"other": 1}, [1, 2], {"identity": 5}):
        torch.save(foreign, path)
        contents.append(path.read_bytes())
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(DataFileError, match=r"c.pt` is not a checkpoint: .*\. Remove it to train anew.") as error:
            train(path)
        assert "\n" not in str(error.value)


def test_a_killed_write_leaves_the_checkpoint_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.pt"
    with pytest.raises(StopError):
        train(path, report=stop_after(2))
    kept = path.read_bytes()
    really_save = torch.save

    def killed_half_way(state: Any, target: Path) -> None:
        really_save(state, target)
        target.write_bytes(target.read_bytes()[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed_half_way)
    with pytest.raises(KeyboardInterrupt):
        train(path)
    assert path.read_bytes() == kept
    monkeypatch.undo()
    assert_same(train(path)[0], train(tmp_path / "whole.pt")[0])


def test_the_learning_rate_rises_linearly_and_falls_as_half_a_cosine() -> None:
    schedule = Schedule(learning_rate=0.5, final_learning_rate=0.1, warmup_steps=10)
    rates = [learning_rate(schedule, step, 1000) for step in range(1001)]
    assert rates[:10] == pytest.approx([0.05 * (step + 1) for step in range(10)])
    assert rates[505] == pytest.approx(0.3)  # half way
    assert rates[-1] == pytest.approx(0.1)
    assert max(rates) == 0.5
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert learning_rate(schedule, 0, 50) == 0.1  # a tenth of all steps at most is warm-up
    assert learning_rate(schedule, 0, 1) == 0.5


def test_the_optimiser_steps_with_the_rate_of_the_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[float] = []

    class Watched(torch.optim.Adam):
        def step(self, closure: None = None) -> None:  # type: ignore[override]
            used.append(self.param_groups[0]["lr"])
            super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Watched)
    train(tmp_path / "c.pt")
    assert used == [learning_rate(SCHEDULE, step, 32) for step in range(32)]


def test_the_averaged_weights_are_the_exponential_average_of_those_of_each_step(tmp_path: Path) -> None:
    weights: list[Tensor] = []

    def watched(trained: nn.Module, batch: Tensor, _: torch.Generator, _progress: float) -> Tensor:
        weights.append(trained.get_parameter("0.weight").detach().clone())
        return loss(trained, batch)

    schedule = replace(SCHEDULE, ema_decay=0.8)
    averaged, _ = train(tmp_path / "c.pt", schedule, loss=watched)
    state = torch.load(tmp_path / "c.pt", weights_only=True)
    after = [*weights[1:], state["network"]["0.weight"]]
    mean = weights[0].double()
    for step, weight in enumerate(after):
        decay = min(0.8, (1 + step) / (10 + step))
        mean = decay * mean + (1 - decay) * weight.double()
    torch.testing.assert_close(averaged.get_parameter("0.weight").double(), mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(averaged.get_buffer("1.running_mean"), state["network"]["1.running_mean"])


def test_a_loss_that_is_not_finite_ends_the_training_with_a_sentence_and_without_a_checkpoint(tmp_path: Path) -> None:
    def bad(trained: nn.Module, batch: Tensor, _: torch.Generator, _progress: float) -> Tensor:
        return loss(trained, batch) * torch.nan

    with pytest.raises(InvalidArgumentError, match=r"`learning_rate` 0.01 is too high: the loss is nan"):
        train(tmp_path / "c.pt", loss=bad)
    assert not (tmp_path / "c.pt").exists()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"epochs": 0}, "`epochs` must be at least 1; got 0."),
        ({"batch_size": 1}, "`batch_size` must be at least 2; got 1."),
        ({"learning_rate": 1.0}, "`learning_rate` must be in .*; got 1."),
        ({"learning_rate": 1e-9}, "`learning_rate` must be in ..final_learning_rate. = 1e-05, 1.; got 1e-09"),
        ({"learning_rate": 0.0}, "`learning_rate` must be in .0, 1.; got 0."),
        ({"ema_decay": 1.0}, "`ema_decay` must be in .0, 1.; got 1."),
        ({"ema_decay": -0.5}, "`ema_decay` must be in .0, 1.; got -0.5"),
        ({"learning_rate": math.nan}, "`learning_rate` must be in .*; got nan"),
        ({"seed": -1}, "`seed` must be in .0, 4294967296.; got -1."),
        ({"seed": 2**32}, "`seed` must be in"),
    ],
)
def test_a_schedule_that_cannot_be_trained_with_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        replace(SCHEDULE, **wrong)


def test_the_largest_seed_is_one_that_torch_takes(tmp_path: Path) -> None:
    train(tmp_path / "c.pt", replace(SCHEDULE, epochs=1, seed=2**32 - 1))


def test_more_reports_a_step_than_there_are_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`batch_size` must be at most the 128 channels; got 129."):
        train(tmp_path / "c.pt", replace(SCHEDULE, batch_size=129))
