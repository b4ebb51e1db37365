"""Train a network on a training split and save it as a codec, with its run manifest beside the card."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs import Fitted
from shared.codecs.autoencoder.codec import SHAPE, Autoencoder, peak_bits
from shared.coding.latents import MAX_WIDTH
from shared.errors import InvalidArgumentError
from shared.model_files import ModelFile, NetworkSettings, TrainingRecord
from shared.training.autoencoder import (
    NetworkOptions,
    fit_latent_quantizer,
    require_network_shape,
    train_autoencoder,
    unquantized_nmse_db,
)
from shared.training.fit import require_splits, save_codec
from shared.training.invertible import InvertibleOptions, as_invertible_codec, train_invertible
from shared.training.jscc import JsccOptions, as_jscc_codec, train_jscc
from shared.training.jscc_presets import JSCC_NETWORKS
from shared.training.loop import Epoch, samples_seen
from shared.training.macs import count_macs
from shared.training.manifest import run_manifest


@dataclass(frozen=True, slots=True)
class Described:
    """What a card says of a network."""

    title: str
    source: str


NETWORKS: dict[str, Described] = {
    "csinet": Described("CsiNet: one convolution at the UE, two RefineNets at the BS", "Wen, Shih, Jin, IEEE WCL 2018"),
    "crnet": Described("CRNet: multi-resolution convolutions, two CRBlocks at the BS", "Lu, Wang, Song, ICC 2020"),
}


def train_codec(
    codec: str,
    train: ChannelSet,
    test: ChannelSet,
    options: NetworkOptions,
    folder: Path,
    command: str,
    name: str | None,
    report: Callable[[int, int, Epoch | None], None],
) -> ModelFile:
    """Train a network, design its quantiser, measure it over an ideal link, and save it.

    An interrupted training goes on from ``<folder>/<name>.checkpoint.pt`` when the same command runs again.

    Args:
        codec: Key of `NETWORKS`.
        train: Training split.
        test: Test split.
        options: Size, loss, quantiser, schedule.
        folder: Where model file, card, manifest and checkpoint go.
        command: The command line, for card and manifest.
        name: Name of the model; None for the codec's.
        report: See `shared.training.loop.train_network`.

    Raises:
        InvalidArgumentError: If there is no such network or the splits do not fit.
        DataFileError: If the checkpoint is of another training.
    """
    if codec not in NETWORKS:
        raise InvalidArgumentError(f"`codec` must be one of {', '.join(NETWORKS)}; got {codec!r}.")
    require_splits(train, test)
    require_network_shape(train.shape, codec)
    name = name or codec
    identity = {"training_data": train.sha256, "test_data": test.sha256}
    checkpoint = folder / f"{name}.checkpoint.pt"
    network, history = train_autoencoder(codec, train.h, test.h, options, checkpoint, identity, report)
    record = TrainingRecord(
        loss=options.loss,
        epochs=len(history),
        samples_seen=samples_seen(len(train.h), options.schedule, history),
        unquantized_nmse_db=round(unquantized_nmse_db(network, test.h), 3),
    )
    fitted = as_codec(codec, network, options.settings, train.h, record)
    return _save(codec, fitted, train, test, options, history, folder, command, name)


def train_jscc_codec(
    codec: str,
    train: ChannelSet,
    test: ChannelSet,
    options: JsccOptions,
    folder: Path,
    command: str,
    name: str | None,
    report: Callable[[int, int, Epoch | None], None],
) -> ModelFile:
    """Train a network of joint source-channel coding, measure it without noise, and save it; as `train_codec`.

    Args:
        codec: Key of `JSCC_NETWORKS`.
        train: Training split.
        test: Test split.
        options: Network, schedule, estimation error.
        folder: Where model file, card, manifest and checkpoint go.
        command: The command line, for card and manifest.
        name: Name of the model; None for the codec's.
        report: See `shared.training.loop.train_network`.

    Raises:
        InvalidArgumentError: If the splits do not fit.
        DataFileError: If the checkpoint is of another training.
    """
    require_splits(train, test)
    require_network_shape(train.shape, codec)
    name = name or codec
    identity = {"codec": codec, "training_data": train.sha256, "test_data": test.sha256}
    network, history = train_jscc(train.h, test.h, options, folder / f"{name}.checkpoint.pt", identity, report)
    record = TrainingRecord(
        loss="nmse" if options.cnr_db is None else f"nmse, CNR {options.cnr_db[0]:g} ... {options.cnr_db[1]:g} dB",
        epochs=len(history),
        samples_seen=samples_seen(len(train.h), options.schedule, history),
    )
    preset = JSCC_NETWORKS[codec]
    fitted = as_jscc_codec(preset.title, preset.source, network, options.settings, train.h, record)
    return _save(codec, fitted, train, test, options, history, folder, command, name)


def train_invertible_codec(
    codec: str,
    train: ChannelSet,
    test: ChannelSet,
    options: InvertibleOptions,
    folder: Path,
    command: str,
    name: str | None,
    report: Callable[[int, int, Epoch | None], None],
) -> ModelFile:
    """Train an invertible network, measure it over an ideal link, and save it; as `train_codec`.

    Args:
        codec: ``invcsinet``.
        train: Training split.
        test: Test split.
        options: Network, losses, link, schedule.
        folder: Where model file, card, manifest and checkpoint go.
        command: The command line, for card and manifest.
        name: Name of the model; None for the codec's.
        report: See `shared.training.loop.train_network`.

    Raises:
        InvalidArgumentError: If the splits do not fit.
        DataFileError: If the checkpoint is of another training.
    """
    require_splits(train, test)
    require_network_shape(train.shape, codec)
    name = name or codec
    identity = {"codec": codec, "training_data": train.sha256, "test_data": test.sha256}
    network, history = train_invertible(train.h, test.h, options, folder / f"{name}.checkpoint.pt", identity, report)
    record = TrainingRecord(
        loss=options.described,
        epochs=len(history),
        samples_seen=samples_seen(len(train.h), options.schedule, history),
        unquantized_nmse_db=round(history[-1].nmse_db, 3),
    )
    fitted = as_invertible_codec(network, options.settings, train.h, record)
    return _save(codec, fitted, train, test, options, history, folder, command, name)


def _save(
    codec: str,
    fitted: Fitted,
    train: ChannelSet,
    test: ChannelSet,
    options: NetworkOptions | JsccOptions | InvertibleOptions,
    history: list[Epoch],
    folder: Path,
    command: str,
    name: str,
) -> ModelFile:
    """Save a trained codec and the manifest of its training; the checkpoint is no longer needed."""
    model = save_codec(codec, fitted, train.identity, test, folder, command, name)
    manifest = run_manifest(command, train.identity, test.identity, options, history)
    (folder / f"{name}.manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    (folder / f"{name}.checkpoint.pt").unlink()
    return model


def as_codec(
    codec: str,
    network: Autoencoder,
    settings: NetworkSettings,
    h: Tensor,
    record: TrainingRecord,
    described: Described | None = None,
) -> Fitted:
    """Put a trained network and the quantiser of its latents into the tensors of a model file.

    Args:
        codec: ``csinet`` or ``crnet``.
        network: In evaluation mode.
        settings: What it needs beside its weights.
        h: [num_channels, 1, 32, 32] complex64 on which quantiser and mean channel are designed.
        record: How the weights came to be.
        described: Title and source; None for those of the codec.
    """
    quantizer = fit_latent_quantizer(settings.quantizer, network, h)
    tensors = {
        **{f"network.encoder.{key}": value for key, value in network.encoder.state_dict().items()},
        **{f"network.decoder.{key}": value for key, value in network.decoder.state_dict().items()},
        "quantizer.centre": quantizer.centre,
        "quantizer.scale": quantizer.scale,
        "quantizer.clip": quantizer.clip,
        "mean": h.mean(dim=0),
    }
    described = described or NETWORKS[codec]
    return Fitted(
        {key: value.contiguous() for key, value in tensors.items()},
        described.title,
        described.source,
        tuple(settings.num_latents * width + peak_bits(settings) for width in range(1, MAX_WIDTH + 1)),
        encoder_macs=count_macs(network.encoder, torch.zeros(1, 2, *SHAPE.dims[1:])),
        decoder_macs=count_macs(network.decoder, torch.zeros(1, settings.num_latents)),
        network=settings,
        training=record,
    )
