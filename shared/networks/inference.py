"""A network as it runs at the base station: the same function, fewer passes over memory."""

from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


def for_inference(network: Network) -> Network:
    """Change a network in evaluation mode to run faster; what it returns stays the same to the rounding of float32.

    Batch norms go into the convolutions before them, and weights are laid out with the channels last, which the
    activations follow. `benchmarks.decoders` measures what each is worth.

    Returns:
        The same object.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8)).eval()
        >>> [type(layer).__name__ for layer in for_inference(network)]
        ['Conv2d', 'Identity']
    """
    changed: Network = fold_norms(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return changed


def fold_norms(network: Network) -> Network:
    """Put each batch norm that follows a convolution in a `nn.Sequential` into its weights; return the same object."""
    for chain in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        names = list(chain._modules)
        for name, following in pairwise(names):
            conv, norm = chain.get_submodule(name), chain.get_submodule(following)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                chain._modules[name] = fuse_conv_bn_eval(conv, norm).requires_grad_(requires_grad=False)
                chain._modules[following] = nn.Identity()
    return network
