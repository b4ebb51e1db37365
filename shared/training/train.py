"""Train a network on a training split and save it as a codec, with its run manifest beside the card."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs import Fitted
from shared.codecs.autoencoder.codec import Autoencoder, peak_bits
from shared.codecs.network_files import SHAPE
from shared.coding.latents import MAX_WIDTH, LatentQuantizer
from shared.errors import InvalidArgumentError
from shared.model_files import ModelFile, TrainingRecord
from shared.network_settings import NetworkSettings
from shared.training.autoencoder import (
    NetworkOptions,
    fit_latent_quantizer,
    require_network_shape,
    unquantized_nmse_db,
)
from shared.training.csi_inr import CsiInrOptions, as_csi_inr_codec, kept_record, train_csi_inr
from shared.training.csi_inr import unquantized_nmse_db as nmse_db_of_codewords
from shared.training.fit import kind_of, require_splits, save_codec
from shared.training.invertible import InvertibleOptions, as_invertible_codec, train_invertible
from shared.training.jscc import JsccOptions, as_jscc_codec, train_jscc
from shared.training.jscc_presets import JSCC_NETWORKS
from shared.training.loop import Epoch, samples_seen
from shared.training.macs import count_macs
from shared.training.manifest import run_manifest
from shared.training.stages import described, load_start, train_in_stages

Options = NetworkOptions | JsccOptions | InvertibleOptions | CsiInrOptions


@dataclass(frozen=True, slots=True)
class Described:
    """What a card says of a network."""

    title: str
    source: str


NETWORKS: dict[str, Described] = {
    "csinet": Described("CsiNet: one convolution at the UE, two RefineNets at the BS", "Wen, Shih, Jin, IEEE WCL 2018"),
    "csinet-plus": Described("CsiNet+: larger kernels, offline dequantiser", "Guo et al., IEEE TWC 19(4), 2020"),
    "crnet": Described("CRNet: multi-resolution convolutions, two CRBlocks at the BS", "Lu, Wang, Song, ICC 2020"),
    "dnnet": Described("DNNet: CsiNet with a noise extraction unit", "Ye et al., IEEE Commun. Lett. 24(8), 2020"),
    "atnet": Described("ATNet: channel attention, error correction block", "Chang et al., IEEE WCL 10(12), 2021"),
    "transnet": Described("TransNet: transformers at both sides", "Cui, Guo, Song, IEEE WCL 11(5), 2022"),
    "dcrnet": Described("DCRNet-1x: dilated convolutions at both sides", "Tang et al., IEEE TVT 71(10), 2022"),
}


def train_codec(
    codec: str,
    train: ChannelSet,
    test: ChannelSet,
    options: Options,
    folder: Path,
    command: str,
    name: str | None,
    report: Callable[[int, int, Epoch | None], None],
) -> ModelFile:
    """Train a network, measure it without link (symbols: without noise), and save it with the manifest of its training.

    An interrupted training goes on from ``<folder>/<name>.checkpoint.pt`` when the same command runs again.

    Args:
        codec: Of `NETWORKS` or `JSCC_NETWORKS`, ``invcsinet`` or ``csi-inr``: the one that the options are for.
        train: Training split.
        test: Test split.
        options: Network, losses, schedule.
        folder: Where model file, card, manifest and checkpoint go.
        command: The command line, for card and manifest.
        name: Name of the model; None for the codec's.
        report: See `shared.training.loop.train_network`.

    Raises:
        InvalidArgumentError: If there is no such network or the splits do not fit.
        DataFileError: If the checkpoint is of another training.
    """
    if isinstance(options, NetworkOptions) and codec not in NETWORKS:
        raise InvalidArgumentError(f"`codec` must be one of {', '.join(NETWORKS)}; got {codec!r}.")
    require_splits(train, test)
    require_network_shape(train.shape, codec)
    _require_like_its_start(codec, train, options)
    name = name or codec
    identity = {"codec": codec, "training_data": train.sha256, "test_data": test.sha256}
    checkpoint = folder / f"{name}.checkpoint.pt"
    fitted, history = _trained(codec, train.h, test.h, options, checkpoint, identity, report)
    model = save_codec(codec, fitted, train.identity, test, folder, command, name)
    manifest = run_manifest(command, train.identity, test.identity, options, history)
    if isinstance(options, NetworkOptions) and options.loss == "sgcs":
        for epoch in manifest["epochs"]:
            epoch["one_minus_sgcs_db"] = epoch.pop("nmse_db")
    (folder / f"{name}.manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    for path in (checkpoint, *folder.glob(f"{name}.stage-*.checkpoint.pt")):
        path.unlink(missing_ok=True)
    return model


def _require_like_its_start(codec: str, train: ChannelSet, options: Options) -> None:
    """Raise unless what is trained on was trained on the same kind of data, and JSCC's errors are of channels.

    Raises:
        InvalidArgumentError: Naming the option.
    """
    if isinstance(options, NetworkOptions) and options.start is not None:
        start = load_start(codec, options.start)[0].card
        if start.eigenvectors != train.eigenvectors:
            wanted, found = (kind_of(one) for one in (start.eigenvectors, train.eigenvectors))
            raise InvalidArgumentError(f"`data` must hold {wanted}, as {start.name} takes them; got {found}.")
    if isinstance(options, JsccOptions) and options.cnr_db is not None and train.eigenvectors is not None:
        raise InvalidArgumentError("`cnr_db` must be left out with eigenvectors, which a UE takes of its estimate.")


def _trained(
    codec: str,
    h: Tensor,
    test: Tensor,
    options: Options,
    checkpoint: Path,
    identity: dict[str, Any],
    report: Callable[[int, int, Epoch | None], None],
) -> tuple[Fitted, list[Epoch]]:
    """Train by the kind of the options; return what goes into the model file, and the epochs."""
    arguments = checkpoint, identity, report

    def record(loss: str, history: list[Epoch], unquantized_nmse_db: float | None = None) -> TrainingRecord:
        return TrainingRecord(
            loss=loss,
            epochs=len(history),
            samples_seen=samples_seen(len(h), options.schedule, history) if options.schedule else None,
            unquantized_nmse_db=None if unquantized_nmse_db is None else round(unquantized_nmse_db, 3),
        )

    match options:
        case NetworkOptions():
            network, quantizer, history = train_in_stages(codec, h, test, options, *arguments)
            of_precoder = options.loss == "sgcs"
            unquantized = None if of_precoder else unquantized_nmse_db(network, test)
            told = record(described(codec, options), history, unquantized)
            settings = options.settings if options.start is None else load_start(codec, options.start)[1]
            fitted = as_codec(codec, network, settings, h, told, quantizer)
            return replace(fitted, output="precoder" if of_precoder else "channel"), history
        case JsccOptions():
            halves, history = train_jscc(h, test, options, *arguments)
            preset, told = JSCC_NETWORKS[codec], record(options.described, history)
            return as_jscc_codec(preset.title, preset.source, halves, options.settings, h, told), history
        case InvertibleOptions():
            invertible, history = train_invertible(h, test, options, *arguments)
            told = record(options.described, history, history[-1].nmse_db if options.ideal else None)
            return as_invertible_codec(invertible, options.settings, h, told), history
        case CsiInrOptions():
            coordinates, history = train_csi_inr(h, test, options, *arguments)
            of_codewords = nmse_db_of_codewords(coordinates, test, options.settings.inner_steps)
            told = kept_record(options) or record(options.described, history, of_codewords)
            return as_csi_inr_codec(coordinates, options.settings, h, told), history


def as_codec(
    codec: str,
    network: Autoencoder,
    settings: NetworkSettings,
    h: Tensor,
    record: TrainingRecord,
    quantizer: LatentQuantizer | None = None,
) -> Fitted:
    """Put a trained network and the quantiser of its latents into the tensors of a model file.

    Args:
        codec: Of `NETWORKS`.
        network: In evaluation mode.
        settings: What it needs beside its weights.
        h: [num_channels, 1, 32, 32] complex64 on which quantiser and mean channel are designed.
        record: How the weights came to be.
        quantizer: Of its latents; None to design it.
    """
    quantizer = quantizer or fit_latent_quantizer(settings.quantizer, network, h)
    tensors = {
        **{f"network.{part}.{key}": v for part, net in network.parts.items() for key, v in net.state_dict().items()},
        "quantizer.centre": quantizer.centre,
        "quantizer.scale": quantizer.scale,
        "quantizer.clip": quantizer.clip,
        "mean": h.mean(dim=0),
    }
    return Fitted(
        {key: value.contiguous() for key, value in tensors.items()},
        NETWORKS[codec].title,
        NETWORKS[codec].source,
        tuple(settings.num_latents * width + peak_bits(settings) for width in range(1, MAX_WIDTH + 1)),
        encoder_macs=count_macs(network.encoder, torch.zeros(1, 2, *SHAPE.dims[1:])),
        decoder_macs=sum(
            count_macs(part, torch.zeros(1, settings.num_latents))
            for name, part in network.parts.items()
            if name != "encoder"
        ),
        network=settings,
        training=record,
    )
