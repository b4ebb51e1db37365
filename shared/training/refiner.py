r"""Train a refiner behind a codec, stage 2 of RD-JSCC: the codec and its link are frozen, the U-Net learns the channel.

    h -> Transmitter -> link, random SNR -> receive -> h_coarse -+-> x_n, random n -> U-Net -> |h - D|^2 / |h|^2
    h -----------------------------------------------------------'

Whatever the codec, the coarse channel comes through its own encoder, link, channel code and decoder, as the base
station sees it. Reports that fell back to the mean channel are left out: they are never refined.

Source: Ankireddy et al., RD-JSCC, Algorithm 2, eq. 11.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shared.channels import ChannelSet
from shared.errors import InvalidArgumentError
from shared.metrics import nmse, to_db
from shared.model_files import ModelFile
from shared.network_settings import UNetSettings
from shared.networks.unet import UNet
from shared.refinement.card import RefinerKind
from shared.refinement.diffusion import SHAPE, Diffusion
from shared.refinement.schedule import ScheduleName, abar_of
from shared.rng import Randomness
from shared.training.feedback import draw_uniform
from shared.training.frozen_codec import FrozenCodec
from shared.training.jscc import with_estimation_error
from shared.training.loop import Epoch, Schedule, train_network
from shared.transforms import from_planes, to_planes

BATCH = 64  # reports at once where nothing is learned
WATCHED, WATCHED_SNR_DB = 300, 5.0  # what is measured after each epoch, with one step: reports, SNR
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
        num_measured: Test channels, from the end, on which the finished refiner is measured, at most.
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
        InvalidArgumentError: If codec, link, rate and channels do not go together, no report arrives, or see
            `train_network`.
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

    def loss(trained: nn.Module, batch: Tensor, generator: torch.Generator, _: float) -> Tensor:
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
        return error.sum() / max(1, len(rows))  # none may have arrived

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
    if not len(rows):
        wanted = f"over which reports arrive at {WATCHED_SNR_DB:g} dB"
        raise InvalidArgumentError(
            f"`link` must be one {wanted}; of {len(h)} over {codec.transmitter.link.label}, none."
        )
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
