"""Files as Keras writes CsiNet's weights, with random numbers, and the network that they mean, in NumPy and SciPy.

The reference reads nothing of `shared`: it works in the layout of the file, as Keras does.
"""

from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate

Layout = Literal["original", "channels last"]
Array = NDArray[np.float64]
Arrays = dict[str, Array]

NUM_LATENTS = 5
CONVS = [(2, 2), (2, 8), (8, 16), (16, 2), (2, 8), (8, 16), (16, 2), (2, 2)]


def random_layers(layout: Layout, seed: int = 1) -> dict[str, Arrays]:
    """Return the arrays of each layer by its name, in the order of the network."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        return rng.normal(size=shape)

    def conv(i: int) -> Arrays:
        num_in, num_out = CONVS[i]
        return {"kernel": normal(3, 3, num_in, num_out) / (3 * num_in**0.5), "bias": normal(num_out)}

    def norm(i: int) -> Arrays:
        size = 32 if layout == "original" else CONVS[i][1]
        variance = rng.uniform(0.5, 2, size)
        return {
            "gamma": 1 + normal(size) / 4,
            "beta": normal(size) / 4,
            "moving_mean": normal(size),
            "moving_variance": variance,
        }

    layers: dict[str, Arrays] = {"input_1": {}, "conv2d_1": conv(0), "batch_normalization_1": norm(0)}
    layers["dense_1"] = {"kernel": normal(2048, NUM_LATENTS) / 45, "bias": normal(NUM_LATENTS)}
    layers["dense_2"] = {"kernel": normal(NUM_LATENTS, 2048), "bias": normal(2048)}
    for i in range(1, 7):
        layers |= {f"conv2d_{i + 1}": conv(i), f"batch_normalization_{i + 1}": norm(i), f"leaky_re_lu_{i + 1}": {}}
    return layers | {"conv2d_8": conv(7)}


def write_keras(path: Path, layers: dict[str, Arrays], under: str = "/") -> None:
    """Write what ``model.save_weights`` does; ``under`` is ``model_weights`` where ``model.save`` wrote."""
    with h5py.File(path, "w") as file:
        root = file.require_group(under)
        root.attrs["layer_names"] = [name.encode() for name in layers]
        for name, arrays in layers.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{key}:0".encode() for key in arrays]
            for key, array in arrays.items():
                group.create_dataset(f"{name}/{key}:0", data=array.astype(np.float32))


def keras_latents(layers: dict[str, Arrays], layout: Layout, x: Array) -> Array:
    """Return the codeword of one report ``x: [2, angle, delay]`` in [0, 1]."""
    y = x if layout == "original" else np.moveaxis(x, 0, -1)
    return _dense(_leaky(_conv_norm(layers, layout, 1, y)).reshape(-1), layers["dense_1"])


def keras_output(layers: dict[str, Arrays], layout: Layout, z: Array) -> Array:
    """Return the output ``[2, angle, delay]`` in [0, 1] of a codeword."""
    x = _dense(z, layers["dense_2"]).reshape((2, 32, 32) if layout == "original" else (32, 32, 2))
    for first in (2, 5):
        y = _leaky(_conv_norm(layers, layout, first, x))
        y = _leaky(_conv_norm(layers, layout, first + 1, y))
        x = _leaky(x + _conv_norm(layers, layout, first + 2, y))
    out = 1 / (1 + np.exp(-_conv(x, layers["conv2d_8"], layout)))
    return out if layout == "original" else np.moveaxis(out, -1, 0)


def _conv_norm(layers: dict[str, Arrays], layout: Layout, i: int, x: Array) -> Array:
    norm = layers[f"batch_normalization_{i}"]
    y = _conv(x, layers[f"conv2d_{i}"], layout) - norm["moving_mean"]  # the last axis: channels, or delay
    return y / np.sqrt(norm["moving_variance"] + 1e-3) * norm["gamma"] + norm["beta"]


def _conv(x: Array, layer: Arrays, layout: Layout) -> Array:
    last = np.moveaxis(x, 0, -1) if layout == "original" else x
    kernel = layer["kernel"]
    planes = [
        sum(correlate(last[:, :, i], kernel[:, :, i, o], mode="same") for i in range(kernel.shape[2]))
        for o in range(kernel.shape[3])
    ]
    y = np.stack(planes, axis=-1) + layer["bias"]
    return np.moveaxis(y, -1, 0) if layout == "original" else y


def _dense(x: Array, layer: Arrays) -> Array:
    y: Array = x @ layer["kernel"] + layer["bias"]
    return y


def _leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.3 * x)
