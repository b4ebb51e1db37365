"""Count the multiply-accumulates of a network: convolutions, dense layers, as the CSI papers' "FLOPs" do; attention."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def count_macs(network: nn.Module, *example: Tensor) -> int:
    """Return the real multiply-accumulates of one pass; norms, activations and biases are not counted.

    Args:
        network: Its convolutions, linear layers and attention (projections and both products) are counted.
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

    def add_attention(layer: nn.MultiheadAttention, inputs: tuple[Tensor, ...], _: object) -> None:
        nonlocal total
        queries, keys = inputs[0].shape[1], inputs[1].shape[1]  # batch first
        total += layer.embed_dim * (2 * (queries + keys) * layer.embed_dim + 2 * queries * keys)

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    attention = [layer for layer in network.modules() if isinstance(layer, nn.MultiheadAttention)]
    hooks += [layer.register_forward_hook(add_attention) for layer in attention]
    was_training = network.training
    try:
        network.eval()(*example)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return total
