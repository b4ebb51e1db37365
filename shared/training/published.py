"""Read the weights that the authors of CsiNet and CRNet published, and make codecs of ours from them.

| file | layout | what differs |
|---|---|---|
| Keras .h5, original | [re/im, angle, delay] | batch norm over the delay axis, none after the last convolution |
| Keras .h5, channels last | [angle, delay, re/im] | dense layers flatten (angle, delay, re/im): reordered here |
| PyTorch .pth | [re/im, angle, delay] | the names of `shared.codecs.autoencoder.crnet` are the file's |

All three were trained in CsiNet's scale, 0.5 x / max|x| about 0.5. A pickle in a .pth is never run (``weights_only``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs.autoencoder.codec import Autoencoder
from shared.codecs.autoencoder.csinet import NUM_REALS, SIDE
from shared.coding.latents import Companding
from shared.digests import sha256_of
from shared.errors import DataFileError, InvalidArgumentError
from shared.model_files import ModelFile, TrainingRecord
from shared.network_settings import NetworkSettings
from shared.training.autoencoder import require_network_shape, unquantized_nmse_db
from shared.training.fit import require_splits, save_codec
from shared.training.train import as_codec

State = dict[str, Tensor]

LARGEST_ARRAY = NUM_REALS * NUM_REALS  # a dense layer that compresses nothing; a small file can claim terabytes

KERAS_CONVS = ("encoder.0", *(f"decoder.{block}.body.{i}" for block in (2, 3) for i in (0, 3, 6)), "decoder.4")
KERAS_NORMS = ("encoder.1", *(f"decoder.{block}.body.{i}" for block in (2, 3) for i in (1, 4, 7)))
KERAS_DENSES = ("encoder.4", "decoder.0")


@dataclass(frozen=True, slots=True)
class Published:
    """Weights from a file.

    Attributes:
        codec: ``csinet`` or ``crnet``.
        network: In evaluation mode.
        settings: What it needs beside its weights.
        source: What the file is, in words.
    """

    codec: str
    network: Autoencoder
    settings: NetworkSettings
    source: str


def read_published(path: Path, quantizer: Companding) -> Published:
    """Read published weights.

    Args:
        path: CsiNet's Keras .h5, or CRNet's PyTorch .pth.
        quantizer: The quantiser that is to follow the latents.

    Raises:
        DataFileError: If the file is neither, is damaged, or holds another network.
        ImportError: If h5py is needed and not there.
    """
    readers: dict[str, Callable[[Path, Companding], Published]] = {".h5": _read_keras, ".pth": _read_crnet}
    if path.suffix not in readers or not path.is_file():
        raise DataFileError(f"`weights` must be a file ending in {' or '.join(readers)}; got {str(path)!r}.")
    try:
        return readers[path.suffix](path, quantizer)
    except (KeyError, IndexError, TypeError, AttributeError) as error:  # a tensor that is not there or another thing
        raise DataFileError(f"`{path}` does not hold the weights of a known network: {error!r}") from error


def import_codec(
    path: Path, design: ChannelSet, test: ChannelSet, quantizer: Companding, folder: Path, command: str, name: str
) -> ModelFile:
    """Make a codec of published weights, measure it over an ideal link, and save it.

    Args:
        path: See `read_published`.
        design: Channels on which the quantiser of the latents and the mean channel are computed.
        test: Test split.
        quantizer: The quantiser that follows the latents.
        folder: Where model file and card go.
        command: The command line, for the card.
        name: Name of the model.

    Raises:
        DataFileError: See `read_published`.
        InvalidArgumentError: If the channels are not of the network's shape, or the splits do not fit together.
    """
    require_splits(design, test)
    require_network_shape(design.shape, "csinet and crnet")
    if design.eigenvectors is not None:
        raise InvalidArgumentError(f"`data` must hold channels, as the weights were trained on; got {design.identity}.")
    published = read_published(path, quantizer)
    record = TrainingRecord(
        loss=f"{published.source}, sha256 {sha256_of(path)}",
        epochs=None,
        samples_seen=None,
        unquantized_nmse_db=round(unquantized_nmse_db(published.network, test.h), 3),
    )
    fitted = as_codec(published.codec, published.network, published.settings, design.h, record)
    trained_on = f"published weights; quantiser: {design.identity}"
    return save_codec(published.codec, fitted, trained_on, test, folder, command, name)


def _read_keras(path: Path, quantizer: Companding) -> Published:
    layers = _keras_layers(path)
    convs, norms, denses = ([layer for layer in layers if kind in layer] for kind in ("kernel4", "gamma", "kernel2"))
    if (len(convs), len(norms), len(denses)) != (len(KERAS_CONVS), len(KERAS_NORMS), len(KERAS_DENSES)):
        found = f"{len(convs)} convolutions, {len(norms)} norms, {len(denses)} dense layers"
        raise DataFileError(f"`{path}` must hold CsiNet: 8 convolutions, 7 norms, 2 dense layers; found {found}.")
    over_delay = len(norms[0]["gamma"]) == SIDE
    state: State = {}
    for name, layer in zip(KERAS_CONVS, convs, strict=True):
        state |= {f"{name}.weight": layer["kernel4"].permute(3, 2, 0, 1), f"{name}.bias": layer["bias"]}
    for name, layer in zip(KERAS_NORMS, norms, strict=True):
        inner = f"{name}.norm" if over_delay else name
        state |= {f"{inner}.{ours}": layer[theirs] for ours, theirs in _NORM_NAMES.items()}
        state[f"{inner}.num_batches_tracked"] = torch.tensor(0)
    order = torch.arange(NUM_REALS)
    if not over_delay:  # row (angle, delay, re/im) of theirs is row (re/im, angle, delay) of ours
        order = order.reshape(SIDE, SIDE, 2).permute(2, 0, 1).flatten()
    encoder, decoder = denses
    num_latents = encoder["kernel2"].shape[1]
    if encoder["kernel2"].shape[0] != NUM_REALS or decoder["kernel2"].shape[1] != NUM_REALS or not num_latents:
        raise DataFileError(f"`{path}` must hold dense layers of {NUM_REALS} reals; found {_shapes(denses)}.")
    state |= {"encoder.4.weight": encoder["kernel2"][order].T, "encoder.4.bias": encoder["bias"]}
    state |= {"decoder.0.weight": decoder["kernel2"][:, order].T, "decoder.0.bias": decoder["bias"][order]}
    settings = NetworkSettings(
        num_latents=num_latents,
        scaling="peak",
        quantizer=quantizer,
        norm_axis="delay" if over_delay else "channel",
        final_norm=False,
    )
    layout = "original" if over_delay else "channels last"
    return Published("csinet", _fill(path, "csinet", settings, state), settings, f"published Keras weights ({layout})")


_NORM_NAMES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def _keras_layers(path: Path) -> list[State]:
    """Return the arrays of each layer that has some, in the order of the network."""
    try:
        import h5py  # noqa: PLC0415  (an extra: only published weights and MATLAB v7.3 files need it)
    except ImportError as error:
        raise ImportError("Reading .h5 needs h5py: pip install h5py, or csilink with its extra `lab`.") from error
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            names = [name.decode() if isinstance(name, bytes) else str(name) for name in root.attrs["layer_names"]]
            return [layer for name in names if (layer := _arrays(root[name]))]
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise DataFileError(f"`{path}` cannot be read as a Keras weight file: {error}") from error


def _arrays(group: Any) -> State:
    """Return the arrays of an HDF5 group by their last name; kernels by their number of axes, too."""
    found: State = {}

    def visit(name: str, item: Any) -> None:
        if hasattr(item, "shape"):
            if item.size > LARGEST_ARRAY:
                raise ValueError(f"an array of {item.size} numbers is no layer of CsiNet.")
            array = torch.from_numpy(np.asarray(item, dtype=np.float32))
            key = Path(name).name.partition(":")[0]
            found[f"kernel{array.dim()}" if key == "kernel" else key] = array

    group.visititems(visit)
    return found


def _read_crnet(path: Path, quantizer: Companding) -> Published:
    try:
        contents = torch.load(path, map_location="cpu", weights_only=True)
        weights: State = contents.get("state_dict", contents)
        num_latents = len(weights["encoder_fc.bias"])
        if not num_latents:
            raise ValueError("a codeword of no numbers")
    except Exception as error:  # a damaged file: zipfile, pickle and torch each raise their own
        why = " ".join(str(error).split())
        raise DataFileError(f"`{path}` cannot be read as CRNet's weights: {why}") from error
    state = {
        f"{'decoder' if name.startswith('decoder') else 'encoder'}.{name}": value for name, value in weights.items()
    }
    settings = NetworkSettings(num_latents=num_latents, scaling="peak", quantizer=quantizer)
    return Published("crnet", _fill(path, "crnet", settings, state), settings, "published PyTorch weights")


def _fill(path: Path, codec: str, settings: NetworkSettings, state: State) -> Autoencoder:
    """Build the network and copy the weights into it."""
    with torch.device("meta"):  # initial weights would cost time and draws of torch's global generator
        network = Autoencoder.build(codec, settings)
    try:
        for half in ("encoder", "decoder"):
            mine = {k.removeprefix(f"{half}."): v.contiguous() for k, v in state.items() if k.startswith(f"{half}.")}
            getattr(network, half).to_empty(device="cpu").load_state_dict(mine)
        if not all(torch.isfinite(value).all() for value in state.values()):
            raise DataFileError(f"`{path}` must hold finite weights; they are not.")
    except RuntimeError as error:
        why = " ".join(str(error).split())  # torch's message has many lines
        raise DataFileError(f"`{path}` does not hold the weights of {codec}: {why}") from error
    network.encoder.eval().requires_grad_(requires_grad=False)
    network.decoder.eval().requires_grad_(requires_grad=False)
    return network


def _shapes(layers: list[State]) -> list[list[int]]:
    return [list(layer["kernel2"].shape) for layer in layers]
