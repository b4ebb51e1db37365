"""Training a refiner behind codecs of bits and of symbols: tiny U-Nets on few channels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet
from shared.errors import InvalidArgumentError
from shared.model_files import load_model
from shared.network_settings import UNetSettings
from shared.refinement import load_refiner, make_refiner, save_refiner
from shared.rng import Randomness
from shared.training.frozen_codec import FrozenCodec
from shared.training.loop import Epoch, Schedule
from shared.training.refiner import RefinerOptions, train_refiner
from shared.training.refiner_file import as_refiner_file

OPTIONS = RefinerOptions(
    kind="residual",
    link="digital:soft",
    rate=64,
    snr_db=(0.0, 10.0),
    cnr_db=None,
    noise="stopped",
    num_train_steps=5,
    unet=UNetSettings(width=8, multipliers=(1, 2), num_blocks=1),
    schedule=Schedule(epochs=2, batch_size=20, learning_rate=3e-3, ema_decay=0.5, precision="float32"),
    num_measured=8,
)


def split(indoor: ChannelSet) -> tuple[ChannelSet, ChannelSet]:
    train = replace(indoor.part(0, 60), name="mine", sha256="1" * 64)
    return train, replace(indoor.part(60, 90), name="other", sha256="2" * 64)


def history_of(indoor: ChannelSet, folder: Path, codec: str, options: RefinerOptions, stop: int = 0) -> list[Epoch]:
    model, (mine, other) = load_model(codec), split(indoor)

    def report(done: int, total: int, epoch: Epoch | None) -> None:
        if epoch and epoch.epoch == stop:
            raise KeyboardInterrupt

    unet, history = train_refiner(model, mine, other, options, folder / "r.checkpoint.pt", report)
    file = as_refiner_file("r", model, unet, options, mine.identity, other, "the command", history, 120)
    save_refiner(file, folder)
    return history


@pytest.mark.parametrize(
    ("codec", "link", "rate"),
    [("klt", "digital:soft", 64), ("csinet", "digital:soft:qpsk:conv-1/2", 64), ("klt-analog", "analog:uplink", 16)],
)
def test_a_refiner_is_trained_behind_any_codec_by_the_same_call(
    codec: str, link: str, rate: int, indoor: ChannelSet, tmp_path: Path
) -> None:
    history_of(
        indoor, tmp_path, codec, replace(OPTIONS, link=link, rate=rate, schedule=replace(OPTIONS.schedule, epochs=1))
    )
    card = load_refiner(str(tmp_path / "r.safetensors")).card
    assert (card.codec, card.codec_sha256) == (codec, load_model(codec).card.sha256)
    assert (card.link, card.rate, card.final_abar) == (link, rate, 0.4)
    assert {point.num_steps for point in card.measured} == {1, 2, 5}  # no more than in training
    assert all(point.ms_per_report > 0 for point in card.measured)


def test_the_loss_falls(indoor: ChannelSet, tmp_path: Path) -> None:
    history = history_of(indoor, tmp_path, "klt", replace(OPTIONS, schedule=replace(OPTIONS.schedule, epochs=6)))
    assert history[-1].loss < history[0].loss


@pytest.mark.parametrize("kind", ["residual", "generative"])
def test_an_interrupted_training_gives_the_weights_of_one_that_was_not(
    kind: str, indoor: ChannelSet, tmp_path: Path
) -> None:
    options = replace(OPTIONS, kind="generative", noise="cosine") if kind == "generative" else OPTIONS
    options = replace(options, cnr_db=(0, 20))
    for folder in ("whole", "parts"):
        (tmp_path / folder).mkdir()
    history_of(indoor, tmp_path / "whole", "klt", options)
    with pytest.raises(KeyboardInterrupt):
        history_of(indoor, tmp_path / "parts", "klt", options, stop=1)
    history_of(indoor, tmp_path / "parts", "klt", options)
    whole, parts = (load_refiner(str(tmp_path / part / "r.safetensors")) for part in ("whole", "parts"))
    assert all(torch.equal(whole.tensors[name], parts.tensors[name]) for name in whole.tensors)


def test_the_card_is_what_the_refiner_does(indoor: ChannelSet, tmp_path: Path) -> None:
    history_of(indoor, tmp_path, "klt", OPTIONS)
    file = load_refiner(str(tmp_path / "r.safetensors"))
    point = next(p for p in file.card.measured if (p.snr_db, p.num_steps) == (10, 2))
    codec, refiner = FrozenCodec(load_model("klt"), OPTIONS.link, OPTIONS.rate), make_refiner(file, torch.device("cpu"))
    h = split(indoor)[1].h[-8:]
    randomness = Randomness(0, np.zeros(8, dtype=np.int64), np.arange(8) + 4 * 8)
    snr_db = np.full(8, 10, dtype=np.float32)
    coarse, _ = codec.coarse(h, snr_db, randomness)
    h_hat = refiner.refine(coarse, snr_db, 2, randomness)
    for found, wanted in ((coarse, point.nmse_coarse_db), (h_hat, point.nmse_db)):
        error = ((found - h).abs().square().sum(dim=(1, 2, 3)) / h.abs().square().sum(dim=(1, 2, 3))).mean()
        assert float(10 * error.log10()) == pytest.approx(wanted, abs=0.01)


def test_a_generative_refiner_must_end_in_the_noise_that_it_starts_from() -> None:
    with pytest.raises(InvalidArgumentError, match="`noise` of a generative refiner must be cosine; got stopped"):
        replace(OPTIONS, kind="generative")


def test_the_codec_is_the_one_that_ships_whatever_the_training_computes_in(indoor: ChannelSet) -> None:
    codec, h = FrozenCodec(load_model("rd-jscc-indoor"), "analog:uplink", 16), indoor.h[:4]
    randomness, snr_db = Randomness(0, np.zeros(4, dtype=np.int64), np.arange(4)), np.zeros(4, dtype=np.float32)
    plain, _ = codec.coarse(h, snr_db, randomness)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(codec.coarse(h, snr_db, randomness)[0], plain)


def test_a_codec_that_reports_a_precoder_has_nothing_to_refine() -> None:
    with pytest.raises(InvalidArgumentError, match="must report a channel; etype2 reports a precoder"):
        FrozenCodec(load_model("etype2"), "digital:soft:crc", 171)


def test_a_batch_of_which_nothing_arrives_teaches_nothing_and_a_link_over_which_nothing_does_is_refused(
    indoor: ChannelSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = replace(OPTIONS.schedule, epochs=1)
    lossy = replace(OPTIONS, link="digital:soft:conv-1/2", snr_db=(-20.0, -20.0), schedule=schedule)
    (epoch,) = history_of(indoor, tmp_path, "klt", lossy)
    assert epoch.loss == 0
    monkeypatch.setattr("shared.training.refiner.WATCHED_SNR_DB", -20.0)
    sentence = "`link` must be one over which reports arrive at -20 dB; of 30 over digital:soft:conv-1/2, none"
    with pytest.raises(InvalidArgumentError, match=sentence):
        train_refiner(load_model("klt"), *split(indoor), lossy, tmp_path / "c.pt", lambda *_: None)


def test_channels_that_the_unet_does_not_take_are_refused(indoor: ChannelSet, tmp_path: Path) -> None:
    mine, other = split(indoor)
    small = replace(mine, shape=replace(mine.shape, num_tx_ant=16))
    with pytest.raises(InvalidArgumentError, match=r"`data` of a refiner must hold angular-delay \[1, 32, 32\]"):
        train_refiner(load_model("klt"), small, other, OPTIONS, tmp_path / "c.pt", lambda *_: None)
