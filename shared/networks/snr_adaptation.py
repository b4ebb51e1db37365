r"""SNR adaptation: a network scales its channels by what it knows of the link.

    x [C, H, W] -> mean over H, W -> [C] and snr -> dense (16), ReLU -> dense (C), sigmoid -> times x

33 C + 32 parameters. Source: J. Xu et al., "Deep joint source-channel coding for CSI feedback: an end-to-end approach",
IEEE JSAC 41(1), 2023; sizes: the public code of RD-JSCC.
"""

import torch
from torch import Tensor, nn

HIDDEN = 16
SNR_UNIT_DB = 10.0  # networks see the SNR in units of 10 dB


class SnrAdaptation(nn.Module):
    """Scales each channel by a factor in (0, 1).

    Example:
        >>> sum(weight.numel() for weight in SnrAdaptation(48).parameters()) == 33 * 48 + 32
        True
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.factors = nn.Sequential(
            nn.Linear(num_channels + 1, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, num_channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor, snr_db: Tensor) -> Tensor:
        """Scale ``x: [batch, num_channels, height, width] float32`` by ``snr_db: [batch] float32``."""
        context = torch.cat([x.mean(dim=(2, 3)), snr_db[:, None] / SNR_UNIT_DB], dim=1)
        scaled: Tensor = x * self.factors(context)[:, :, None, None]
        return scaled
