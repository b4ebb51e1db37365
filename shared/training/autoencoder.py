"""Train an autoencoder, `csinet` or one of its kin, and design the quantiser of its latents.

channels -> training loop (NMSE, MSE or SGCS) -> averaged network -> latents of the training split -> quantiser
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from shared.codecs.autoencoder import scaling
from shared.codecs.autoencoder.codec import Autoencoder
from shared.codecs.network_files import SHAPE
from shared.coding.latents import MAX_WIDTH, Companding, LatentQuantizer, latent_widths
from shared.energy import energy_of
from shared.errors import InvalidArgumentError
from shared.metrics import nmse, to_db
from shared.network_settings import NetworkSettings
from shared.training.loop import Epoch, Schedule, train_network
from shared.training.mmd import mmd_of_channels
from shared.transforms import from_angular_delay
from shared.types import CsiShape

Loss = Literal["nmse", "mse", "sgcs"]

CHUNK = 1000  # reports at once where nothing is learned
CLIP_GRID = torch.arange(0.5, 8.01, 0.1)  # standard deviations
# Of the steps before SGCS is the loss: its gradient vanishes where nothing is learned yet. TransNet, at a learning rate
# of 2e-3, stayed at an SGCS of 1/32 for ten epochs.
NMSE_SHARE = 0.25
DESIGN_SAMPLES = 20_000  # reports whose latents the quantiser is designed on
QUANTIZED_FROM_THE_START = ("atnet",)  # whose authors train with a quantiser, its gradient set to 1
GAUSSIAN_CLIP = 1.596, 1.991, 2.344, 2.682, 3.010, 3.330, 3.640, 3.938  # uniform steps of least squared error


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """What `csi-lab train` asks of a network.

    Attributes:
        num_latents: Codeword size in reals.
        loss: ``nmse``, error energy relative to the report's; ``mse``, as the papers train: in CsiNet's scale, where
            a report with one strong entry weighs more; or ``sgcs``, 1 - SGCS, mean over subcarriers, after a start by
            ``nmse`` (`NMSE_SHARE`): what comes out is a precoder then.
        quantizer: Companding of the latents.
        schedule: Length and speed of the training.
        device: ``cpu`` or ``cuda``.
        bits: Bits of a latent where quantiser or link are part of the training, least and most.
        snr_db: Es/N0 of the link there, lowest and highest.
        link: Its label.
        start: Name or path of a model of the same codec that is trained on, through the link; None for fresh weights.
    """

    num_latents: int = 64
    loss: Loss = "nmse"
    quantizer: Companding = "uniform"
    schedule: Schedule = field(default_factory=Schedule)
    device: str = "cpu"
    bits: tuple[int, int] = (1, 4)
    snr_db: tuple[float, float] = (0.0, 10.0)
    link: str = "digital:bsc"
    start: str | None = None

    @property
    def settings(self) -> NetworkSettings:
        """What the network needs beside its weights."""
        return NetworkSettings(num_latents=self.num_latents, scaling="power", quantizer=self.quantizer)


def train_autoencoder(
    codec: str,
    h: Tensor,
    test: Tensor,
    options: NetworkOptions,
    checkpoint: Path,
    identity: dict[str, Any],
    report: Callable[[int, int, Epoch | None], None],
) -> tuple[Autoencoder, list[Epoch]]:
    """Train a network.

    Args:
        codec: A key of `shared.codecs.autoencoder.codec.ENCODERS`.
        h: [num_channels, 1, 32, 32] complex64, training split, angular-delay, unit mean power.
        test: [n, 1, 32, 32] complex64, measured after each epoch.
        options: Size, loss, schedule.
        checkpoint: See `train_network`.
        identity: See `train_network`.
        report: See `train_network`.

    Raises:
        InvalidArgumentError: If the device is not there, or see `train_network`.
        DataFileError: See `train_network`.
    """
    if options.device == "cuda" and not torch.cuda.is_available():
        raise InvalidArgumentError("`device` must be one this machine has; got cuda, and torch finds no CUDA device.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.schedule.seed)
        built = Autoencoder.build(codec, options.settings)
    network = nn.ModuleDict({"encoder": built.encoder, "decoder": built.decoder})
    identity = identity | {"codec": codec, "num_latents": options.num_latents, "loss": options.loss}
    of_sgcs = options.loss == "sgcs"
    if of_sgcs:
        identity["nmse_share"] = NMSE_SHARE
    quantized = codec in QUANTIZED_FROM_THE_START
    if quantized:
        identity["bits"] = list(options.bits)

    def model(trained: nn.Module) -> Autoencoder:
        halves = trained.get_submodule("encoder"), trained.get_submodule("decoder")
        return Autoencoder(*halves, options.settings.scaling, built.corrector)

    def loss(trained: nn.Module, batch: Tensor, generator: torch.Generator, progress: float) -> Tensor:
        if quantized:
            z = model(trained).encode(batch)
            h_hat = model(trained).decode(straight_through(z, options.bits, generator))
        else:
            h_hat = model(trained)(batch)
        if of_sgcs and progress >= NMSE_SHARE:
            return one_minus_sgcs(h_hat, batch).mean()
        error = (h_hat - batch).abs().square().flatten(1).mean(dim=1)
        if options.loss == "mse":
            error = error * (0.5 / scaling.peak(batch)).square()
        return error.mean()

    def mmd(trained: nn.Module) -> float:
        return mmd_of_channels(lambda chunk: model(trained)(chunk.to(device)).cpu(), test)

    device = torch.device(options.device)
    measured = unquantized_one_minus_sgcs_db if of_sgcs else unquantized_nmse_db
    averaged, history = train_network(
        network,
        h,
        loss,
        lambda trained: measured(model(trained), test, device),
        options.schedule,
        checkpoint,
        identity,
        device,
        report,
        None if of_sgcs else mmd,
    )
    if built.corrector is not None:
        built.corrector.eval().requires_grad_(requires_grad=False)
    return model(averaged), history


def straight_through(z: Tensor, bits: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Quantise latents by the statistics of their batch, at a number of bits that is drawn; the gradient stays 1.

    Args:
        z: [batch, num_latents] float32.
        bits: Least and most.
        generator: On the host.
    """
    width = int(torch.randint(bits[0], bits[1] + 1, (), generator=generator))
    fixed = z.detach()
    clip = torch.tensor(GAUSSIAN_CLIP, device=z.device)
    quantizer = LatentQuantizer("uniform", fixed.mean(dim=0), fixed.std(dim=0).clamp(min=1e-6), clip)
    widths = np.full(z.shape[1], width)
    return z + (quantizer.value(quantizer.index(fixed, widths), widths) - fixed)


def require_network_shape(shape: CsiShape, codec: str) -> None:
    """Raise unless channels of ``shape`` are what the networks take.

    Raises:
        InvalidArgumentError: Naming the wanted and the found shape.
    """
    if shape != SHAPE:
        raise InvalidArgumentError(f"`data` for {codec} must hold {SHAPE}; got {shape}.")


def unquantized_nmse_db(model: Autoencoder, h: Tensor, device: torch.device | None = None) -> float:
    """Return 10 log10 of the mean NMSE with latents that are not quantised, float32."""
    return _unquantized_db(nmse, model, h, device)


def unquantized_one_minus_sgcs_db(model: Autoencoder, h: Tensor, device: torch.device | None = None) -> float:
    """Return 10 log10 of 1 - SGCS, the NMSE if each subcarrier had its best scale and phase, likewise."""
    return _unquantized_db(one_minus_sgcs, model, h, device)


@torch.no_grad()
def _unquantized_db(
    error: Callable[[Tensor, Tensor], Tensor], model: Autoencoder, h: Tensor, device: torch.device | None
) -> float:
    parts = [error(model(chunk.to(device)).cpu(), chunk) for chunk in torch.split(h, CHUNK)]
    value = to_db(float(torch.cat(parts).mean()))
    return float("-inf") if value is None else value


def one_minus_sgcs(h_hat: Tensor, h: Tensor) -> Tensor:
    """Return 1 - `shared.metrics.sgcs` of one UE antenna, in the precision given and with a gradient everywhere.

    Args:
        h_hat: [batch, 1, num_angles, num_delay_taps] complex, angular-delay domain.
        h: Same shape as ``h_hat``.

    Returns:
        [batch] real.
    """
    f_hat, f = from_angular_delay(h_hat), from_angular_delay(h)
    inner = (f_hat.conj() * f).sum(dim=2)
    energies = energy_of(f_hat, dim=2) * energy_of(f, dim=2)
    power = inner.real.square() + inner.imag.square()
    return 1 - (power / energies.clamp_min(torch.finfo(energies.dtype).tiny)).mean(dim=(1, 2))


@torch.no_grad()
def fit_latent_quantizer(companding: Companding, model: Autoencoder, h: Tensor) -> LatentQuantizer:
    """Design the quantiser: each latent's mean and deviation, and for each width the clip of least squared error.

    Args:
        companding: ``uniform`` or ``mu-law``.
        model: The trained network.
        h: [num_channels, 1, 32, 32] complex64, training split.

    Raises:
        InvalidArgumentError: If there are fewer than two channels, which have no deviation.
    """
    if len(h) < 2:
        raise InvalidArgumentError(f"`data` must hold at least 2 channels to design a quantiser on; got {len(h)}.")
    some = h[:: -(-len(h) // DESIGN_SAMPLES)]
    return design_quantizer(companding, torch.cat([model.encode(chunk) for chunk in torch.split(some, CHUNK)]))


@torch.no_grad()
def design_quantizer(companding: Companding, z: Tensor, max_width: int = MAX_WIDTH) -> LatentQuantizer:
    """Design a quantiser of latents: their means and deviations, and for each width the clip of least squared error.

    Args:
        companding: ``uniform`` or ``mu-law``.
        z: [num_reports, num_latents] float32, at least two reports.
        max_width: Most bits of a latent.
    """
    centre, scale = z.mean(dim=0), z.std(dim=0).clamp(min=1e-6)
    unit = (z - centre) / scale
    zeros, ones = torch.zeros_like(centre), torch.ones_like(scale)
    best = []
    for width in range(1, max_width + 1):
        widths = latent_widths(width * unit.shape[1], unit.shape[1])
        errors = []
        for clip in CLIP_GRID:
            quantizer = LatentQuantizer(companding, zeros, ones, clip.repeat(max_width))
            errors.append((quantizer.value(quantizer.index(unit, widths), widths) - unit).square().mean())
        best.append(CLIP_GRID[torch.stack(errors).argmin()])
    return LatentQuantizer(companding, centre, scale, torch.stack(best))
