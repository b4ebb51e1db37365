r"""Train CSI-INR by meta-learning: a base network from which a few gradient steps on a codeword lead to any channel.

    for each batch: some of the 1,024 coordinates (drawn)
        inner: M <- 0, then s steps of eq. 18 on them, the network fixed                                  [batch, n]
        outer: theta <- theta - beta grad_theta |f_theta(x, M_s) - h|^2                                    (eq. 19)

Second order: the outer gradient goes through the inner steps too, as the paper's section IV-F has it. First order: M_s
counts as fixed, as its text on eq. 19 says, at a third of the work. Inner rates are the paper's one number, or learned beside theta (Meta-SGD), one for each
entry of M in each step.

Ours, and not the paper's: beta (the paper's 1e-6 is for many more steps than two cores make) and its schedule, averaged
weights, coordinates drawn for each batch in place of all of them.

Source: H. Wu et al., "MIMO Channel as a Neural Function", algorithm 1; Z. Li et al., "Meta-SGD", 2017.
"""  # noqa: E501  (a drawing)

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from shared.codecs import Fitted
from shared.codecs.csi_inr.codec import BITS, fit_codewords, load_csi_inr, rate_range, without_quantization
from shared.codecs.csi_inr.network import CsiInr, to_samples
from shared.codecs.fitted import DIGITAL
from shared.coding.arithmetic import cumulative_table
from shared.coding.latents import LatentQuantizer
from shared.errors import InvalidArgumentError
from shared.metrics import nmse, to_db
from shared.model_files import TrainingRecord, load_model
from shared.network_settings import CoordinateSettings
from shared.training.autoencoder import design_quantizer
from shared.training.loop import Epoch, Schedule, train_network

DESIGN_SAMPLES = 4000  # reports of the training split whose codewords quantiser and tables are made from
MEASURED_BITS = 3, 4, 5, 6, 8, 14  # of an entry, on the card
MEASURED = 250  # test channels measured after each epoch, at most
SCHEDULE = Schedule(batch_size=16, learning_rate=6e-5, final_learning_rate=1e-6, precision="float32", clip_norm=1.0)
DESCRIBED = {
    "csi-inr": (
        "CSI-INR: a coordinate network, a codeword found by gradient steps",
        "Wu et al., MIMO Channel as a Neural Function",
    ),
    "coin-plus-plus": (
        "COIN++: a coordinate network, shifts of it found by gradient steps",
        "Dupont et al., COIN++: Neural compression across modalities, TMLR 2022",
    ),
}


@dataclass(frozen=True, slots=True)
class CsiInrOptions:
    """What a training of CSI-INR is asked for.

    Attributes:
        settings: The network.
        schedule: Length and speed of the outer loop; None to leave the start's weights as they are, and only make its
            codewords another way to travel.
        order: Of the meta-gradient, 1 or 2.
        num_points: Coordinates of a batch, of 1,024.
        start: Name or path of a model that is trained on, for other inner steps say; None for fresh weights.
        device: ``cpu`` or ``cuda``.
    """

    settings: CoordinateSettings
    schedule: Schedule | None = SCHEDULE
    order: Literal[1, 2] = 2
    num_points: int = 256
    start: str | None = None
    device: str = "cpu"

    @property
    def described(self) -> str:
        """What the weights were trained by, for the card."""
        rates = "learned inner rates" if self.settings.learned_rates else "one inner rate"
        order = "second" if self.order == 2 else "first"
        on = "" if self.start is None else f", from {Path(self.start).stem}"
        return f"MSE after {self.settings.inner_steps} inner steps, MAML of {order} order, {rates}{on}"


def train_csi_inr(
    h: Tensor,
    test: Tensor,
    options: CsiInrOptions,
    checkpoint: Path,
    identity: dict[str, Any],
    report: Callable[[int, int, Epoch | None], None],
) -> tuple[CsiInr, list[Epoch]]:
    """Train a base network, its modulation and its inner rates.

    Args:
        h: [num_channels, 1, 32, 32] complex64, training split, angular-delay, unit mean power.
        test: Likewise, test split.
        options: Network, schedule, order.
        checkpoint: See `train_network`.
        identity: See `train_network`.
        report: See `train_network`; the NMSE is that of codewords as they are, on the first `MEASURED` channels.

    Raises:
        InvalidArgumentError: See `train_network`; if the start is another network.
        DataFileError: See `train_network`.
    """
    settings, device = options.settings, torch.device(options.device)
    num_grid = h[0].numel()
    if not 1 <= options.num_points <= num_grid:
        raise InvalidArgumentError(f"`num_points` must be in [1, {num_grid}]; got {options.num_points}.")
    network = _start(options)
    if options.schedule is None:
        return network.eval(), []

    def loss(trained: nn.Module, batch: Tensor, generator: torch.Generator, _progress: float) -> Tensor:
        model = _as_network(trained)
        points = torch.randperm(num_grid, generator=generator)[: options.num_points].to(device)
        y, x = to_samples(batch)[:, points], model.grid[points]
        codeword = model.adapt(y, x, settings.inner_steps, options.order)
        value: Tensor = (model.base(codeword, x) - y).square().sum(dim=2).mean()
        return value

    averaged, history = train_network(
        network,
        h,
        loss,
        lambda trained: unquantized_nmse_db(_as_network(trained), test[:MEASURED].to(device), settings.inner_steps),
        options.schedule,
        checkpoint,
        identity | _identity(options),
        device,
        report,
    )
    return _as_network(averaged), history


def _start(options: CsiInrOptions) -> CsiInr:
    """Return the network that training starts from; inner steps that a given one has not take its last rates."""
    settings = options.settings
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.schedule.seed if options.schedule else 0)
        network = CsiInr(settings)
    if options.start is None:
        return network
    start = load_model(options.start, option="start_from")
    found, may_differ = start.card.coordinates, {"inner_steps": settings.inner_steps, "coding": settings.coding}
    if found is None or found.model_copy(update=may_differ) != settings:
        raise InvalidArgumentError(
            f"`start_from` must be {settings.codec} of {settings}; got {start.card.name}, {found}."
        )
    trained = load_csi_inr(start)
    network.base.load_state_dict(trained.base.state_dict())
    with torch.no_grad():
        for step in range(settings.inner_steps):
            network.log_rates[step] = trained.log_rates[min(step, len(trained.log_rates) - 1)]
    return network


def kept_record(options: CsiInrOptions) -> TrainingRecord | None:
    """Return how the weights came to be where nothing is trained; None where something is."""
    if options.schedule is not None or options.start is None:
        return None
    return load_model(options.start, option="start_from").card.training


def _as_network(trained: nn.Module) -> CsiInr:
    if not isinstance(trained, CsiInr):
        raise TypeError(f"the loop must hand over a CsiInr; got {type(trained).__name__}.")
    return trained


def _identity(options: CsiInrOptions) -> dict[str, Any]:
    """Return what must be equal for a checkpoint to be continued, beside data and schedule."""
    return {
        "coordinates": options.settings.model_dump_json(),
        "order": options.order,
        "num_points": options.num_points,
        "start": options.start,
    }


def unquantized_nmse_db(network: CsiInr, h: Tensor, num_steps: int) -> float:
    """Return 10 log10 of the mean NMSE of codewords that are not quantised, after ``num_steps`` inner steps."""
    value = to_db(float(nmse(without_quantization(network, h, num_steps), h).mean()))
    return float("-inf") if value is None else value


def as_csi_inr_codec(network: CsiInr, settings: CoordinateSettings, h: Tensor, record: TrainingRecord) -> Fitted:
    """Put a trained network into the tensors of a model file, with quantiser, and tables or norm as its coding needs.

    Args:
        network: In evaluation mode on the host.
        settings: The network's.
        h: [num_channels, 1, 32, 32] complex64, training split.
        record: How the weights came to be.
    """
    codewords = fit_codewords(network, h[:: -(-len(h) // DESIGN_SAMPLES)], settings.inner_steps)
    quantizer = design_quantizer("uniform", codewords, BITS["uniform"][1])
    tensors = {f"network.{key}": value.contiguous() for key, value in network.state_dict().items()}
    tensors |= {
        "mean": h.mean(dim=0),
        "quantizer.centre": quantizer.centre,
        "quantizer.scale": quantizer.scale,
        "quantizer.clip": quantizer.clip,
    }
    if settings.coding == "entropy":
        tensors |= count_tables(quantizer, codewords)
    if settings.coding == "analog":
        unit = (codewords - quantizer.centre) / quantizer.scale
        tensors["analog.norm"] = unit.double().square().sum(dim=1).sqrt().mean().float()
    low, high = rate_range(settings)
    n = settings.num_latents
    rates = (low,) if low == high else tuple(n * bits for bits in MEASURED_BITS if low <= n * bits <= high)
    base = base_macs(settings)
    title, source = DESCRIBED[settings.codec]
    return Fitted(
        tensors,
        title,
        source,
        rates,
        links=("analog",) if settings.coding == "analog" else DIGITAL,
        length="variable" if settings.coding == "entropy" else "fixed",
        encoder_macs=2 * settings.inner_steps * base,
        decoder_macs=base,
        coordinates=settings,
        training=record,
    )


def base_macs(settings: CoordinateSettings) -> int:
    """Return the multiply-accumulates of the network on a channel; a gradient on the codeword costs as many again.

    COIN++ has no encoding, and a first layer of two inputs.

    Table V counts those of the layers and of encoding and output, 1024 (d^2 (L_t - 3) + 4 d); here the maps of the
    codeword are counted too, and L_t is `num_layers` + 4.

    Example:
        >>> base_macs(CoordinateSettings(num_latents=8, width=64, num_layers=6)) - 8 * 2 * 6 * 64
        29622272
    """
    d, layers, n = settings.width, settings.num_layers, settings.num_latents
    if settings.modulation == "shift":
        return 1024 * (d**2 * (layers - 1) + 4 * d) + n * layers * d
    return 1024 * (d**2 * (layers + 1) + 4 * d) + n * 2 * layers * d


def count_tables(quantizer: LatentQuantizer, codewords: Tensor) -> dict[str, Tensor]:
    """Count how often each entry takes each index, for each number of bits.

    Args:
        quantizer: Of the codewords.
        codewords: [num_reports, n] float32, of the training split.

    Returns:
        ``entropy.<bits>`` -> [n, 2^bits + 1] int64, see `shared.coding.arithmetic.cumulative_table`: an index that no
        report has keeps the least frequency.
    """
    n, (least, most) = codewords.shape[1], BITS["entropy"]
    tables = {}
    for bits in range(least, most + 1):
        index = quantizer.index(codewords, np.full(n, bits)).numpy()
        counts = np.stack([np.bincount(column, minlength=2**bits) for column in index.T])
        tables[f"entropy.{bits}"] = torch.from_numpy(cumulative_table(counts))
    return tables
