r"""Train stage 1 of RD-JSCC, or one of its baselines: encoder, link and decoder end to end.

    h -> (+ estimation error) -> encoder -> z -> its first k symbols ~ uplink, random SNR ~ -> decoder -> |h - h_hat|^2 / |h|^2
                                             '-> mu-law, B bits, straight through ----------^

A report has unit mean power, so that the NMSE is the MSE of the paper's eq. 2. Several prefixes (Matryoshka, eq. 12) are
decoded in one batch, whose statistics batch norm keeps, and their losses summed: with weights k / num_symbols, those of
the authors' public settings, or equal ones, the text's.

Source: Ankireddy et al., RD-JSCC, Algorithm 1, eqs. 2, 12, 13.
"""  # noqa: E501  (a drawing)

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.codecs import Fitted
from shared.codecs.jscc.codec import latent_bits, latent_quantizer, mean_snr_db, rate_range, to_latents, to_symbols
from shared.codecs.jscc.network import JsccDecoderNetwork, JsccEncoderNetwork
from shared.codecs.network_files import SHAPE
from shared.errors import InvalidArgumentError
from shared.metrics import nmse, to_db
from shared.model_files import TrainingRecord
from shared.network_settings import JsccSettings
from shared.training.feedback import draw_no_eff, draw_uniform, send_symbols
from shared.training.loop import Epoch, Schedule, train_network
from shared.training.macs import count_macs
from shared.transforms import from_planes, normalize_power, to_planes

CHUNK = 250  # reports at once where nothing is learned
MEASURED = 1000  # test channels measured after each epoch, at most
MEASURED_SNR_DB = 5.0  # at which


@dataclass(frozen=True, slots=True)
class JsccOptions:
    """What a training of joint source-channel coding is asked for.

    Attributes:
        settings: The network.
        schedule: Length and speed of the training.
        cnr_db: SNRs of the pilots, lowest and highest, drawn uniformly for each report; None: the UE knows its channel.
        device: ``cpu`` or ``cuda``.
    """

    settings: JsccSettings
    schedule: Schedule = field(default_factory=Schedule)
    cnr_db: tuple[float, float] | None = None
    device: str = "cpu"

    @property
    def described(self) -> str:
        """What the weights were trained by, for the card."""
        return loss_name(self.cnr_db)


def train_jscc(
    h: Tensor,
    test: Tensor,
    options: JsccOptions,
    checkpoint: Path,
    identity: dict[str, Any],
    report: Callable[[int, int, Epoch | None], None],
) -> tuple[nn.ModuleDict, list[Epoch]]:
    """Train a network.

    Args:
        h: [num_channels, 1, 32, 32] complex64, training split, angular-delay, unit mean power.
        test: [n, 1, 32, 32] complex64, measured after each epoch at `MEASURED_SNR_DB` over the uplink, the longest
            prefix.
        options: Network, schedule, estimation error.
        checkpoint: See `train_network`.
        identity: See `train_network`.
        report: See `train_network`.

    Returns:
        The averaged network, ``encoder`` and ``decoder``, and the epochs.

    Raises:
        InvalidArgumentError: See `train_network`.
        DataFileError: See `train_network`.
    """
    settings, device = options.settings, torch.device(options.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.schedule.seed)
        network = nn.ModuleDict({"encoder": JsccEncoderNetwork(settings), "decoder": JsccDecoderNetwork(settings)})

    def loss(trained: nn.Module, batch: Tensor, generator: torch.Generator, _: float) -> Tensor:
        snr_db = draw_uniform(*settings.snr_db, len(batch), generator)
        h_est = batch if options.cnr_db is None else with_estimation_error(batch, options.cnr_db, generator)
        total = torch.zeros((), device=batch.device)
        for num_symbols, h_hat in _reconstructions(trained, settings, h_est, snr_db, generator):
            error = (h_hat - batch).abs().square().flatten(1).mean(dim=1)
            weight = num_symbols / settings.num_symbols if settings.prefix_weights == "length" else 1.0
            total = total + weight * error.mean()
        return total

    averaged, history = train_network(
        network,
        h,
        loss,
        lambda trained: uplink_nmse_db(trained, settings, test[:MEASURED].to(device), MEASURED_SNR_DB),
        options.schedule,
        checkpoint,
        identity | {"jscc": settings.model_dump_json(), "cnr_db": options.cnr_db},
        device,
        report,
    )
    return nn.ModuleDict({half: averaged.get_submodule(half) for half in ("encoder", "decoder")}), history


def _reconstructions(
    trained: nn.Module, settings: JsccSettings, h_est: Tensor, snr_db: Tensor, generator: torch.Generator
) -> list[tuple[int, Tensor]]:
    """Return what the decoder makes of each prefix: its symbols, and [batch, 1, 32, 32] complex64."""
    encoder, decoder = trained.get_submodule("encoder"), trained.get_submodule("decoder")
    device, k = h_est.device, settings.num_symbols
    z = encoder(to_planes(h_est), snr_db.to(device)).float()
    if settings.bits_per_real is not None:
        quantizer, widths = latent_quantizer(settings), latent_bits(settings)
        quantized = quantizer.value(quantizer.index(z.detach().cpu(), widths), widths).to(device)
        z = z + (quantized - z).detach()  # straight through
        return [(k, from_planes(decoder(z, snr_db.to(device)).float()))]
    no_eff, prefixes = draw_no_eff(snr_db, k, generator), settings.prefixes or (k,)
    received, snr_after_db = [], []
    for prefix in prefixes:
        y = send_symbols(to_symbols(z[:, : 2 * prefix]), no_eff[:, :prefix], generator)
        received.append(to_latents(y, k))
        snr_after_db.append(mean_snr_db(no_eff[:, :prefix]).to(device))
    decoded = from_planes(decoder(torch.cat(received), torch.cat(snr_after_db)).float())
    return list(zip(prefixes, torch.split(decoded, len(h_est)), strict=True))


def loss_name(cnr_db: tuple[float, float] | None) -> str:
    """Return what a card says of a loss, with the SNRs of noisy pilots."""
    return "nmse" if cnr_db is None else f"nmse, CNR {cnr_db[0]:g} ... {cnr_db[1]:g} dB"


def with_estimation_error(h: Tensor, cnr_db: tuple[float, float], generator: torch.Generator) -> Tensor:
    """Return the channels with an additive error at a random CNR, at unit mean power as the UE sends them (eq. 13)."""
    deviation = (10 ** (-draw_uniform(*cnr_db, len(h), generator) / 10) / 2).sqrt()
    error = torch.view_as_complex(torch.randn(*h.shape, 2, generator=generator))
    return normalize_power(h + (error * deviation[:, None, None, None]).to(h.device))


@torch.no_grad()
def uplink_nmse_db(trained: nn.Module, settings: JsccSettings, h: Tensor, snr_db: float) -> float:
    """Return 10 log10 of the mean NMSE over the uplink, the longest prefix; the noise is always the same."""
    generator = torch.Generator().manual_seed(0)
    parts = []
    for chunk in torch.split(h, CHUNK):
        h_hat = _reconstructions(trained, settings, chunk, torch.full((len(chunk),), snr_db), generator)[-1][1]
        parts.append(nmse(h_hat, chunk))
    value = to_db(float(torch.cat(parts).mean()))
    return float("-inf") if value is None else value


def as_jscc_codec(
    title: str, source: str, network: nn.ModuleDict, settings: JsccSettings, h: Tensor, record: TrainingRecord
) -> Fitted:
    """Put a trained network into the tensors of a model file.

    Args:
        title: One line for people.
        source: Publication.
        network: ``encoder`` and ``decoder``, in evaluation mode on the host.
        settings: The network's.
        h: [num_channels, 1, 32, 32] complex64, training split: its mean is what a lost report becomes.
        record: How the weights came to be.
    """
    tensors = {f"network.{key}": value.contiguous() for key, value in network.state_dict().items()}
    _, high = rate_range(settings)
    snr_db = torch.zeros(1)
    return Fitted(
        tensors | {"mean": h.mean(dim=0)},
        title,
        source,
        settings.prefixes or (high,),
        links=("analog",) if settings.bits_per_real is None else ("ideal", "digital"),
        encoder_macs=count_macs(network["encoder"], torch.zeros(1, 2, *SHAPE.dims[1:]), snr_db),
        decoder_macs=count_macs(network["decoder"], torch.zeros(1, 2 * settings.num_symbols), snr_db),
        jscc=settings,
        training=record,
    )


def require_device(device: str) -> None:
    """Raise unless torch has the device.

    Raises:
        InvalidArgumentError: If it is CUDA and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InvalidArgumentError("`device` must be one this machine has; got cuda, and torch finds no CUDA device.")
