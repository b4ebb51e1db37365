"""Weights of a file into a network, checked."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from shared.errors import DataFileError

Network = TypeVar("Network", bound=nn.Module)


def load_network(build: Callable[[], Network], tensors: Mapping[str, Tensor], prefix: str, what: str) -> Network:
    """Make a network, in evaluation mode on the host, from the tensors ``<prefix>*`` of a file.

    Args:
        build: Makes it; its initial weights are never computed.
        tensors: Of the file.
        prefix: Of the names of the network's tensors, ``network.encoder.`` say.
        what: For the error, "model csinet is no csinet encoder".

    Raises:
        DataFileError: If they are not exactly the network's.
    """
    with torch.device("meta"):  # initial weights would cost time and draws of torch's global generator
        network = build()
    network = network.to_empty(device="cpu")
    state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise DataFileError(f"{what}: {' '.join(str(error).split())}") from error  # torch's message has many lines
    return network.eval().requires_grad_(requires_grad=False)
