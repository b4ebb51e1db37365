"""A trained refiner as a file; its card says NMSE before and after over SNR and steps, and what a report takes."""

import time

import numpy as np
import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.errors import InvalidArgumentError
from shared.metrics import nmse, to_db
from shared.model_files import ModelFile, TrainingRecord
from shared.networks.unet import UNet
from shared.refinement import REFINERS, Refiner, RefinerCard, RefinerFile, make_refiner
from shared.refinement.card import MeasuredGain
from shared.refinement.diffusion import SHAPE
from shared.refinement.schedule import abar_of
from shared.rng import Randomness
from shared.training.frozen_codec import FrozenCodec
from shared.training.jscc import loss_name
from shared.training.loop import Epoch
from shared.training.macs import count_macs
from shared.training.refiner import BATCH, RefinerOptions

MEASURED_SNR_DB = (-10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0)
MEASURED_STEPS = (1, 2, 5, 20)
TIMED = 3  # batches, of which the fastest counts


def as_refiner_file(
    name: str,
    model: ModelFile,
    unet: UNet,
    options: RefinerOptions,
    trained_on: str,
    test: ChannelSet,
    recipe: str,
    history: list[Epoch],
    seen: int,
) -> RefinerFile:
    """Put a trained U-Net into a refiner file, and measure it.

    Args:
        name: Of the refiner.
        model: The codec.
        unet: In evaluation mode on the host.
        options: Of the training.
        trained_on: The training data, for the card.
        test: Test split.
        recipe: Command that makes it again.
        history: The epochs.
        seen: Reports that it was trained on.
    """
    codec, entry = FrozenCodec(model, options.link, options.rate), REFINERS[options.kind]
    planes, one = torch.zeros(1, 4, *SHAPE.dims[1:]), torch.zeros(1)
    card = RefinerCard(
        name=name,
        kind=options.kind,
        title=entry.title,
        source=entry.source,
        sha256="0" * 64,
        codec=model.card.name,
        codec_sha256=model.card.sha256,
        domain=SHAPE.domain,
        num_rx_ant=SHAPE.num_rx_ant,
        num_tx_ant=SHAPE.num_tx_ant,
        num_subcarriers=SHAPE.num_subcarriers,
        rate=codec.transmitter.rate,
        link=codec.transmitter.link.label,
        snr_db=options.snr_db,
        schedule=options.noise,
        num_train_steps=options.num_train_steps,
        final_abar=float(f"{float(abar_of(options.noise, options.num_train_steps)[-1]):.4g}"),
        unet=options.unet,
        num_parameters=0,
        macs_per_step=count_macs(unet, planes, one, one),
        recipe=recipe,
        training_data=trained_on,
        test_data=test.identity,
        training=TrainingRecord(
            loss=loss_name(options.cnr_db),
            epochs=len(history),
            samples_seen=seen,
        ),
        measured=[],
    )
    tensors = {f"network.unet.{key}": value.contiguous() for key, value in unet.state_dict().items()}
    refiner = make_refiner(RefinerFile(card, tensors), torch.device("cpu"))
    measured = measure_gains(codec, refiner, test.h[-options.num_measured :])
    return RefinerFile(card.model_copy(update={"measured": measured}), tensors)


def measure_again(file: RefinerFile, model: ModelFile, h: Tensor) -> list[MeasuredGain]:
    """Measure a refiner that is there, on this machine.

    Args:
        file: The refiner.
        model: The codec that it refines.
        h: [n, 1, 32, 32] complex64, test channels.

    Raises:
        InvalidArgumentError: If the refiner is of another model.
    """
    card = file.card
    if card.codec_sha256 != model.card.sha256:
        raise InvalidArgumentError(f"`codec` of refiner {card.name} must be {card.codec}; got {model.card.name}.")
    return measure_gains(FrozenCodec(model, card.link, card.rate), make_refiner(file, torch.device("cpu")), h)


def measure_gains(codec: FrozenCodec, refiner: Refiner, h: Tensor) -> list[MeasuredGain]:
    """Measure a refiner: NMSE before and after over SNR and number of steps, and the time of each number of steps.

    Args:
        codec: Behind which.
        refiner: The refiner.
        h: [n, 1, 32, 32] complex64, test channels; those that fall back at an SNR are left out there.
    """
    steps = [n for n in MEASURED_STEPS if n <= refiner.card.num_train_steps]
    ms_of, found = {num_steps: _milliseconds(refiner, num_steps) for num_steps in steps}, []
    for index, snr_db in enumerate(MEASURED_SNR_DB):
        sequence = np.arange(len(h)) + index * len(h)
        randomness = Randomness(0, np.zeros(len(h), dtype=np.int64), sequence)
        snr = np.full(len(h), snr_db, dtype=np.float32)
        coarse, usable = codec.coarse(h, snr, randomness)
        rows = np.flatnonzero(usable)
        if not len(rows):
            continue
        truth = h[torch.from_numpy(rows)]
        kept = coarse[torch.from_numpy(rows)]
        before_db, scaled_db = (to_db(float(nmse(h_hat, truth).mean())) for h_hat in (kept, _scaled(kept, truth)))
        for num_steps in steps:
            parts = [
                refiner.refine(coarse[torch.from_numpy(part)], snr[part], num_steps, randomness.of(part)).cpu()
                for part in np.array_split(rows, -(-len(rows) // BATCH))
            ]
            after_db = to_db(float(nmse(torch.cat(parts), truth).mean()))
            if before_db is not None and after_db is not None:  # an exact codec has nothing to refine
                found.append(
                    MeasuredGain(
                        snr_db=snr_db,
                        num_steps=num_steps,
                        nmse_coarse_db=round(before_db, 3),
                        nmse_db=round(after_db, 3),
                        nmse_scaled_db=None if scaled_db is None else round(scaled_db, 3),
                        ms_per_report=ms_of[num_steps],
                    )
                )
    return found


def _scaled(h_hat: Tensor, h: Tensor) -> Tensor:
    """Return ``h_hat`` times the real number of least mean NMSE, one for all reports: what shrinking alone brings."""
    energy = h.abs().square().sum(dim=(1, 2, 3))
    along = (h_hat.conj() * h).real.sum(dim=(1, 2, 3)) / energy
    return h_hat * (along.sum() / (h_hat.abs().square().sum(dim=(1, 2, 3)) / energy).sum())


def _milliseconds(refiner: Refiner, num_steps: int) -> float:
    """Return the time of a report in a full batch, three digits of it: the fastest of a few, the first not counted."""
    h, snr_db = torch.zeros(BATCH, *SHAPE.dims, dtype=torch.complex64), np.zeros(BATCH, dtype=np.float32)
    randomness, times_s = Randomness(0, np.zeros(BATCH, dtype=np.int64), np.arange(BATCH)), []
    for _ in range(1 + TIMED):
        started_s = time.perf_counter()
        refiner.refine(h, snr_db, num_steps, randomness).cpu()
        times_s.append(time.perf_counter() - started_s)
    return float(f"{1000 * min(times_s[1:]) / BATCH:.3g}")
