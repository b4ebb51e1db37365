from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shared.channels import load_channels
from shared.channels.card import read_dataset_card
from shared.channels.tr38901 import generate, settings_of
from shared.errors import InvalidArgumentError
from shared.experiments.generate import generate_tr38901, plan, split_seed

SMALL = replace(settings_of(None, "tdl-a"), num_tx_ant=2, num_subcarriers=32, num_delay_taps=8)


def test_without_splits_there_is_one_file_with_the_seed_as_given() -> None:
    (one,) = plan(Path("data/mine.npz"), 30, 7, [])
    assert (one.path, one.num_channels, one.seed) == (Path("data/mine.npz"), 30, 7)
    assert one.arguments == "--num-channels 30 --seed 7 --out mine.npz"


def test_each_split_is_a_file_with_a_seed_of_its_own_that_its_name_and_the_seed_decide() -> None:
    train, test = plan(Path("data/mine.npz"), 1, 7, ["train=20", "test=10"])
    assert (train.path, train.num_channels) == (Path("data/mine-train.npz"), 20)
    assert (test.path, test.num_channels) == (Path("data/mine-test.npz"), 10)
    assert train.arguments == "--split train=20 --seed 7 --out mine.npz"
    assert plan(Path("mine.npz"), 1, 7, ["test=10"])[0].seed == test.seed
    seeds = {split_seed(seed, name) for seed in range(100) for name in ("train", "test", "validation")}
    assert len(seeds) == 300
    assert all(0 <= seed < 2**48 for seed in seeds)


@pytest.mark.parametrize("split", ["train", "train=", "=3", "train=0", "train=-1", "tr ain=3", "a/b=3", "train=1e3"])
def test_a_split_that_cannot_be_read_is_refused(split: str) -> None:
    with pytest.raises(InvalidArgumentError, match="`split` must be NAME=COUNT"):
        plan(Path("mine.npz"), 1, 1, [split])


def test_a_split_named_twice_and_a_file_that_is_no_npz_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`split` must name each split once; got 'a' twice"):
        plan(Path("mine.npz"), 1, 1, ["a=1", "b=1", "a=2"])
    with pytest.raises(InvalidArgumentError, match=r"`out` must end in \.npz; got 'mine\.mat'"):
        plan(Path("mine.mat"), 1, 1, [])


def test_splits_share_no_channel_and_their_cards_say_how_they_were_made(tmp_path: Path) -> None:
    pytest.importorskip("sionna.phy")
    made = {}
    for split in plan(tmp_path / "mine.npz", 1, 7, ["train=300", "test=100"]):
        steps: list[int] = []
        card = generate_tr38901(SMALL, "--scenario tdl-a", split, steps.append)
        assert sum(steps) == split.num_channels
        assert card == read_dataset_card(split.path.with_suffix(".card.json"))
        assert card.configuration["seed"] == split.seed
        assert card.recipe == f"csi-lab data generate tr38901 --scenario tdl-a {split.arguments}"
        channels = load_channels(str(split.path))
        made[card.name] = channels.h
        wanted = torch.cat([crop_loss for _, crop_loss in generate(SMALL, split.num_channels, split.seed)])
        assert channels.crop_loss is not None
        assert torch.allclose(channels.crop_loss, wanted, rtol=0, atol=1.1e-7)
        assert card.crop_loss == round(float(wanted.mean()), 5)
    train, test = made["mine-train"].flatten(1), made["mine-test"].flatten(1)
    assert (len(train), len(test)) == (300, 100)
    likeness = (train @ test.mH).abs() / (train.norm(dim=1)[:, None] * test.norm(dim=1))
    assert float(likeness.max()) < 0.999


def test_a_card_of_a_moving_ue_says_that_reports_are_correlated_and_how_far_apart_they_are(tmp_path: Path) -> None:
    pytest.importorskip("sionna.phy")
    settings = replace(SMALL, speed_m_s=1.5, reports_per_drop=5, report_interval_ms=2.0)
    (split,) = plan(tmp_path / "mine.npz", 20, 1, [])
    card = generate_tr38901(settings, "", split, lambda _: None)
    assert card.time_correlation
    assert card.configuration["reports_per_drop"] == 5
    assert card.configuration["report_interval_ms"] == 2.0
    h = load_channels(str(split.path)).h.reshape(4, 5, -1)
    neighbours = (h[:, :-1].conj() * h[:, 1:]).sum(dim=-1).abs()
    assert float(neighbours.min() / torch.tensor(h.shape[-1])) > 0.7


def test_an_interrupted_run_leaves_what_was_there(tmp_path: Path) -> None:
    pytest.importorskip("sionna.phy")
    (split,) = plan(tmp_path / "mine.npz", 600, 1, [])

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_tr38901(SMALL, "", split, interrupt)
    assert list(tmp_path.iterdir()) == []
    split.path.write_bytes(b"older")
    with pytest.raises(KeyboardInterrupt):
        generate_tr38901(SMALL, "", split, interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npz"]
    assert split.path.read_bytes() == b"older"
