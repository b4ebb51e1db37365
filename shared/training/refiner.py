r"""Train a refiner behind a codec, stage 2 of RD-JSCC: the codec and its link are frozen, the U-Net learns the channel.

    h -> Transmitter -> link, random SNR -> receive -> h_coarse -+-> x_n, random n -> U-Net -> |h - D|^2 / |h|^2
    h -----------------------------------------------------------'

Whatever the codec, the coarse channel comes through its own encoder, link, channel code and decoder, as the base
station sees it. Reports that fell back to the mean channel are left out: they are never refined.

Source: Ankireddy et al., RD-JSCC, Algorithm 2, eq. 11.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, make_decoder
from shared.errors import InvalidArgumentError
from shared.metrics import nmse, to_db
from shared.model_files import ModelFile, TrainingRecord, UNetSettings
from shared.networks.unet import UNet
from shared.receive import receive
from shared.refinement import REFINERS, Refiner, RefinerCard, RefinerFile, make_refiner
from shared.refinement.card import MeasuredGain, RefinerKind
from shared.refinement.diffusion import SHAPE, Diffusion
from shared.refinement.schedule import ScheduleName, abar_of
from shared.rng import Randomness
from shared.training.feedback import draw_uniform
from shared.training.jscc import with_estimation_error
from shared.training.loop import Epoch, Schedule, train_network
from shared.training.macs import count_macs
from shared.transforms import from_planes, to_planes
from shared.transmit import Transmitter, make_transmitter

BATCH = 64  # reports at once where nothing is learned
WATCHED, WATCHED_SNR_DB = 300, 5.0  # what is measured after each epoch, with one step: reports, SNR
MEASURED_SNR_DB = (-10.0, -5.0, 0.0, 5.0, 10.0, 15.0, 20.0)
MEASURED_STEPS = (1, 2, 5, 20)
TIMED = 3  # batches, of which the fastest counts
LARGEST_UE = 2**32


@dataclass(frozen=True, slots=True)
class RefinerOptions:
    """What a training of a refiner is asked for.

    Attributes:
        kind: ``residual`` or ``generative``.
        link: Label of the link between encoder and decoder.
        rate: Of the reports; None for the codec's usual one.
        snr_db: Es/N0 of the link, lowest and highest, drawn uniformly for each report.
        cnr_db: SNRs of the UE's pilots, lowest and highest, likewise; None: it knows its channel.
        noise: Schedule of the diffusion.
        num_train_steps: N.
        unet: Size of the network.
        schedule: Length and speed of the training.
        num_measured: Test channels on which the finished refiner is measured, at most.
        device: ``cpu`` or ``cuda``.
    """

    kind: RefinerKind
    link: str
    rate: int | None
    snr_db: tuple[float, float]
    cnr_db: tuple[float, float] | None
    noise: ScheduleName
    num_train_steps: int
    unet: UNetSettings
    schedule: Schedule = field(default_factory=Schedule)
    num_measured: int = 300
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse a generative refiner whose training would not end where its sampler starts."""
        if self.kind == "generative" and self.noise != "cosine":
            raise InvalidArgumentError(f"`noise` of a generative refiner must be cosine; got {self.noise}.")


class FrozenCodec:
    """A codec behind its link: channels in, what its decoder makes of them out.

    Args:
        model: The codec.
        link: Label of the link between encoder and decoder.
        rate: Of the reports; None for the codec's usual one.

    Raises:
        InvalidArgumentError: If they do not go together, or the channels are not what a refiner takes.
    """

    def __init__(self, model: ModelFile, link: str, rate: int | None) -> None:
        if model.card.shape != SHAPE:
            raise InvalidArgumentError(f"`codec` of a refiner must be for {SHAPE}; {model.card.name} is not.")
        self.transmitter: Transmitter = make_transmitter(model, SHAPE, link, rate)
        self._decoder = make_decoder(model, torch.device("cpu"))

    def coarse(
        self, h: Tensor, snr_db: NDArray[np.float32], randomness: Randomness
    ) -> tuple[Tensor, NDArray[np.bool_]]:
        """Return h_coarse, like ``h: [batch, 1, 32, 32] complex64`` on the host, and which of it is to be refined."""
        with torch.autocast("cpu", enabled=False):  # whatever the training computes in, the codec is the one that ships
            sent = self.transmitter.transmit(h, snr_db, randomness)
            context = DecodeContext(self.transmitter.rate, snr_db)
            reception = receive(sent.received, self.transmitter.link.code, self._decoder, context)
        return reception.h_hat, ~reception.fallback


def train_refiner(
    model: ModelFile,
    train: ChannelSet,
    test: ChannelSet,
    options: RefinerOptions,
    checkpoint: Path,
    report: Callable[[int, int, Epoch | None], None],
) -> tuple[UNet, list[Epoch]]:
    """Train the U-Net of a refiner.

    Args:
        model: The codec, frozen.
        train: Training split.
        test: Test split, some of it refined after each epoch.
        options: Kind, link, schedules.
        checkpoint: See `shared.training.loop.train_network`.
        report: Likewise.

    Returns:
        The averaged U-Net in evaluation mode on the host, and the epochs.

    Raises:
        InvalidArgumentError: If codec, link, rate and channels do not go together, or see `train_network`.
        DataFileError: If the checkpoint is of another training.
    """
    for name, split in (("data", train), ("test", test)):
        if split.shape != SHAPE:
            raise InvalidArgumentError(f"`{name}` of a refiner must hold {SHAPE}; got {split.shape}.")
    codec, device = FrozenCodec(model, options.link, options.rate), torch.device(options.device)
    diffusion = Diffusion(options.kind, abar_of(options.noise, options.num_train_steps))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.schedule.seed)
        unet = UNet(4, options.unet.width, options.unet.multipliers, options.unet.num_blocks)

    def loss(trained: nn.Module, batch: Tensor, generator: torch.Generator) -> Tensor:
        snr_db = draw_uniform(*options.snr_db, len(batch), generator)
        ue_id = int(torch.randint(LARGEST_UE, (), generator=generator))
        randomness = Randomness(options.schedule.seed, np.full(len(batch), ue_id), np.arange(len(batch)))
        h_est = batch if options.cnr_db is None else with_estimation_error(batch, options.cnr_db, generator)
        h_coarse, usable = codec.coarse(h_est.cpu(), snr_db.numpy(), randomness)
        rows = torch.from_numpy(np.flatnonzero(usable))
        n = torch.randint(1, options.num_train_steps + 1, (len(batch),), generator=generator)[rows]
        eps = torch.randn(len(batch), 2, *SHAPE.dims[1:], generator=generator)[rows].to(device)
        h, coarse = to_planes(batch[rows.to(device)]), to_planes(h_coarse[rows].to(device))
        x = diffusion.noised(h, coarse, n, eps)
        level = diffusion.noise_level(n).to(device)
        predicted = trained(torch.cat([x, coarse], dim=1), level, snr_db[rows].to(device))
        error: Tensor = (predicted.float() - h).square().sum(dim=(1, 2, 3)) / SHAPE.num_complex
        return error.mean()

    watched, coarse = _watched(codec, test)

    @torch.no_grad()
    def measure(trained: nn.Module) -> float:
        generator = torch.Generator().manual_seed(0)
        refined = []
        for chunk in torch.split(coarse, BATCH):
            planes = to_planes(chunk)
            eps, snr_db = torch.randn(planes.shape, generator=generator), torch.full((len(chunk),), WATCHED_SNR_DB)
            arguments = (planes.to(device), snr_db.to(device), eps.to(device), 1)
            refined.append(from_planes(diffusion.sample(trained, *arguments).cpu()))
        value = to_db(float(nmse(torch.cat(refined), watched).mean()))
        return float("-inf") if value is None else value

    averaged, history = train_network(
        unet,
        train.h,
        loss,
        measure,
        options.schedule,
        checkpoint,
        _identity(model, train, test, options),
        device,
        report,
    )
    if not isinstance(averaged, UNet):
        raise TypeError(f"the loop must return a UNet; got {type(averaged).__name__}.")
    return averaged, history


def _watched(codec: FrozenCodec, test: ChannelSet) -> tuple[Tensor, Tensor]:
    """Return test channels that arrive at `WATCHED_SNR_DB`, and what the decoder makes of them."""
    h = test.h[:WATCHED]
    randomness = Randomness(0, np.zeros(len(h), dtype=np.int64), np.arange(len(h)))
    coarse, usable = codec.coarse(h, np.full(len(h), WATCHED_SNR_DB, dtype=np.float32), randomness)
    rows = torch.from_numpy(np.flatnonzero(usable))
    return h[rows], coarse[rows]


def _identity(model: ModelFile, train: ChannelSet, test: ChannelSet, options: RefinerOptions) -> dict[str, Any]:
    """Return what must be equal for a checkpoint to be continued, beside the schedule."""
    return {
        "codec_sha256": model.card.sha256,
        "training_data": train.sha256,
        "test_data": test.sha256,
        "kind": options.kind,
        "link": options.link,
        "rate": options.rate,
        "snr_db": list(options.snr_db),
        "cnr_db": options.cnr_db,
        "noise": options.noise,
        "num_train_steps": options.num_train_steps,
        "unet": options.unet.model_dump_json(),
    }


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
            loss="nmse" if options.cnr_db is None else f"nmse, CNR {options.cnr_db[0]:g} ... {options.cnr_db[1]:g} dB",
            epochs=len(history),
            samples_seen=seen,
        ),
        measured=[],
    )
    tensors = {f"network.unet.{key}": value.contiguous() for key, value in unet.state_dict().items()}
    refiner = make_refiner(RefinerFile(card, tensors), torch.device("cpu"))
    measured = measure_gains(codec, refiner, test.h[: options.num_measured])
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
        before_db = to_db(float(nmse(coarse[torch.from_numpy(rows)], truth).mean()))
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
                        ms_per_report=ms_of[num_steps],
                    )
                )
    return found


def _milliseconds(refiner: Refiner, num_steps: int) -> float:
    """Return the time of a report in a full batch, three digits of it: the fastest of a few, the first not counted."""
    h, snr_db = torch.zeros(BATCH, *SHAPE.dims, dtype=torch.complex64), np.zeros(BATCH, dtype=np.float32)
    randomness, times_s = Randomness(0, np.zeros(BATCH, dtype=np.int64), np.arange(BATCH)), []
    for _ in range(1 + TIMED):
        started_s = time.perf_counter()
        refiner.refine(h, snr_db, num_steps, randomness).cpu()
        times_s.append(time.perf_counter() - started_s)
    return float(f"{1000 * min(times_s[1:]) / BATCH:.3g}")
