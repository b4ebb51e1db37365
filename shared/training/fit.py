"""Fit or train a codec on a training split, measure it on a test split, and write model file and card.

training split -> tensors (closed form, or the training loop) -> NMSE of each rate on the test split -> file, card
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, SymbolDecoder, SymbolEncoder, make_decoder, make_encoder
from shared.codecs.float32 import BITS_PER_COMPLEX
from shared.errors import InvalidArgumentError
from shared.links.analog import AnalogLink
from shared.links.label import AnalogLabel
from shared.metrics import nmse, to_db
from shared.model_files import CodecCard, MeasuredNmse, ModelFile, NetworkSettings, TrainingRecord, save_model
from shared.rng import Randomness
from shared.training.angular_topk import fit_angular_topk
from shared.training.klt import fit_klt
from shared.training.klt_analog import NUM_COEFFICIENTS, fit_klt_analog

MEASURED_RATES = (32, 64, 128, 256, 512, 1024)
SYMBOL_RATES = (1, 8, 16, 32, 64, 128)
NOISELESS_SNR_DB = 80.0  # at which a codec of symbols is measured
DIGITAL = ("ideal", "digital")
CHUNK = 500  # reports measured at once: a network holds all its layers for each


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fit gives, and what the card says of it beside what is measured.

    Attributes:
        tensors: Of the model file.
        title: One line for people.
        source: Publication or textbook.
        rates: At which it is measured, increasing; the first and the last are its range.
        links: Links that may carry it.
        encoder_macs: Multiply-accumulates of a report.
        decoder_macs: Likewise.
        network: Settings, where it is a network.
        training: How its weights came to be, where it is a network.
    """

    tensors: dict[str, Tensor]
    title: str
    source: str
    rates: tuple[int, ...]
    links: tuple[str, ...] = DIGITAL
    encoder_macs: int = 0
    decoder_macs: int = 0
    network: NetworkSettings | None = None
    training: TrainingRecord | None = None


def _require_enough(h: Tensor, codec: str) -> int:
    """Raise unless there are as many channels as dimensions; return the dimensions."""
    num_complex = h[0].numel()
    if len(h) < num_complex:
        raise InvalidArgumentError(f"`data` must hold at least {num_complex} channels for {codec}; got {len(h)}.")
    return num_complex


def _fit_klt(h: Tensor) -> Fitted:
    num_complex = _require_enough(h, "klt")
    tensors = fit_klt(h)
    num_coefficients = int(tensors["widths"][-1].nonzero()[-1]) // 2 + 1
    return Fitted(
        tensors,
        "Karhunen-Loeve transform, reverse water-filling, Lloyd-Max quantisers",
        "Berger 1971; Gersho and Gray 1992, chapter 8",
        MEASURED_RATES,
        encoder_macs=4 * num_complex * num_coefficients,
        decoder_macs=4 * num_complex * num_coefficients,
    )


def _fit_klt_analog(h: Tensor) -> Fitted:
    num_complex = _require_enough(h, "klt-analog")
    macs = 4 * num_complex * NUM_COEFFICIENTS
    return Fitted(
        fit_klt_analog(h),
        "Karhunen-Loeve coefficients as analog symbols, linear, optimal power",
        "Lee and Petersen 1976",
        SYMBOL_RATES,
        links=("analog",),
        encoder_macs=macs,
        decoder_macs=macs,
    )


def _fit_angular_topk(h: Tensor) -> Fitted:
    return Fitted(
        fit_angular_topk(h),
        "k strongest angular-delay taps: index, amplitude, phase",
        "sparsity: Kuo et al., WCNC 2012; quantiser: csilink",
        MEASURED_RATES,
    )


def _fit_float(h: Tensor) -> Fitted:
    num_bits = BITS_PER_COMPLEX * h[0].numel()
    return Fitted({}, "No compression, 32-bit floats, ideal link only", "IEEE 754", (num_bits,), links=("ideal",))


CLOSED_FORM: dict[str, Callable[[Tensor], Fitted]] = {
    "klt": _fit_klt,
    "klt-analog": _fit_klt_analog,
    "angular-topk": _fit_angular_topk,
    "float": _fit_float,
}


def fit_codec(
    codec: str, train: ChannelSet, test: ChannelSet, folder: Path, command: str, name: str | None = None
) -> ModelFile:
    """Fit, measure over an ideal link, and save a codec of closed form.

    Args:
        codec: Key of `CLOSED_FORM`.
        train: Training split.
        test: Test split, of the same shape and domain.
        folder: Where ``<name>.safetensors`` and its card go.
        command: The command line, for the card.
        name: Name of the model; None for the codec's.

    Raises:
        InvalidArgumentError: If the codec has no recipe or the splits do not fit together.
    """
    if codec not in CLOSED_FORM:
        raise InvalidArgumentError(f"`codec` must be one of {', '.join(CLOSED_FORM)}; got {codec!r}.")
    require_splits(train, test)
    trained_on = "none" if codec == "float" else train.identity
    return save_codec(codec, CLOSED_FORM[codec](train.h), trained_on, test, folder, command, name)


def require_splits(train: ChannelSet, test: ChannelSet) -> None:
    """Raise unless ``test`` can measure what is trained on ``train``.

    Raises:
        InvalidArgumentError: If it is the same file or of another shape.
    """
    if train.shape != test.shape or train.sha256 == test.sha256:
        raise InvalidArgumentError(f"`test` must be another file of shape {train.shape}; got {test.shape}.")


def save_codec(
    codec: str, fitted: Fitted, trained_on: str, test: ChannelSet, folder: Path, command: str, name: str | None
) -> ModelFile:
    """Measure a codec at each of its rates over an ideal link, and write model file and card.

    Args:
        codec: Key of `shared.codecs.CODECS`.
        fitted: What was fitted, trained or imported.
        trained_on: The training data, for the card.
        test: Test split.
        folder: Where the two files go.
        command: The command line, for the card.
        name: Name of the model; None for the codec's.
    """
    card = CodecCard(
        name=name or codec,
        codec=codec,
        title=fitted.title,
        source=fitted.source,
        sha256="0" * 64,  # `save_model` fills in digest and count
        domain=test.shape.domain,
        num_rx_ant=test.shape.num_rx_ant,
        num_tx_ant=test.shape.num_tx_ant,
        num_subcarriers=test.shape.num_subcarriers,
        output="channel",
        payload="symbols" if fitted.links == ("analog",) else "bits",
        min_rate=fitted.rates[0],
        max_rate=fitted.rates[-1],
        links=list(fitted.links),
        num_parameters=0,
        encoder_macs=fitted.encoder_macs,
        decoder_macs=fitted.decoder_macs,
        recipe=command,
        training_data=trained_on,
        test_data=test.identity,
        measured=[],
        network=fitted.network,
        training=fitted.training,
    )
    model = ModelFile(card, fitted.tensors)
    measured = [MeasuredNmse(rate=rate, nmse_db=measure_nmse_db(model, test, rate)) for rate in fitted.rates]
    return save_model(ModelFile(card.model_copy(update={"measured": measured}), fitted.tensors), folder)


def measure_nmse_db(model: ModelFile, test: ChannelSet, rate: int) -> float | None:
    """Return 10 log10 of the mean NMSE of a model over an ideal link, rounded to 0.001 dB; None if exact.

    The symbols of an analog codec are sent over AWGN at `NOISELESS_SNR_DB`, at unit power as always.
    """
    device = torch.device("cpu")
    encoder, decoder = make_encoder(model, device), make_decoder(model, device)
    ratios = []
    for sequence in np.array_split(np.arange(len(test.h)), -(-len(test.h) // CHUNK)):
        h = test.h[torch.from_numpy(sequence)]
        snr_db = np.zeros(len(h), dtype=np.float32)
        randomness = Randomness(0, np.zeros(len(h), dtype=np.uint32), sequence)
        if isinstance(encoder, SymbolEncoder) and isinstance(decoder, SymbolDecoder):
            snr_db += NOISELESS_SNR_DB
            symbols = encoder.encode_symbols(h, EncodeContext(rate, snr_db, randomness))
            received = AnalogLink(AnalogLabel()).transmit_symbols(symbols, snr_db, randomness)
            h_hat = decoder.decode_symbols(received, DecodeContext(rate, snr_db)).h_hat
        else:
            payload = encoder.encode(h, EncodeContext(rate, snr_db, randomness))
            h_hat = decoder.decode(payload, DecodeContext(rate, snr_db)).h_hat
        ratios.append(nmse(h_hat, h))
    value = to_db(float(torch.cat(ratios).mean()))
    return None if value is None else round(value, 3)
