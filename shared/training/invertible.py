r"""Train InvCSINet: both directions of the invertible network, with quantiser and link between them.

    x -> invertible -> y, z        y -> soft quantiser -> y_tilde -> link (D-BCD) -> y_hat -> alignment -> y_check
    x_hat <- inverse <- (y_check, z'), z' ~ N(mu, diag sigma^2) learned

    forward:   MMD^2 between (y, z) and (y_check, z'), no gradient through y: it teaches z, z' and the alignment
                                                                                                      (eqs. 8, 33)
    backward:  |x_hat - x|^2 / |x|^2                                                             (eq. 10)
    L = backward + lambda forward, one update of both                                               (eq. 35)

In each step one number of bits an entry is drawn, and the SNR of each report. An ideal training (`ideal`) leaves out
quantiser, link, alignment and the learned z.

Source: InvCSINet, *Information-Preserving CSI Feedback*, sections III-C and IV-E.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from shared.codecs import Fitted
from shared.codecs.invcsinet.codec import InvCsiNet, from_labels, widths_of
from shared.codecs.network_files import SHAPE
from shared.metrics import nmse, to_db
from shared.model_files import InvertibleSettings, TrainingRecord
from shared.networks.bit_channel import detect
from shared.training.feedback import draw_uniform
from shared.training.loop import Epoch, Schedule, train_network
from shared.training.macs import count_macs
from shared.training.mmd import mmd_of_channels, squared_mmd
from shared.training.transitions import Transitions
from shared.transforms import from_planes, to_planes

Losses = Literal["both", "mmd", "mse"]
BitChannel = Literal["d-bcd", "awgn"]

CHUNK = 250  # reports at once where nothing is learned
SHARPNESS = 2.0, 20.0  # beta, in units of 1 / step: at the beginning, at the end
REACH = 2.5  # root mean squares of y that the quantiser's points span at first, to either side


@dataclass(frozen=True, slots=True)
class InvertibleOptions:
    """What a training of InvCSINet is asked for.

    Attributes:
        settings: The network.
        schedule: Length and speed of the training.
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
    schedule: Schedule = field(default_factory=Schedule)
    losses: Losses = "both"
    mmd_weight: float = 0.1
    ideal: bool = False
    snr_db: tuple[float, float] = (0.0, 10.0)
    link: str = "digital:bsc"
    adaptive: bool = True
    bit_channel: BitChannel = "d-bcd"
    compensation: bool = True
    device: str = "cpu"

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
        test: [n, 1, 32, 32] complex64, measured after each epoch, without quantiser and link.
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
    _spread_points(network, settings, h[: 4 * CHUNK])
    _freeze(network, options)
    transitions = {} if options.ideal or options.bit_channel == "awgn" else _transitions(options)

    def loss(trained: nn.Module, batch: Tensor, generator: torch.Generator, progress: float) -> Tensor:
        model = _as_network(trained)
        x = to_planes(batch)
        y, z = model.invertible(x)
        y_check, aligned = y, y.detach()
        if not options.ideal:
            snr_db = draw_uniform(*options.snr_db, len(batch), generator)
            bits = int(torch.randint(settings.bits[0], settings.bits[1] + 1, (), generator=generator))
            y_hat = _through_link(model, y, bits, snr_db, transitions.get(bits), generator, progress, options)
            y_check, aligned = model.alignment(y_hat), model.alignment(y_hat.detach())
        eps = torch.randn(z.shape, generator=generator).to(device)
        z_drawn = model.aux_mean + model.aux_log_deviation.exp() * eps
        total = torch.zeros((), device=device)
        if options.losses != "mmd":
            x_hat = model.invertible.inverse(y_check, z_drawn)
            total = total + (x_hat - x).square().sum(dim=(1, 2, 3)).mean() / SHAPE.num_complex
        if options.losses != "mse":
            sent, arrived = torch.cat([y.detach(), z], dim=1), torch.cat([aligned, z_drawn], dim=1)
            weight = options.mmd_weight if options.losses == "both" else 1.0
            total = total + weight * squared_mmd(sent, arrived)
        return total

    averaged, history = train_network(
        network,
        h,
        loss,
        lambda trained: unquantized_nmse_db(_as_network(trained), test.to(device)),
        options.schedule,
        checkpoint,
        identity | _identity(options),
        device,
        report,
        lambda trained: mmd_of_channels(partial(unquantized, _as_network(trained)), test.to(device)),
    )
    return _as_network(averaged), history


def _through_link(
    model: InvCsiNet,
    y: Tensor,
    bits: int,
    snr_db: Tensor,
    transitions: Transitions | None,
    generator: torch.Generator,
    progress: float,
    options: InvertibleOptions,
) -> Tensor:
    """Return what is detected of ``y``: [batch, M] float32."""
    quantizer = model.quantizer(bits)
    first, last = SHARPNESS
    y_soft = quantizer(y, first * (last / first) ** progress)
    noisy: Tensor
    if transitions is None:  # noise of the link's SNR against the power of the features
        deviation = (y_soft.detach().square().mean(dim=1) * 10 ** (-snr_db.to(y.device) / 10)).sqrt()
        noisy = y_soft + deviation[:, None] * torch.randn(y.shape, generator=generator).to(y.device)
        return noisy
    return detect(y_soft, quantizer.points(), transitions.at(snr_db).to(y.device), generator)


def _transitions(options: InvertibleOptions) -> dict[int, Transitions]:
    """Return those between the points of an entry, for each number of bits."""
    by_bits = {}
    for bits in widths_of(options.settings):
        order = from_labels(np.arange(2**bits), options.settings)  # label -> index
        by_bits[bits] = Transitions(bits, options.link, *options.snr_db, order)
    return by_bits


@torch.no_grad()
def _spread_points(network: InvCsiNet, settings: InvertibleSettings, h: Tensor) -> None:
    """Let the uniform points of each entry span `REACH` root mean squares of what the untrained network makes."""
    y, _ = network.invertible(to_planes(h))
    for bits in widths_of(settings):
        network.quantizer(bits).spread(REACH * y.square().mean(dim=0).sqrt())


def _freeze(network: InvCsiNet, options: InvertibleOptions) -> None:
    """Keep as they are at first what an ablation leaves out."""
    if not options.adaptive or options.ideal:
        network.quantizers.requires_grad_(requires_grad=False)
    if not options.compensation or options.ideal:
        network.alignment.requires_grad_(requires_grad=False)
        network.aux_mean.requires_grad = False
        network.aux_log_deviation.requires_grad = False


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
    return from_planes(network.invertible.inverse(y, network.aux_mean.expand(len(h), -1)))


@torch.no_grad()
def unquantized_nmse_db(network: InvCsiNet, h: Tensor) -> float:
    """Return 10 log10 of the mean NMSE with a codeword that arrives as it is, z at its mean."""
    parts = []
    for chunk in torch.split(h, CHUNK):
        parts.append(nmse(unquantized(network, chunk), chunk))
    value = to_db(float(torch.cat(parts).mean()))
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
