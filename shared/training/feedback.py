r"""The analog feedback link inside a training: differentiable, with noise and fading from torch's generator.

    z -> unit power a report -> y = s + n, n ~ CN(0, no_eff)        no_eff = 10^(-snr_db / 10) / gain

The gain is that of the shipped TR 38.901 uplink after MRC (`shared.links.fading`); the link itself is the one of
`shared.links.analog`, which a test holds this against.
"""

import numpy as np
import torch
from torch import Tensor

from shared.links.fading import uplink_channels


def draw_uniform(low: float, high: float, count: int, generator: torch.Generator) -> Tensor:
    """Return [count] float32, uniform in [low, high)."""
    return low + (high - low) * torch.rand(count, generator=generator)


def draw_no_eff(snr_db: Tensor, num_symbols: int, generator: torch.Generator) -> Tensor:
    """Draw a realisation of the uplink for each report.

    Args:
        snr_db: [batch] float32, Es/N0 per antenna.
        num_symbols: Symbols of a report; they go over the subcarriers in order.
        generator: On the host.

    Returns:
        [batch, num_symbols] float32, the noise variance of each symbol after combining.
    """
    gain = torch.from_numpy(np.square(np.abs(uplink_channels())).sum(axis=1))
    chosen = torch.randint(len(gain), (len(snr_db),), generator=generator)
    return 10 ** (-snr_db[:, None] / 10) / gain[chosen][:, torch.arange(num_symbols) % gain.shape[1]]


def send_symbols(z: Tensor, no_eff: Tensor, generator: torch.Generator) -> Tensor:
    """Send symbols at unit mean power a report; gradients reach ``z``.

    Args:
        z: [batch, num_symbols] complex64, of any power but none.
        no_eff: [batch, num_symbols] float32, on the host.
        generator: On the host.

    Returns:
        [batch, num_symbols] complex64 on the device of ``z``, unbiased.
    """
    power = z.abs().square().mean(dim=1, keepdim=True)
    noise = torch.view_as_complex(torch.randn(*z.shape, 2, generator=generator)) * (no_eff / 2).sqrt()
    return z / power.clamp(min=torch.finfo(torch.float32).tiny).sqrt() + noise.to(z.device)
