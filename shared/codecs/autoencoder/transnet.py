r"""TransNet's network: two layers of a transformer at either side of the dense pair.

    x [2, 32, 32] -> 32 tokens of 64 -> 2 encoder layers -> dense (M)  ~ z ~
      -> dense (2048) -> 2 decoder layers, which attend to it and to what they make of it -> [2, 32, 32]

Two heads, feed-forward width 2,048, layer norm after each sublayer, no dropout. A token is an angle: its 32 delay taps,
real parts, then imaginary ones (ours). The feed-forward layers of the four have 33.6M of the 35.7M multiply-accumulates
that are published at M = 512.

Source: Y. Cui, A. Guo, C. Song, "TransNet: Full attention network for CSI feedback in FDD massive MIMO system", IEEE
Wireless Commun. Lett. 11(5), 2022; A. Vaswani et al., "Attention is all you need", NeurIPS 2017.
"""

import torch
from torch import Tensor, nn

from shared.codecs.autoencoder.csinet import NUM_REALS, SIDE

WIDTH = 2 * SIDE  # of a token
HEADS, FEED_FORWARD, LAYERS = 2, 2048, 2


def to_tokens(x: Tensor) -> Tensor:
    """Return ``[batch, 32, 64]`` of ``x: [batch, 2, 32, 32]``, a token for each angle."""
    return x.transpose(1, 2).flatten(2)


class TransNetEncoder(nn.Module):
    """``[batch, 2, 32, 32] -> [batch, codeword_size]`` float32."""

    def __init__(self, codeword_size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, HEADS, FEED_FORWARD, dropout=0.0, batch_first=True) for _ in range(LAYERS)
        )
        self.dense = nn.Linear(NUM_REALS, codeword_size)

    def forward(self, x: Tensor) -> Tensor:
        """Encode."""
        tokens = to_tokens(x)
        for layer in self.layers:
            tokens = layer(tokens)
        z: Tensor = self.dense(tokens.flatten(1))
        return z


class TransNetDecoder(nn.Module):
    """``[batch, codeword_size] -> [batch, 2, 32, 32]`` float32, before the output activation."""

    def __init__(self, codeword_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(codeword_size, NUM_REALS)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(WIDTH, HEADS, FEED_FORWARD, dropout=0.0, batch_first=True) for _ in range(LAYERS)
        )

    def scale_output(self, gain: float) -> None:
        """Multiply the initial output by ``gain``: the last layer norm's."""
        with torch.no_grad():
            self.layers[-1].get_parameter("norm3.weight").mul_(gain)

    def forward(self, z: Tensor) -> Tensor:
        """Decode."""
        memory: Tensor = self.dense(z).view(-1, SIDE, WIDTH)
        tokens = memory
        for layer in self.layers:
            tokens = layer(tokens, memory)
        return tokens.view(-1, SIDE, 2, SIDE).transpose(1, 2)
