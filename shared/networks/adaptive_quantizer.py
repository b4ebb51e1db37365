r"""A quantiser whose points are learned with the network around it: soft in training, hard at inference (DAQ).

    y_tilde = sum_k (a_k / 2) tanh(beta (y - b_k)),  k = 1 ... 2^B - 1,  a_k > 0,  b_1 <= b_2 <= ...       (eqs. 18-21)
    q_0 = -sum_k a_k / 2,  q_j = q_0 + sum_{k <= j} a_k                                                  (eqs. 22, 23)

a and b belong to each entry of the codeword; they start as the uniform quantiser of [-1, 1]. At inference y is sent as
j, the number of the b_k that it exceeds, which is what beta -> infinity gives.

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
        """Return the soft quantised ``y: [batch, M]``; ``sharpness`` is beta."""
        edges, _ = self.edges.sort(dim=1)
        signs = torch.tanh(sharpness * (y[:, :, None] - edges))
        return (self.log_steps.exp() / 2 * signs).sum(dim=2)

    @torch.no_grad()
    def spread(self, centre: Tensor, reach: Tensor) -> None:
        """Make the uniform quantiser of ``[centre - reach, centre + reach]``, both [M] float32."""
        self.log_steps.copy_((2 * reach / (self.edges.shape[1] + 1)).log()[:, None].expand_as(self.log_steps))
        places = torch.linspace(-1, 1, self.edges.shape[1] + 2)[1:-1]
        self.edges.copy_(centre[:, None] + reach[:, None] * places)

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
