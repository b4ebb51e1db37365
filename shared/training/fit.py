"""Fit or train a codec on a training split, measure it on a test split, and write model file and card.

training split -> tensors (closed form, or the training loop) -> NMSE of each rate on the test split -> file, card
                                      of a codec that reports a precoder: SGCS --'
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs import (
    CodecEntry,
    DecodeContext,
    EncodeContext,
    Fitted,
    SymbolDecoder,
    SymbolEncoder,
    make_decoder,
    make_encoder,
    make_model,
)
from shared.codecs.float32 import BITS_PER_COMPLEX
from shared.codecs.reference import OwnModel, import_entry, is_reference, require_own_name
from shared.directions import layer_directions, precoder_directions
from shared.errors import InvalidArgumentError
from shared.links.analog import AnalogLink
from shared.links.label import AnalogLabel
from shared.metrics import nmse, to_db
from shared.metrics.sgcs import direction_similarity
from shared.model_files import MeasuredNmse, MeasuredSgcs, ModelFile, save_model
from shared.network_settings import CodebookSettings, EigenvectorSettings
from shared.rng import Randomness
from shared.training.angular_topk import fit_angular_topk
from shared.training.codebook import make_codebook
from shared.training.compressed_sensing import NUM_ITERATIONS, fit_cs_lasso, fit_cs_omp
from shared.training.klt import fit_klt
from shared.training.klt_analog import NUM_COEFFICIENTS, fit_klt_analog
from shared.transforms import from_angular_delay

MEASURED_RATES = (32, 64, 128, 256, 512, 1024)
SPARSE_RATES = (32, 128, 512, 1024)  # fewer: the recovery of thousands of reports takes seconds
SYMBOL_RATES = (1, 8, 16, 32, 64, 128)
NOISELESS_SNR_DB = 80.0  # at which a codec of symbols is measured
CHUNK = 500  # reports measured at once: a network holds all its layers for each


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


def _fit_cs_omp(h: Tensor) -> Fitted:
    num_complex, tensors = h[0].numel(), fit_cs_omp(h)
    measurements, atoms = int(tensors["num_measurements"][-1]), int(tensors["num_atoms"][-1])
    return Fitted(
        tensors,
        "Compressed sensing: Gaussian measurements, orthogonal matching pursuit",
        "Tropp and Gilbert 2007; quantiser: csilink",
        SPARSE_RATES,
        encoder_macs=4 * num_complex * measurements,
        decoder_macs=4 * measurements * atoms * (num_complex + 2 * atoms),
    )


def _fit_cs_lasso(h: Tensor) -> Fitted:
    num_complex, tensors = h[0].numel(), fit_cs_lasso(h)
    macs = 4 * num_complex * int(tensors["num_measurements"][-1])
    return Fitted(
        tensors,
        f"Compressed sensing: Gaussian measurements, lasso by FISTA, {NUM_ITERATIONS} iterations",
        "Tibshirani 1996; Beck and Teboulle 2009; quantiser: csilink",
        SPARSE_RATES,
        encoder_macs=macs,
        decoder_macs=2 * NUM_ITERATIONS * macs,
    )


def _fit_float(h: Tensor) -> Fitted:
    num_bits = BITS_PER_COMPLEX * h[0].numel()
    return Fitted({}, "No compression, 32-bit floats, ideal link only", "IEEE 754", (num_bits,), links=("ideal",))


CLOSED_FORM: dict[str, Callable[[Tensor], Fitted]] = {
    "klt": _fit_klt,
    "klt-analog": _fit_klt_analog,
    "angular-topk": _fit_angular_topk,
    "cs-omp": _fit_cs_omp,
    "cs-lasso": _fit_cs_lasso,
    "float": _fit_float,
}


def fit_codec(
    codec: str, train: ChannelSet, test: ChannelSet, folder: Path, command: str, name: str | None = None
) -> ModelFile:
    """Fit, measure over an ideal link, and save a codec of closed form or of the user's own.

    Args:
        codec: Key of `CLOSED_FORM`, or ``package.module:ENTRY``.
        train: Training split.
        test: Test split, of the same shape and domain.
        folder: Where ``<name>.safetensors`` and its card go.
        command: The command line, for the card.
        name: Name of the model; None for the codec's. One of the user's own must be named.

    Raises:
        InvalidArgumentError: If the codec has no recipe, the name may not be used, or the splits do not fit together.
    """
    if is_reference(codec):
        return _fit_own(codec, train, test, folder, command, name)
    if codec not in CLOSED_FORM:
        raise InvalidArgumentError(f"`codec` must be one of {', '.join(CLOSED_FORM)}; got {codec!r}.")
    require_splits(train, test)
    trained_on = "none" if codec == "float" else train.identity
    return save_codec(codec, CLOSED_FORM[codec](train.h), trained_on, test, folder, command, name)


def fit_codebook(
    codec: str, settings: CodebookSettings, test: ChannelSet, folder: Path, command: str, name: str | None = None
) -> ModelFile:
    """Measure a codebook of the standard over an ideal link, and save it; it learns nothing.

    Args:
        codec: Key of `shared.training.codebook.CODEBOOKS`.
        settings: Rank, subbands, port mapping.
        test: Test split, of the shape and domain that the model is for.
        folder: Where ``<name>.safetensors`` and its card go.
        command: The command line, for the card.
        name: Name of the model; None for the codec's.

    Raises:
        InvalidArgumentError: If there is no such codebook for such channels.
    """
    if test.eigenvectors is not None:
        found = f"{test.name} holds {kind_of(test.eigenvectors)}"
        raise InvalidArgumentError(f"`test` must hold channels, whose eigenvectors a codebook finds itself; {found}.")
    return save_codec(codec, make_codebook(codec, test.shape, settings), "none", test, folder, command, name)


def _fit_own(
    reference: str, train: ChannelSet, test: ChannelSet, folder: Path, command: str, name: str | None
) -> ModelFile:
    entry = import_entry(reference)
    if entry.fit is None:
        raise InvalidArgumentError(f"`codec` {reference} must have a `fit` to be trained; its entry has none.")
    require_own_name(reference, name)
    require_splits(train, test)
    fitted = entry.fit(train.h)
    if not isinstance(fitted, Fitted):
        raise InvalidArgumentError(f"`fit` of codec {reference} must give a Fitted; got {type(fitted).__name__}.")
    return save_codec(reference, fitted, train.identity, test, folder, command, name, entry)


def require_splits(train: ChannelSet, test: ChannelSet) -> None:
    """Raise unless ``test`` can measure what is trained on ``train``.

    Raises:
        InvalidArgumentError: If it is the same file or of another shape.
    """
    if train.sha256 == test.sha256:
        raise InvalidArgumentError(f"`test` must be another file than `data`; both hold {test.identity}.")
    if train.shape != test.shape:
        raise InvalidArgumentError(f"`test` must hold {train.shape}, as `data` does; got {test.shape}.")
    if train.eigenvectors != test.eigenvectors:
        wanted, found = (kind_of(one.eigenvectors) for one in (train, test))
        how = "" if train.eigenvectors is None else " (`csi-lab data eigenvectors`)"
        raise InvalidArgumentError(f"`test` must hold {wanted}{how}, as `data` does; {test.name} holds {found}.")


def kind_of(eigenvectors: EigenvectorSettings | None) -> str:
    """Return what a data set holds, in words."""
    if eigenvectors is None:
        return "channels"
    return f"rank-{eigenvectors.rank} eigenvectors of {eigenvectors.num_subbands} subbands"


def save_codec(
    codec: str,
    fitted: Fitted,
    trained_on: str,
    test: ChannelSet,
    folder: Path,
    command: str,
    name: str | None,
    entry: CodecEntry | None = None,
) -> ModelFile:
    """Measure a codec at each of its rates over an ideal link, and write model file and card.

    One of eigenvectors reports precoders: it takes channels and encodes their eigenvectors, by its card.

    Args:
        codec: Key of `shared.codecs.CODECS`, or the reference of ``entry``.
        fitted: What was fitted, trained or imported.
        trained_on: The training data, for the card.
        test: Test split.
        folder: Where the two files go.
        command: The command line, for the card.
        name: Name of the model; None for the codec's.
        entry: The user's own code; None for a key.
    """
    model = make_model(name or codec, test.shape, fitted, codec, command, trained_on, test.identity, test.eigenvectors)
    if entry is not None:
        model = OwnModel(model.card, model.tensors, entry)
    measured: dict[str, list[MeasuredNmse] | list[MeasuredSgcs]] = {}
    if model.card.output == "precoder":
        measured["measured_sgcs"] = [
            MeasuredSgcs(rate=rate, sgcs=measure_sgcs(model, test, rate)) for rate in fitted.rates
        ]
    else:
        measured["measured"] = [
            MeasuredNmse(rate=rate, nmse_db=measure_nmse_db(model, test, rate)) for rate in fitted.rates
        ]
    return save_model(ModelFile(model.card.model_copy(update=measured), model.tensors), folder)


def measure_nmse_db(model: ModelFile, test: ChannelSet, rate: int) -> float | None:
    """Return 10 log10 of the mean NMSE of a model over an ideal link, rounded to 0.001 dB; None if exact.

    The symbols of an analog codec are sent over AWGN at `NOISELESS_SNR_DB`, at unit power as always.
    """
    value = to_db(float(torch.cat([nmse(h_hat, h) for h_hat, h in _reconstructed(model, test, rate)]).mean()))
    return None if value is None else round(value, 3)


def measure_sgcs(model: ModelFile, test: ChannelSet, rate: int) -> float:
    """Return the mean SGCS of the precoders that a model reports over an ideal link, rounded to 0.0001."""
    found = []
    for h_hat, h in _reconstructed(model, test, rate):
        f_hat, f = (from_angular_delay(x) if model.card.domain == "angular-delay" else x for x in (h_hat, h))
        v_hat, v = precoder_directions(f_hat), layer_directions(f, 1, f.shape[-1])
        found.append(direction_similarity(v_hat, v).mean(dim=(1, 2)))
    return round(float(torch.cat(found).mean()), 4)


def _reconstructed(model: ModelFile, test: ChannelSet, rate: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield h_hat and h, chunk by chunk."""
    device = torch.device("cpu")
    encoder, decoder = make_encoder(model, device), make_decoder(model, device)
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
        yield h_hat, h
