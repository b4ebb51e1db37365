r"""CSI-INR's network: a channel is a function of antenna and subcarrier, and a codeword says which.

    x [1024, 2] -> Fourier features -> L layers of sines, each modulated by the codeword M -> W F + b = (re, im) of h

    M_0 = 0,  M_j = M_(j-1) - alpha grad_M sum_x |f(x, M_(j-1)) - h(x)|^2 / num_x        (eq. 18, s_in times)

The inner loss sums over reports, so that a step of one does not depend on those beside it. alpha is the paper's one
number, or learned: one for each entry of M in each of the s steps of the training, the last for those beyond.

Channels are taken in the spatial-frequency domain, where the papers sample them; a data set's angular-delay domain is
a unitary transform away.

Source: H. Wu et al., "MIMO Channel as a Neural Function", section III, eqs. 10 to 18.
"""

import torch
from torch import Tensor, nn

from shared.codecs.network_files import SHAPE
from shared.network_settings import CoordinateSettings
from shared.networks.coordinates import ModulatedSiren, unit_grid
from shared.transforms import from_angular_delay, to_angular_delay


class CsiInr(nn.Module):
    """Base network, modulation and inner rates.

    Attributes:
        base: The network.
        log_rates: [s, n] float32, natural logarithm of the inner rate alpha; learned if the settings say so.

    Example:
        >>> settings = CoordinateSettings(num_latents=8, width=16, num_layers=2)
        >>> network = CsiInr(settings)
        >>> y = to_samples(torch.randn(4, 1, 32, 32, dtype=torch.complex64))
        >>> network.adapt(y, network.grid, num_steps=3).shape
        torch.Size([4, 8])
    """

    def __init__(self, settings: CoordinateSettings) -> None:
        super().__init__()
        self.base = ModulatedSiren(
            settings.num_latents,
            settings.width,
            settings.num_layers,
            settings.omega_0,
            settings.deviation,
            modulation=settings.modulation,
        )
        shape = (settings.inner_steps, settings.num_latents)
        rates = torch.full(shape, settings.inner_rate).log()
        self.log_rates = nn.Parameter(rates, requires_grad=settings.learned_rates)

    @property
    def grid(self) -> Tensor:
        """Coordinates of a whole channel, [1024, 2] float32."""
        return unit_grid(*SHAPE.dims[1:]).to(self.log_rates.device)

    def adapt(self, y: Tensor, x: Tensor, num_steps: int, order: int = 0) -> Tensor:
        """Find the codewords of some channels: ``num_steps`` gradient steps from zero.

        Args:
            y: [batch, num_points, 2] float32, samples of the channels, see `to_samples`.
            x: [num_points, 2] float32, where.
            num_steps: s_in.
            order: What of the steps the result is differentiable in: 0, nothing; 1, the inner rates alone; 2, all.

        Returns:
            [batch, n] float32.
        """
        with torch.enable_grad():
            codeword = y.new_zeros(len(y), self.log_rates.shape[1], requires_grad=True)
            for step in range(num_steps):
                loss = (self.base(codeword, x) - y).square().sum(dim=2).mean(dim=1).sum()
                (gradient,) = torch.autograd.grad(loss, codeword, create_graph=order == 2)
                rate = self.log_rates[min(step, len(self.log_rates) - 1)].exp()
                codeword = codeword - rate * gradient
                if order == 0:
                    codeword = codeword.detach().requires_grad_()
        return codeword if order else codeword.detach()

    def forward(self, codeword: Tensor) -> Tensor:
        """Return the channels of some codewords, [batch, 1, 32, 32] complex64, angular-delay, of ``[batch, n]``."""
        return from_samples(self.base(codeword, self.grid))


def to_samples(h: Tensor) -> Tensor:
    """Return the samples of some channels in the spatial-frequency domain.

    Args:
        h: [batch, 1, 32, 32] complex64, angular-delay.

    Returns:
        [batch, 1024, 2] float32, antenna by antenna: real and imaginary part.
    """
    return torch.view_as_real(from_angular_delay(h).flatten(1))


def from_samples(y: Tensor) -> Tensor:
    """Invert `to_samples`."""
    return to_angular_delay(torch.view_as_complex(y.contiguous()).reshape(-1, *SHAPE.dims))
