r"""What stands between dequantiser and decoder at the base station, and is trained after both.

    z_check = z_hat + dense_3(dense_2(dense_1(z_hat)))          `csinet-plus`: offline dequantiser, M x M each
    z_check = z_hat - norm(dense(dense(dense(z_hat))))          `dnnet`: noise extraction unit, M -> 1024 -> 1024 -> M
    z_check = z_hat + norm(dense(norm(dense(z_hat))))           `atnet`: error correction block, M x M each

in units of each latent's deviation from its mean. LeakyReLU 0.3 between layers; the last layer starts at zero (ours).
Their parameters are InvCSINet's Table II to the unit.

Source: T. Chen et al., GlobalSIP 2019; H. Ye et al., "Deep learning-based denoise network for CSI feedback in FDD
massive MIMO systems", IEEE Commun. Lett. 24(8), 2020; H. Chang et al., IEEE Wireless Commun. Lett. 10(12), 2021.
"""

from torch import Tensor, nn

from shared.codecs.autoencoder.csinet import EPS, SLOPE

NOISE_WIDTH = 1024


class Corrector(nn.Module):
    """``z_hat + sign body(z_hat)``, ``[batch, M] -> [batch, M]`` float32.

    Args:
        layers: Of the body; the last one has the weights that start at zero.
        sign: 1, or -1 where the body makes what is too much.
    """

    def __init__(self, *layers: nn.Module, sign: float = 1.0) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)
        self.sign = sign
        for parameter in layers[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, z_hat: Tensor) -> Tensor:
        """Correct ``z_hat``."""
        z_check: Tensor = z_hat + self.sign * self.body(z_hat)
        return z_check


def offline_dequantizer(m: int) -> Corrector:
    """Return `csinet-plus`'s: 3 M^2 + 3 M parameters."""
    return Corrector(*(nn.Linear(m, m), nn.LeakyReLU(SLOPE)), *(nn.Linear(m, m), nn.LeakyReLU(SLOPE)), nn.Linear(m, m))


def noise_extraction_unit(m: int) -> Corrector:
    """Return `dnnet`'s: 2,051 M + 1,050,624 parameters."""
    return Corrector(
        *(nn.Linear(m, NOISE_WIDTH), nn.LeakyReLU(SLOPE), nn.Linear(NOISE_WIDTH, NOISE_WIDTH), nn.LeakyReLU(SLOPE)),
        *(nn.Linear(NOISE_WIDTH, m), nn.BatchNorm1d(m, eps=EPS)),
        sign=-1.0,
    )


def error_correction_block(m: int) -> Corrector:
    """Return `atnet`'s: 2 M^2 + 6 M parameters."""
    return Corrector(
        *(nn.Linear(m, m), nn.BatchNorm1d(m, eps=EPS), nn.LeakyReLU(SLOPE)), nn.Linear(m, m), nn.BatchNorm1d(m, eps=EPS)
    )
