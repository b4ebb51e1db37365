r"""Train parts of an autoencoder again, with something between its halves: correctors, and any codec through a link.

    x -> encoder -> z -> quantiser | noise | quantiser, link -> z_hat -> [corrector] -> z_check -> decoder -> x_hat

| codec | stages after the training without a quantiser | source |
|---|---|---|
| `csinet-plus` | dequantiser, by e; then dequantiser and decoder, by NMSE + e | Chen et al., 2019 |
| `dnnet` | noise extraction unit, behind white noise of the link's SNR, by e | Ye et al., 2020 |
| `atnet` | error correction block, behind quantiser and bit errors, by e | Chang et al., 2021 |
| any, `--through-link` | all parts, behind quantiser and bit errors, by NMSE | InvCSINet, eqs. 25 to 31 |

e = |z_check - z|^2 in units of each latent's deviation, in which correctors work. What is not trained stays in
evaluation mode. Ours: for each step the bits of a latent are drawn, the SNR for each report, so that one model serves
all of them; the shares of the epochs; the equal weight of the two losses of `csinet-plus`, and `FINE_TUNING`.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from shared.codecs.autoencoder.codec import Autoencoder, correct
from shared.coding.latents import LatentQuantizer
from shared.errors import InvalidArgumentError
from shared.metrics import nmse, to_db
from shared.model_files import ModelFile, load_model
from shared.network_settings import NetworkSettings
from shared.networks.bit_channel import detect
from shared.training.autoencoder import NMSE_SHARE, NetworkOptions, fit_latent_quantizer, train_autoencoder
from shared.training.feedback import draw_uniform
from shared.training.loop import Epoch, train_network
from shared.training.transitions import Transitions

SGCS_LOSS = f"nmse for {100 * NMSE_SHARE:g} % of the steps, then sgcs"  # on cards
FINE_TUNING = 0.2  # of the learning rate, in a stage that trains the decoder again
MEASURED_SEED = 7
CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Stage:
    """One of them.

    Attributes:
        trained: Names of the parts.
        between: What z goes through.
        loss: ``latents``, ``channel``, or ``both``.
        share: Of the epochs.
    """

    trained: tuple[Literal["encoder", "corrector", "decoder"], ...]
    between: Literal["quantizer", "noise", "link"]
    loss: Literal["latents", "channel", "both"]
    share: float = 1 / 6


STAGES: dict[str, tuple[Stage, ...]] = {
    "csinet-plus": (
        Stage(("corrector",), "quantizer", "latents"),
        Stage(("corrector", "decoder"), "quantizer", "both"),
    ),
    "dnnet": (Stage(("corrector",), "noise", "latents"),),
    "atnet": (Stage(("corrector",), "link", "latents"),),
}
THROUGH_LINK = Stage(("encoder", "corrector", "decoder"), "link", "channel", share=1.0)


class Between:
    """What z goes through in a stage.

    Args:
        what: See `Stage`.
        quantizer: Of the latents, on the device.
        options: Bits, SNR, link.
    """

    def __init__(self, what: str, quantizer: LatentQuantizer, options: NetworkOptions) -> None:
        self.what, self.quantizer, self.options = what, quantizer, options
        low, high = options.bits
        widths = range(low, high + 1) if what == "link" else ()
        self.transitions = {bits: Transitions(bits, options.link, *options.snr_db) for bits in widths}

    def __call__(self, z: Tensor, generator: torch.Generator, measured: bool = False) -> Tensor:
        """Return z_hat, [batch, num_latents]; gradients reach ``z`` through a link.

        Args:
            z: [batch, num_latents] float32.
            generator: On the host.
            measured: Whether at the most bits and the middle SNR; else they are drawn.
        """
        low, high = self.options.bits
        snr_db = draw_uniform(*self.options.snr_db, len(z), generator)
        bits = int(torch.randint(low, high + 1, (), generator=generator))
        if measured:
            bits, snr_db = high, torch.full_like(snr_db, sum(self.options.snr_db) / 2)
        if self.what == "noise":  # that of a real symbol
            deviation = 10 ** (-snr_db[:, None] / 20) / math.sqrt(2)
            noise = (torch.randn(z.shape, generator=generator) * deviation).to(z.device)
            return z + noise * self.quantizer.scale
        widths = np.full(z.shape[1], bits)
        index = self.quantizer.index(z.detach(), widths)
        if self.what == "quantizer":
            return self.quantizer.value(index, widths)
        transitions = self.transitions[bits].draw(snr_db, generator).to(z.device)
        return detect(z, index, self.quantizer.points(widths), transitions, generator)


def train_in_stages(
    codec: str,
    h: Tensor,
    test: Tensor,
    options: NetworkOptions,
    checkpoint: Path,
    identity: dict[str, Any],
    report: Callable[[int, int, Epoch | None], None],
) -> tuple[Autoencoder, LatentQuantizer, list[Epoch]]:
    """Train a network, design its quantiser, and train what comes after; or train a given one through a link.

    Args:
        codec: See `train_autoencoder`.
        h: See `train_autoencoder`.
        test: See `train_autoencoder`.
        options: Size, loss, schedule; what is between the halves; what to start from.
        checkpoint: See `train_network`; those of later stages lie beside it.
        identity: See `train_network`.
        report: See `train_network`; epochs are counted through.

    Raises:
        InvalidArgumentError: See `train_network`.
        DataFileError: See `train_network`.
    """
    lengths = epochs_of_stages(codec, options.schedule.epochs)
    stages = STAGES.get(codec, ())
    if options.loss == "sgcs" and (stages or options.start is not None):
        raise InvalidArgumentError(f"`loss` must be nmse or mse where {codec} is trained in stages; got sgcs.")
    if options.start is None and sum(lengths) != options.schedule.epochs:
        wanted = f"at least {len(lengths)}, of the stages of {codec}"
        raise InvalidArgumentError(f"`epochs` must be {wanted}; got {options.schedule.epochs}.")
    if options.start is not None:
        lengths, stages = (0, options.schedule.epochs), (THROUGH_LINK,)
        start, settings = load_start(codec, options.start)
        history: list[Epoch] = []
        model = Autoencoder.load(start)
        on_host = torch.device("cpu")
        quantizer = LatentQuantizer.load(settings.quantizer, settings.num_latents, start.tensors, on_host)
    else:
        first = replace(options, schedule=replace(options.schedule, epochs=lengths[0]))
        told = _counting(report, lengths, 0)
        model, history = train_autoencoder(codec, h, test, first, checkpoint, identity, told)
        quantizer = fit_latent_quantizer(options.quantizer, model, h)
    for number, stage in enumerate(stages, start=1):
        schedule = replace(options.schedule, epochs=lengths[number])
        if stage.loss == "both":
            rate = max(schedule.final_learning_rate, FINE_TUNING * schedule.learning_rate)
            schedule = replace(schedule, learning_rate=rate)
        of_stage = replace(options, schedule=schedule)
        told = _counting(report, lengths, number)
        path = checkpoint.with_name(checkpoint.name.replace(".checkpoint.pt", f".stage-{number}.checkpoint.pt"))
        model, epochs = train_stage(model, stage, quantizer, (h, test), of_stage, path, identity, told)
        history += [replace(epoch, epoch=epoch.epoch + sum(lengths[:number])) for epoch in epochs]
    return model, quantizer, history


def train_stage(
    model: Autoencoder,
    stage: Stage,
    quantizer: LatentQuantizer,
    splits: tuple[Tensor, Tensor],
    options: NetworkOptions,
    checkpoint: Path,
    identity: dict[str, Any],
    report: Callable[[int, int, Epoch | None], None],
) -> tuple[Autoencoder, list[Epoch]]:
    """Train the parts of one stage.

    Args:
        model: In evaluation mode on the host.
        stage: Which parts, behind what, by which loss.
        quantizer: Of its latents.
        splits: Channels of training and test, [n, 1, 32, 32] complex64, angular-delay, unit mean power.
        options: Schedule of this stage, bits, SNR, link.
        checkpoint: See `train_network`.
        identity: See `train_network`.
        report: See `train_network`; the NMSE is that of the test split behind what is between the halves, at the most
            bits and the middle SNR.

    Raises:
        InvalidArgumentError: See `train_network`.
        DataFileError: See `train_network`.
    """
    device = torch.device(options.device)
    identity = identity | {"stage": asdict(stage), "bits": options.bits, "snr_db": options.snr_db, "link": options.link}
    identity["from"] = _digest(model, quantizer)
    h, test = splits
    quantizer = quantizer.to(device)
    between = Between(stage.between, quantizer, options)
    parts = {name: part.to(device) for name, part in model.parts.items()}
    trained_parts = nn.ModuleDict({name: parts[name] for name in stage.trained if name in parts})
    trained_parts.requires_grad_(requires_grad=True)

    def assemble(trained: nn.Module) -> Autoencoder:
        found = parts | dict(trained.named_children())
        return Autoencoder(found["encoder"], found["decoder"], model.scaling, found.get("corrector"))

    def both_latents(
        built: Autoencoder, x: Tensor, generator: torch.Generator, measured: bool = False
    ) -> tuple[Tensor, Tensor]:
        z = built.encode(x)
        return z, correct(between(z, generator, measured), built.corrector, quantizer)

    def loss(trained: nn.Module, batch: Tensor, generator: torch.Generator, _progress: float) -> Tensor:
        built = assemble(trained)
        z, z_check = both_latents(built, batch, generator)
        total = torch.zeros((), device=device)
        if stage.loss != "channel":
            total = total + ((z_check - z.detach()) / quantizer.scale).square().mean()
        if stage.loss != "latents":
            total = total + (built.decode(z_check, built.peaks(batch)) - batch).abs().square().mean()
        return total

    @torch.no_grad()
    def measure(trained: nn.Module) -> float:
        built, generator = assemble(trained), torch.Generator().manual_seed(MEASURED_SEED)
        chunks = [chunk.to(device) for chunk in torch.split(test, CHUNK)]
        found = []
        for chunk in chunks:
            _, z_check = both_latents(built, chunk, generator, measured=True)
            found.append(nmse(built.decode(z_check, built.peaks(chunk)), chunk))
        value = to_db(float(torch.cat(found).mean()))
        return float("-inf") if value is None else value

    averaged, history = train_network(
        trained_parts, h, loss, measure, options.schedule, checkpoint, identity, device, report
    )
    built = assemble(averaged)
    for part in built.parts.values():
        part.eval().to("cpu").requires_grad_(requires_grad=False)
    return built, history


def epochs_of_stages(codec: str, epochs: int) -> tuple[int, ...]:
    """Return the epochs of the training without a quantiser, and of each stage after it, one at least.

    Example:
        >>> epochs_of_stages("csinet-plus", 12), epochs_of_stages("csinet", 12), epochs_of_stages("dnnet", 1)
        ((8, 2, 2), (12,), (1, 1))
    """
    later = tuple(max(1, round(stage.share * epochs)) for stage in STAGES.get(codec, ()))
    return max(1, epochs - sum(later)), *later


def load_start(codec: str, name_or_path: str) -> tuple[ModelFile, NetworkSettings]:
    """Load the model that is trained on; size, quantiser and scale stay its own.

    Raises:
        InvalidArgumentError: If it is of another codec.
        DataFileError: See `load_model`.
    """
    model = load_model(name_or_path, option="start_from")
    if model.card.codec != codec or model.card.network is None:
        raise InvalidArgumentError(
            f"`start_from` must be a model of {codec}; got {model.card.name}, {model.card.codec}."
        )
    if model.card.training is not None and SGCS_LOSS in model.card.training.loss:
        raise InvalidArgumentError(f"`start_from` must be trained by nmse or mse; {model.card.name} was by sgcs.")
    return model, model.card.network


def described(codec: str, options: NetworkOptions) -> str:
    """Return what a network was trained by, for its card.

    Example:
        >>> described("csinet", NetworkOptions()), described("dnnet", NetworkOptions())
        ('nmse', 'nmse; corrector: latents behind noise')
    """
    low, high = options.snr_db
    link = f"{options.link} at {low:g} ... {high:g} dB, {options.bits[0]} to {options.bits[1]} bits a latent"
    if options.start is not None:
        card = load_start(codec, options.start)[0].card
        return f"nmse through {link}, from {card.name} of {card.sha256[:12]}"
    names = {"quantizer": "quantizer", "noise": "noise", "link": link}
    later = [f"{' and '.join(s.trained)}: {s.loss} behind {names[s.between]}" for s in STAGES.get(codec, ())]
    return "; ".join([SGCS_LOSS if options.loss == "sgcs" else options.loss, *later])


def _digest(model: Autoencoder, quantizer: LatentQuantizer) -> str:
    """Return what changes with any weight that a stage begins with."""
    digest = hashlib.sha256(quantizer.companding.encode())
    for tensor in (quantizer.centre, quantizer.scale, quantizer.clip):
        digest.update(tensor.numpy().tobytes())
    for part in model.parts.values():
        for tensor in part.state_dict().values():
            digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _counting(
    report: Callable[[int, int, Epoch | None], None], lengths: tuple[int, ...], number: int
) -> Callable[[int, int, Epoch | None], None]:
    """Return what tells steps and epochs of one stage as parts of the whole."""
    before, every = sum(lengths[:number]), sum(lengths)

    def told(done: int, total: int, epoch: Epoch | None) -> None:
        per_epoch = total // lengths[number]
        counted = None if epoch is None else replace(epoch, epoch=epoch.epoch + before)
        report(before * per_epoch + done, every * per_epoch, counted)

    return told
