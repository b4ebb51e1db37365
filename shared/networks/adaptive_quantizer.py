r"""A quantiser whose points are learned with the network around it: soft in training, hard at inference (DAQ).

    y_tilde = sum_k (a_k / 2) tanh(beta (y - b_k)),  k = 1 ... 2^B - 1,  a_k > 0,  b_1 <= b_2 <= ...       (eqs. 18-21)
    q_0 = -sum_k a_k / 2,  q_j = q_0 + sum_{k <= j} a_k                                                  (eqs. 22, 23)

a and b belong to each entry of the codeword; they start as the uniform quantiser of [-1, 1], or of another range about
0: the outermost points are opposite, whatever is learned. beta is in units of an entry's mean step (ours). At inference
y is sent as j, the number of the b_k that it exceeds, which is what beta -> infinity gives.

Source: InvCSINet, *Information-Preserving CSI Feedback*, section IV-B.
"""

import torch
from torch import Tensor, nn


class AdaptiveQuantizer(nn.Module):
    """``[batch, M]`` float32 -> points of a learned quantiser of B bits an entry.

    Args:
        num_latents: M.
        bits: B, of each entry.

    Attributes:
        log_steps: [M, 2^B - 1], logarithms of a.
        edges: [M, 2^B - 1], b before it is put in order.

    Example:
        >>> quantizer = AdaptiveQuantizer(num_latents=2, bits=1)
        >>> quantizer.points().tolist(), quantizer.index(torch.tensor([[-0.3, 0.3]])).tolist()
        ([[-0.5, 0.5], [-0.5, 0.5]], [[0, 1]])
    """

    def __init__(self, num_latents: int, bits: int) -> None:
        super().__init__()
        step = 2.0 / 2**bits
        edges = step * torch.arange(1, 2**bits) - 1
        self.log_steps = nn.Parameter(torch.full((num_latents, 2**bits - 1), step).log())
        self.edges = nn.Parameter(edges.repeat(num_latents, 1))

    def forward(self, y: Tensor, sharpness: float) -> Tensor:
        """Return the soft quantised ``y: [batch, M]``; ``sharpness`` is beta, in units of 1 / step."""
        edges, _ = self.edges.sort(dim=1)
        steps = self.log_steps.exp()
        beta = sharpness / steps.detach().mean(dim=1, keepdim=True)
        signs = torch.tanh(beta * (y[:, :, None] - edges))
        return (steps / 2 * signs).sum(dim=2)

    @torch.no_grad()
    def spread(self, reach: Tensor) -> None:
        """Make an untrained quantiser the uniform one of ``[-reach, reach]``: [M] float32, positive."""
        self.log_steps.add_(reach[:, None].log())
        self.edges.mul_(reach[:, None])

    def points(self) -> Tensor:
        """Return [M, 2^B], the points of each entry, increasing."""
        steps = self.log_steps.exp()
        lowest = -steps.sum(dim=1, keepdim=True) / 2
        return torch.cat([lowest, lowest + steps.cumsum(dim=1)], dim=1)

    def index(self, y: Tensor) -> Tensor:
        """Return [batch, M] int64, the point that each entry of ``y`` is sent as."""
        return (y[:, :, None] > self.edges).sum(dim=2)

    def value(self, index: Tensor, entries: Tensor) -> Tensor:
        """Return [batch, n] float32, the points of ``index: [batch, n]`` of the entries ``[n] int64``."""
        return self.points()[entries].gather(1, index.T).T
