r"""Train InvCSINet: both directions of the invertible network, with quantiser and link between them.

    x -> invertible -> y, z     y -> u -> soft quantiser -> u_tilde -> link (D-BCD) -> u_hat -> alignment -> y_check
    x_hat <- inverse <- (y_check, z')

    forward:   MMD^2 between (y, z) and (y_check, z'), z' ~ N(mu, diag sigma^2) learned, no gradient through y: it
               teaches z, z' and the alignment                                                       (eqs. 8, 33)
    backward:  |x_hat - x|^2 / |x|^2                                                                 (eq. 10)
    L = backward + lambda forward, one update of both                                               (eq. 35)

An ideal training (`ideal`) leaves out quantiser, link, alignment and the learned z. Ours, and not the paper's:

* One model for a range of bits: in each step one number of bits an entry is drawn; the SNR for each report.
* The backward pass takes z' as the base station will: its mean, unless the card says a sample. With samples of N(0, 1),
  twice the energy of a channel, the ideal network is at -0.5 dB after 450 steps (M = 32, street-28g), with the mean at
  -2.1. NMSE and MMD after each epoch are with the mean too.
* Quantiser and link come in after `WARM_UP` of the steps; the quantiser works in units of y's deviation, measured again
  at the end. Gradients through the link: see `shared.networks.bit_channel`.
* The forward loss stops at the detected codeword too: points are learned by the backward loss.

Source: InvCSINet, *Information-Preserving CSI Feedback*, sections III-C and IV-E.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from shared.codecs import Fitted
from shared.codecs.invcsinet.codec import InvCsiNet, from_labels, widths_of
from shared.codecs.network_files import SHAPE
from shared.errors import InvalidArgumentError
from shared.metrics import nmse, to_db
from shared.model_files import TrainingRecord
from shared.network_settings import InvertibleSettings
from shared.networks.bit_channel import detect
from shared.training.autoencoder import GAUSSIAN_CLIP
from shared.training.feedback import draw_uniform
from shared.training.loop import Epoch, Schedule, train_network
from shared.training.macs import count_macs
from shared.training.mmd import mmd_of_channels, squared_mmd
from shared.training.transitions import Transitions
from shared.transforms import from_planes, to_planes

Losses = Literal["both", "mmd", "mse"]
BitChannel = Literal["d-bcd", "awgn"]

CHUNK = 250  # reports at once where nothing is learned
SHARPNESS = 2.0, 8.0  # beta, in units of 1 / step: where the quantiser comes in, at the end
WARM_UP = 1 / 3
SCHEDULE = Schedule(precision="float32", clip_norm=1.0)


@dataclass(frozen=True, slots=True)
class InvertibleOptions:
    """What a training of InvCSINet is asked for.

    Attributes:
        settings: The network.
        schedule: Length and speed of the training, in float32.
        losses: ``both``, or one of them alone.
        mmd_weight: lambda.
        ideal: Whether quantiser and link are left out.
        snr_db: Es/N0 of the link, lowest and highest, drawn uniformly for each report.
        link: Label of the link; its detector does not matter where there is no channel code.
        adaptive: Whether the quantiser's points are learned (DAQ); else they stay uniform.
        bit_channel: ``d-bcd``, or noise of the link's SNR on the features.
        compensation: Whether alignment and z are learned (IC).
        device: ``cpu`` or ``cuda``.
    """

    settings: InvertibleSettings
    schedule: Schedule = SCHEDULE
    losses: Losses = "both"
    mmd_weight: float = 0.1
    ideal: bool = False
    snr_db: tuple[float, float] = (0.0, 10.0)
    link: str = "digital:bsc"
    adaptive: bool = True
    bit_channel: BitChannel = "d-bcd"
    compensation: bool = True
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse a precision in which an inverse would be none."""
        if self.schedule.precision != "float32":
            raise InvalidArgumentError(f"`precision` of invcsinet must be float32; got {self.schedule.precision}.")

    @property
    def described(self) -> str:
        """What the weights were trained by, for the card."""
        losses = {"both": f"nmse + {self.mmd_weight:g} mmd", "mmd": "mmd", "mse": "nmse"}[self.losses]
        if self.ideal:
            return f"{losses}, ideal"
        left_out = [
            name
            for name, there in (
                ("DAQ", self.adaptive),
                ("D-BCD", self.bit_channel == "d-bcd"),
                ("IC", self.compensation),
            )
            if not there
        ]
        low, high = self.snr_db
        link = f"{losses}, {self.link} at {low:g} ... {high:g} dB"
        return f"{link}, without {', '.join(left_out)}" if left_out else link


def train_invertible(
    h: Tensor,
    test: Tensor,
    options: InvertibleOptions,
    checkpoint: Path,
    identity: dict[str, Any],
    report: Callable[[int, int, Epoch | None], None],
) -> tuple[InvCsiNet, list[Epoch]]:
    """Train a network.

    Args:
        h: [num_channels, 1, 32, 32] complex64, training split, angular-delay, unit mean power.
        test: [n, 1, 32, 32] complex64, measured after each epoch, at the most bits without errors, or unquantised.
        options: Network, losses, link.
        checkpoint: See `train_network`.
        identity: See `train_network`.
        report: See `train_network`.

    Raises:
        InvalidArgumentError: See `train_network`.
        DataFileError: See `train_network`.
    """
    settings, device = options.settings, torch.device(options.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.schedule.seed)
        network = InvCsiNet(settings)
    for bits in widths_of(settings):
        network.quantizer(bits).spread(torch.full((settings.num_latents,), GAUSSIAN_CLIP[bits - 1]))
    _freeze(network, options)
    transitions = {} if options.ideal or options.bit_channel == "awgn" else _transitions(options)

    def loss(trained: nn.Module, batch: Tensor, generator: torch.Generator, progress: float) -> Tensor:
        model = _as_network(trained)
        x = to_planes(batch)
        y, z = model.invertible(x)
        y_check, aligned = y, y.detach()
        u = model.standardize(y)
        if not options.ideal and progress >= WARM_UP:
            snr_db = draw_uniform(*options.snr_db, len(batch), generator)
            bits = int(torch.randint(settings.bits[0], settings.bits[1] + 1, (), generator=generator))
            u_hat = _through_link(model, u, bits, snr_db, transitions.get(bits), generator, progress, options)
            y_check, aligned = model.restore(u_hat), model.restore(u_hat.detach())
        z_drawn = model.auxiliary(len(batch), torch.randn(z.shape, generator=generator).to(device))
        total = torch.zeros((), device=device)
        if options.losses != "mmd":
            z_decoded = z_drawn if settings.auxiliary == "sample" else model.auxiliary(len(batch))
            x_hat = model.invertible.inverse(y_check, z_decoded)
            total = total + (x_hat - x).square().sum(dim=(1, 2, 3)).mean() / SHAPE.num_complex
        if options.losses != "mse":
            sent, arrived = torch.cat([y.detach(), z], dim=1), torch.cat([aligned, z_drawn], dim=1)
            weight = options.mmd_weight if options.losses == "both" else 1.0
            total = total + weight * squared_mmd(sent, arrived)
        return total

    reconstruct = unquantized if options.ideal else without_errors
    averaged, history = train_network(
        network,
        h,
        loss,
        lambda trained: _nmse_db(partial(reconstruct, _as_network(trained)), test.to(device)),
        options.schedule,
        checkpoint,
        identity | _identity(options),
        device,
        report,
        lambda trained: mmd_of_channels(partial(reconstruct, _as_network(trained)), test.to(device)),
    )
    trained_network = _as_network(averaged)
    _settle(trained_network, h)
    return trained_network, history


@torch.no_grad()
def _settle(network: InvCsiNet, h: Tensor) -> None:
    """Measure y's statistics again, of the averaged weights over the training split."""
    y = torch.cat([network.invertible(to_planes(chunk))[0] for chunk in torch.split(h, CHUNK)])
    network.centre.copy_(y.mean(dim=0))
    network.scale.copy_(y.std(dim=0).clamp_min(torch.finfo(torch.float32).tiny))


def _through_link(
    model: InvCsiNet,
    u: Tensor,
    bits: int,
    snr_db: Tensor,
    transitions: Transitions | None,
    generator: torch.Generator,
    progress: float,
    options: InvertibleOptions,
) -> Tensor:
    """Return what is detected of ``u``: [batch, M] float32."""
    quantizer = model.quantizer(bits)
    first, last = SHARPNESS
    u_soft = quantizer(u, first * (last / first) ** ((progress - WARM_UP) / (1 - WARM_UP)))
    index, points = quantizer.index(u), quantizer.points()
    if transitions is None:  # noise of a real symbol, at the link's SNR against the power of what is sent
        hard = points.gather(1, index.T).T
        deviation = (hard.detach().square().mean(dim=1) * 10 ** (-snr_db.to(u.device) / 10) / 2).sqrt()
        noise = deviation[:, None] * torch.randn(u.shape, generator=generator).to(u.device)
        noisy: Tensor = u_soft + (hard - u_soft).detach() + noise
        return noisy
    return detect(u_soft, index, points, transitions.draw(snr_db, generator).to(u.device), generator)


def _transitions(options: InvertibleOptions) -> dict[int, Transitions]:
    """Return those between the points of an entry, for each number of bits."""
    by_bits = {}
    for bits in widths_of(options.settings):
        order = from_labels(np.arange(2**bits), options.settings)  # label -> index
        by_bits[bits] = Transitions(bits, options.link, *options.snr_db, order)
    return by_bits


def _freeze(network: InvCsiNet, options: InvertibleOptions) -> None:
    """Keep as they are at first what an ablation leaves out."""
    if not options.adaptive or options.ideal:
        network.quantizers.requires_grad_(requires_grad=False)
    if not options.compensation or options.ideal:
        network.alignment.requires_grad_(requires_grad=False)
        network.aux_mean.requires_grad = False
        network.aux_deviation.requires_grad = False


def _as_network(trained: nn.Module) -> InvCsiNet:
    if not isinstance(trained, InvCsiNet):
        raise TypeError(f"the loop must hand over an InvCsiNet; got {type(trained).__name__}.")
    return trained


def _identity(options: InvertibleOptions) -> dict[str, Any]:
    """Return what must be equal for a checkpoint to be continued, beside data and schedule."""
    return {
        "invertible": options.settings.model_dump_json(),
        "losses": options.losses,
        "mmd_weight": options.mmd_weight,
        "ideal": options.ideal,
        "snr_db": list(options.snr_db),
        "link": options.link,
        "adaptive": options.adaptive,
        "bit_channel": options.bit_channel,
        "compensation": options.compensation,
    }


def unquantized(network: InvCsiNet, h: Tensor) -> Tensor:
    """Return what becomes of ``h: [batch, 1, 32, 32] complex64`` if its codeword arrives as it is, z at its mean."""
    y, _ = network.invertible(to_planes(h))
    return from_planes(network.invertible.inverse(y, network.auxiliary(len(h))))


def without_errors(network: InvCsiNet, h: Tensor) -> Tensor:
    """Return what becomes of ``h`` at the most bits over a link without errors, z at its mean."""
    y, _ = network.invertible(to_planes(h))
    widths = np.full(y.shape[1], max(int(bits) for bits in network.quantizers))
    return from_planes(network(network.value(network.index(network.standardize(y), widths), widths)))


@torch.no_grad()
def _nmse_db(reconstruct: Callable[[Tensor], Tensor], h: Tensor) -> float:
    """Return 10 log10 of the mean NMSE."""
    value = to_db(float(torch.cat([nmse(reconstruct(chunk), chunk) for chunk in torch.split(h, CHUNK)]).mean()))
    return float("-inf") if value is None else value


def as_invertible_codec(network: InvCsiNet, settings: InvertibleSettings, h: Tensor, record: TrainingRecord) -> Fitted:
    """Put a trained network into the tensors of a model file.

    Args:
        network: In evaluation mode on the host.
        settings: The network's.
        h: [num_channels, 1, 32, 32] complex64, training split: its mean is what a lost report becomes.
        record: How the weights came to be.
    """
    tensors = {f"network.{key}": value.contiguous() for key, value in network.state_dict().items()}
    return Fitted(
        tensors | {"mean": h.mean(dim=0)},
        "InvCSINet: invertible network, learned quantiser, link in training",
        "InvCSINet, Information-Preserving CSI Feedback",
        tuple(settings.num_latents * bits for bits in widths_of(settings)),
        encoder_macs=count_macs(network.invertible, torch.zeros(1, 2, *SHAPE.dims[1:])),
        decoder_macs=count_macs(network, torch.zeros(1, settings.num_latents)),
        invertible=settings,
        training=record,
    )
