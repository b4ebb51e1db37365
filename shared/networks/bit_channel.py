r"""A digital link inside a network: bits go wrong in the forward pass, gradients pass (D-BCD).

    p_k = softmax_k(-|y_tilde - q_k|^2 / sharpness)                                                       (eq. 25)
    pi  = p T                                                     T of `shared.links.transition`          (eq. 29)
    s_k = softmax_k((log pi_k + g_k) / temperature),  g ~ Gumbel                                          (eq. 30)
    y_hat = sum_k s_k q_k, the s of the forward pass one-hot, with the gradient of the soft one           (eq. 31)

At inference the real link takes its place. Any link will do whose transition matrix is known or counted.

Source: InvCSINet, *Information-Preserving CSI Feedback*, section IV-C.
"""

import torch
from torch import Tensor

TINY = 1e-20  # under the logarithm of a probability


def detect(
    y_soft: Tensor,
    points: Tensor,
    transition: Tensor,
    generator: torch.Generator,
    sharpness: float = 0.01,
    temperature: float = 1.0,
) -> Tensor:
    """Send a softly quantised codeword through a link.

    Args:
        y_soft: [batch, M] float32, near the points.
        points: [M, 2^B] float32, of the quantiser; gradients reach them.
        transition: [2^B, 2^B] float32, or one of each report, [batch, 2^B, 2^B]: row sent, column detected.
        generator: On the host, of the Gumbel noise.
        sharpness: tau', in units of the squared step between points: the smaller, the harder p.
        temperature: tau of the Gumbel-softmax.

    Returns:
        [batch, M] float32, each entry one of its points.

    Example:
        >>> points = torch.tensor([[-1.0, 1.0]])
        >>> y = torch.full((1000, 1), 0.9)
        >>> swapped = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        >>> detect(y, points, swapped, torch.Generator().manual_seed(0)).unique().tolist()
        [-1.0]
    """
    return detect_chosen(soft_index(y_soft, points, sharpness), points, transition, generator, temperature)


def soft_index(y: Tensor, points: Tensor, sharpness: float) -> Tensor:
    """Return [batch, M, 2^B], with what probability each entry of ``y`` is each of its points (eq. 25)."""
    step = (points[:, -1:] - points[:, :1]) / (points.shape[1] - 1)
    return torch.softmax(-((y[:, :, None] - points) / step).square() / sharpness, dim=2)


def detect_chosen(
    chosen: Tensor, points: Tensor, transition: Tensor, generator: torch.Generator, temperature: float = 1.0
) -> Tensor:
    """Do as `detect` with ``chosen: [batch, M, 2^B]``, the probabilities of each entry's points (eqs. 29 to 31)."""
    detected = chosen @ transition  # [batch, M, 2^B] by [2^B, 2^B], or by each report's own
    uniform = torch.rand(detected.shape, generator=generator).clamp_min(TINY).to(detected.device)
    logits = (detected + TINY).log() - (-uniform.log()).clamp_min(TINY).log()
    soft = torch.softmax(logits / temperature, dim=2)
    hard = torch.nn.functional.one_hot(soft.argmax(dim=2), soft.shape[2]).to(soft.dtype)
    sample = hard + (soft - soft.detach())  # exactly one-hot, with the gradient of the soft one
    return (sample * points).sum(dim=2)
