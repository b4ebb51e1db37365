"""Count the multiply-accumulates of a network: convolutions and dense layers, as the CSI papers' "FLOPs" do."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def count_macs(network: nn.Module, *example: Tensor) -> int:
    """Return the real multiply-accumulates of one pass; norms, activations and biases are not counted.

    Args:
        network: Its convolutions and linear layers are counted.
        example: Its arguments, a batch of one.

    Example:
        >>> count_macs(nn.Conv2d(2, 3, 5, padding=2), torch.zeros(1, 2, 8, 8)) == 8 * 8 * 2 * 3 * 25
        True
    """
    total = 0

    def add(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        weight = layer.get_parameter("weight")
        total += output.numel() * weight[0].numel()

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    was_training = network.training
    try:
        network.eval()(*example)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return total
