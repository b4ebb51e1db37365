"""The equations of RD-JSCC, section IV, and what a refiner promises."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shared.errors import DataFileError, InvalidArgumentError
from shared.model_files import TrainingRecord
from shared.network_settings import UNetSettings
from shared.networks.unet import UNet
from shared.refinement import RefinerCard, RefinerFile, load_refiner, make_refiner, save_refiner
from shared.refinement.card import RefinerKind
from shared.refinement.diffusion import Diffusion
from shared.refinement.schedule import ScheduleName, abar_of, steps_of
from shared.rng import Randomness

CPU = torch.device("cpu")


def refiner_file(name: str = "mine", kind: str = "residual", *, seed: int = 1) -> RefinerFile:
    schedule, final_abar = ("stopped", 0.4) if kind == "residual" else ("cosine", 6.06e-6)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet(4, 8, (1, 2), 1)
        nn.init.normal_(unet.last[-1].get_parameter("weight"), std=0.05)
    card = RefinerCard.model_validate(
        {
            "name": name, "kind": kind, "title": "t", "source": "s", "sha256": "0" * 64, "codec": "klt",
            "codec_sha256": "1" * 64, "domain": "angular-delay", "num_rx_ant": 1, "num_tx_ant": 32,
            "num_subcarriers": 32, "rate": 64, "link": "ideal", "snr_db": (-10, 10), "schedule": schedule,
            "num_train_steps": 20, "final_abar": final_abar,
            "unet": UNetSettings(width=8, multipliers=(1, 2), num_blocks=1), "num_parameters": 0, "macs_per_step": 1,
            "recipe": "r", "training_data": "d", "test_data": "d",
            "training": TrainingRecord(loss="nmse", epochs=1, samples_seen=1, unquantized_nmse_db=0), "measured": [],
        }
    )  # fmt: skip
    return RefinerFile(card, {f"network.unet.{key}": value for key, value in unet.state_dict().items()})


def planes(seed: int) -> Tensor:
    return torch.randn(2, 2, 32, 32, generator=torch.Generator().manual_seed(seed))


def randomness(count: int, run: int = 1) -> Randomness:
    return Randomness(run, np.full(count, 3), np.arange(count))


@pytest.mark.parametrize("name", ["cosine", "stopped"])
def test_the_last_step_of_the_residual_process_is_the_coarse_channel_and_noise(name: str) -> None:
    diffusion = Diffusion("residual", abar_of("cosine" if name == "cosine" else "stopped", 20))
    h, coarse, eps = planes(1), planes(2), planes(3)
    x = diffusion.noised(h, coarse, torch.tensor([20, 20]), eps)
    final = float(diffusion.abar[-1])
    torch.testing.assert_close(x, final**0.5 * coarse + (1 - final) ** 0.5 * eps, rtol=1e-4, atol=1e-5)


def test_the_first_step_is_nearly_the_channel_and_the_generative_process_forgets_the_coarse_one() -> None:
    h, coarse, eps = planes(1), planes(2), planes(3)
    generative = Diffusion("generative", abar_of("cosine", 20))
    n = torch.tensor([7, 20])
    assert torch.equal(generative.noised(h, coarse, n, eps), generative.noised(h, planes(9), n, eps))
    x = Diffusion("residual", abar_of("stopped", 20)).noised(h, coarse, torch.tensor([1, 1]), eps)
    assert (x - h).square().mean() < 0.02


class Oracle(nn.Module):
    """Predicts the true channel, whatever it sees, and remembers what it saw."""

    def __init__(self, h: Tensor) -> None:
        super().__init__()
        self.h, self.levels, self.seen = h, list[float](), list[Tensor]()

    def forward(self, x: Tensor, level: Tensor, snr_db: Tensor) -> Tensor:
        self.levels.append(float(level[0]))
        self.seen.append(x)
        return self.h


@pytest.mark.parametrize(("kind", "name"), [("residual", "stopped"), ("residual", "cosine"), ("generative", "cosine")])
@pytest.mark.parametrize("num_steps", [1, 2, 5, 20])
def test_a_sampler_with_a_perfect_network_stays_on_the_trained_process_and_ends_at_the_channel(
    kind: RefinerKind, name: ScheduleName, num_steps: int
) -> None:
    """x_n that the network sees is x_n of the training with the same noise, at every station (eq. 7)."""
    diffusion = Diffusion(kind, abar_of(name, 20))
    h, coarse, eps = planes(1), planes(2), planes(3)
    oracle = Oracle(h)
    torch.testing.assert_close(diffusion.sample(oracle, coarse, torch.zeros(2), eps, num_steps), h)
    stations = steps_of(20, num_steps)[:-1]
    assert len(oracle.levels) == num_steps == len(stations)
    for n, level, seen in zip(stations, oracle.levels, oracle.seen, strict=True):
        assert level == pytest.approx(1 - float(diffusion.abar[n]))
        trained = diffusion.noised(h, coarse, torch.tensor([n, n]), eps)
        torch.testing.assert_close(seen[:, :2], trained, rtol=0, atol=1e-4 if kind == "residual" else 0.01)
        assert torch.equal(seen[:, 2:], coarse)


@pytest.mark.parametrize("kind", ["residual", "generative"])
def test_a_sample_depends_on_run_ue_and_sequence_alone(kind: str) -> None:
    refiner = make_refiner(refiner_file(kind=kind), CPU)
    coarse = torch.randn(5, 1, 32, 32, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    snr_db = np.linspace(-5, 5, 5).astype(np.float32)
    together = refiner.refine(coarse, snr_db, 2, randomness(5))
    rows = np.array([3, 1])
    some = refiner.refine(coarse[torch.from_numpy(rows)], snr_db[rows], 2, randomness(5).of(rows))
    torch.testing.assert_close(some, together[torch.from_numpy(rows)], rtol=1e-4, atol=1e-4)
    assert torch.equal(refiner.refine(coarse, snr_db, 2, randomness(5)), together)
    assert not torch.allclose(refiner.refine(coarse, snr_db, 2, randomness(5, run=2)), together)


def test_steps_and_channels_that_are_not_the_cards_are_refused() -> None:
    refiner = make_refiner(refiner_file(), CPU)
    coarse, snr_db = torch.zeros(1, 1, 32, 32, dtype=torch.complex64), np.zeros(1, dtype=np.float32)
    for num_steps in (0, 21):
        with pytest.raises(InvalidArgumentError, match=r"`num_steps` of refiner mine must be in \[1, 20\]"):
            refiner.refine(coarse, snr_db, num_steps, randomness(1))
    with pytest.raises(InvalidArgumentError, match="`h_coarse` must be"):
        refiner.refine(coarse[:, :, :16], snr_db, 1, randomness(1))


def test_a_file_comes_back_as_it_was_and_a_damaged_or_foreign_one_is_refused(tmp_path: Path) -> None:
    saved = save_refiner(refiner_file(), tmp_path)
    again = load_refiner(str(tmp_path / "mine.safetensors"))
    assert again.card == saved.card
    assert again.card.num_parameters == sum(tensor.numel() for tensor in saved.tensors.values())
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in saved.tensors.items())
    with pytest.raises(DataFileError, match="`refiner` must be a shipped refiner"):
        load_refiner("nothing")
    (tmp_path / "mine.safetensors").write_bytes(b"other")
    with pytest.raises(DataFileError, match="is not the file of its card"):
        load_refiner(str(tmp_path / "mine.safetensors"))
    (tmp_path / "mine.card.json").write_text("{}")
    with pytest.raises(DataFileError, match="is not the card of a refiner"):
        load_refiner(str(tmp_path / "mine.safetensors"))


def test_a_generative_refiner_does_not_start_from_a_schedule_that_is_stopped() -> None:
    with pytest.raises(ValueError, match="`schedule` of a generative refiner must be cosine"):
        RefinerCard.model_validate(refiner_file(kind="generative").card.model_dump() | {"schedule": "stopped"})


def test_weights_that_are_not_the_cards_or_not_finite_are_refused() -> None:
    file = refiner_file()
    larger = file.card.model_copy(update={"unet": UNetSettings(width=16, multipliers=(1, 2), num_blocks=1)})
    with pytest.raises(DataFileError, match="is no U-Net of its card's settings"):
        make_refiner(RefinerFile(larger, file.tensors), CPU)
    with pytest.raises(DataFileError, match=r"is no U-Net of its card's settings: .*network\.other"):
        make_refiner(RefinerFile(file.card, file.tensors | {"network.other": torch.zeros(1)}), CPU)
    broken = file.tensors | {"network.unet.first.bias": torch.full((8,), torch.inf)}
    with pytest.raises(DataFileError, match="weights of refiner mine must be finite"):
        make_refiner(RefinerFile(file.card, broken), CPU)
