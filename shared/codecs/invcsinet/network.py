r"""InvCSINet's invertible network: the UE runs it forward and sends y, the base station runs it back from (y, z).

    x [2, 32, 32] -> patches of 4 x 4 as channels [128, 4, 4] -> u1 [c], u2 [128 - c], c = M / 16
    block, three times, fixed shuffles of the channels between them:

        v1 = u1 + phi(u2)      v2 = u2 * exp(rho(v1)) + eta(v1)                                     (eqs. 4, 5)
        u2 = (v2 - eta(v1)) * exp(-rho(v1))      u1 = v1 - phi(u2)                                  (eqs. 6, 7)

    y = v1 of the last block, M reals;  z = v2 of the last block, 2048 - M reals

rho and eta are dense blocks of four convolutions, growth 12, with which the parameters follow the paper's Table II
(their figures are lost); rho goes through a tanh, so that a channel is scaled by e at most. phi, "an identity
operator", has parts of different sizes: here it adds up the channels of u2 in c groups, each of n, over sqrt(n)
(ours), so that the codeword depends on every input. M = 64, 3 epochs of 3,000 indoor channels, nothing quantised: NMSE
-2.5 dB; sums -2.2, means -1.5, the first c channels of u2 -1.5, no phi -1.4.

The paper's 2-D DFT is the angular-delay domain, in which channels come.

Source: InvCSINet, *Information-Preserving CSI Feedback*, section III; dense blocks: M. Xiao et al., "Invertible image
rescaling", ECCV 2020, whose design it follows.
"""

import math

import torch
from torch import Tensor, nn

SIDE, PATCH = 32, 4
NUM_CHANNELS = 2 * (SIDE // PATCH) ** 2  # 128
NUM_REALS = 2 * SIDE * SIDE
PIXELS = PATCH * PATCH
GROWTH = 12  # channels that each convolution of a dense block adds
SLOPE = 0.2


class DenseBlock(nn.Module):
    """Four convolutions 3x3, each of which sees what all before it saw; the last one starts at zero."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        sizes = [num_in + GROWTH * index for index in range(4)]
        outputs = (GROWTH, GROWTH, GROWTH, num_out)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(sizes, outputs, strict=True))
        self.activation = nn.LeakyReLU(SLOPE)
        nn.init.zeros_(self.convs[-1].get_parameter("weight"))
        nn.init.zeros_(self.convs[-1].get_parameter("bias"))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[batch, num_in, 4, 4]`` to ``[batch, num_out, 4, 4]``."""
        for conv in self.convs[:-1]:
            x = torch.cat([x, self.activation(conv(x))], dim=1)
        y: Tensor = self.convs[-1](x)
        return y


class InvertibleBlock(nn.Module):
    """Two coupling layers, the first additive and without weights.

    Args:
        num_sent: Channels of the first part.
    """

    def __init__(self, num_sent: int) -> None:
        super().__init__()
        self.num_sent = num_sent
        self.rho = DenseBlock(num_sent, NUM_CHANNELS - num_sent)
        self.eta = DenseBlock(num_sent, NUM_CHANNELS - num_sent)

    def forward(self, u1: Tensor, u2: Tensor) -> tuple[Tensor, Tensor]:
        """Return v1, v2 (eqs. 4, 5)."""
        v1 = u1 + self._phi(u2)
        return v1, u2 * torch.exp(torch.tanh(self.rho(v1))) + self.eta(v1)

    def inverse(self, v1: Tensor, v2: Tensor) -> tuple[Tensor, Tensor]:
        """Return u1, u2 (eqs. 6, 7)."""
        u2 = (v2 - self.eta(v1)) * torch.exp(-torch.tanh(self.rho(v1)))
        return v1 - self._phi(u2), u2

    def _phi(self, u2: Tensor) -> Tensor:
        """Return the sums of every ``num_sent``-th channel of ``u2``, at the power of one."""
        missing = -u2.shape[1] % self.num_sent
        padded = nn.functional.pad(u2, (0, 0, 0, 0, 0, missing))
        groups = padded.view(len(u2), -1, self.num_sent, PATCH, PATCH)
        return groups.sum(dim=1) / math.sqrt(groups.shape[1])


class InvertibleNetwork(nn.Module):
    """``[batch, 2, 32, 32] <-> [batch, M], [batch, 2048 - M]`` float32, both ways with the same weights.

    Args:
        num_latents: M, a multiple of 16.
        num_blocks: Blocks.

    Example:
        >>> network = InvertibleNetwork(32)
        >>> x = torch.randn(3, 2, 32, 32)
        >>> y, z = network(x)
        >>> tuple(y.shape), tuple(z.shape), bool(torch.allclose(network.inverse(y, z), x, atol=1e-5))
        ((3, 32), (3, 2016), True)
    """

    shuffles: Tensor

    def __init__(self, num_latents: int, num_blocks: int = 3) -> None:
        super().__init__()
        self.num_sent = num_latents // PIXELS
        self.blocks = nn.ModuleList(InvertibleBlock(self.num_sent) for _ in range(num_blocks))
        generator = torch.Generator().manual_seed(0)
        shuffles = [torch.randperm(NUM_CHANNELS, generator=generator) for _ in range(num_blocks - 1)]
        self.register_buffer("shuffles", torch.stack(shuffles) if shuffles else torch.empty(0, NUM_CHANNELS))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the codeword and the auxiliary part of ``x: [batch, 2, 32, 32]``."""
        u = to_patches(x)
        for index, block in enumerate(self.blocks):
            u = u[:, self.shuffles[index - 1]] if index else u
            u = torch.cat(block(u[:, : self.num_sent], u[:, self.num_sent :]), dim=1)
        return u[:, : self.num_sent].flatten(1), u[:, self.num_sent :].flatten(1)

    def inverse(self, y: Tensor, z: Tensor) -> Tensor:
        """Return ``[batch, 2, 32, 32]`` of ``y: [batch, M]`` and ``z: [batch, 2048 - M]``."""
        v = torch.cat([y, z], dim=1).view(-1, NUM_CHANNELS, PATCH, PATCH)
        for index in reversed(range(len(self.blocks))):
            v = torch.cat(self._block(index).inverse(v[:, : self.num_sent], v[:, self.num_sent :]), dim=1)
            v = v[:, torch.argsort(self.shuffles[index - 1])] if index else v
        return from_patches(v)

    def _block(self, index: int) -> InvertibleBlock:
        block = self.blocks[index]
        if not isinstance(block, InvertibleBlock):
            raise TypeError(f"blocks must be InvertibleBlock; got {type(block).__name__}.")
        return block


class AlignmentNetwork(nn.Module):
    """What quantiser and link did to the codeword, undone: y + CNN(y), zero at first (eq. 32).

    Its two convolutions have 19 c channels between them, with which the parameters follow Table II (Fig. 6 is lost).
    """

    def __init__(self, num_latents: int) -> None:
        super().__init__()
        num_sent = num_latents // PIXELS
        self.num_sent = num_sent
        self.first = nn.Conv2d(num_sent, 19 * num_sent, 3, padding=1)
        self.last = nn.Conv2d(19 * num_sent, num_sent, 3, padding=1)
        self.activation = nn.LeakyReLU(SLOPE)
        nn.init.zeros_(self.last.weight)
        if self.last.bias is not None:
            nn.init.zeros_(self.last.bias)

    def forward(self, y: Tensor) -> Tensor:
        """Return the aligned codeword of ``y: [batch, M]``."""
        planes = y.view(-1, self.num_sent, PATCH, PATCH)
        correction: Tensor = self.last(self.activation(self.first(planes)))
        return y + correction.flatten(1)


def to_patches(x: Tensor) -> Tensor:
    """Return ``[batch, 128, 4, 4]``: the 64 patches of the real part, then those of the imaginary one, as channels."""
    rows = SIDE // PATCH
    parts = x.reshape(len(x), 2, rows, PATCH, rows, PATCH).permute(0, 1, 4, 2, 3, 5)  # delays first: the strongest
    return parts.reshape(len(x), NUM_CHANNELS, PATCH, PATCH)


def from_patches(u: Tensor) -> Tensor:
    """Invert `to_patches`."""
    rows = SIDE // PATCH
    parts = u.reshape(len(u), 2, rows, rows, PATCH, PATCH).permute(0, 1, 3, 4, 2, 5)
    return parts.reshape(len(u), 2, SIDE, SIDE)
