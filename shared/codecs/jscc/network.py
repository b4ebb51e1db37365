r"""The autoencoder of RD-JSCC and of what it is compared with.

    x [2, 32, 32] -> conv 11x11 (2) -> 9x9 (32) -> 7x7 (48) -> 5x5 (2) -> dense (2 k) -> tanh -> z
    z_hat -> dense (2048) -> conv 7x7 (2) -> 5 x [x + conv 7x7 (16) -> 5x5 (24) -> 3x3 (2)] (-> U-Net) -> x_hat

Batch norm, LeakyReLU 0.3 and SNR adaptation (`shared.networks.snr_adaptation`) follow each convolution. The outputs of
the decoder's first convolution and of the last one of a block are channels, of both signs: no LeakyReLU follows them
(ours), and no SNR adaptation the first. The encoder sees the SNR that the UE expects; the decoder that after combining,
or, quantised, the one that the base station measured. Beyond the SNRs of the training both see the nearest.

Symbol i is z[2 i] + j z[2 i + 1]: a
prefix of the latents is a prefix of the symbols.

| codec | network | parameters, k = 16: encoder, decoder, U-Net | published |
|---|---|---|---|
| ``rd-jscc``, ``adjscc`` | as drawn | 152,052, 133,826 | 152K, 118K |
| 2-layer encoder (Table VII) | conv 7x7 (2) -> 7x7 (2) | 66,168 | lost |
| ``djscc-csinet-plus`` | without SNR adaptation | 149,152, 126,416 | 152K, 118K |
| ``unet-jscc`` | with the U-Net, trained end to end | 152,052, 133,826, 1,256,546 | 152K, 118K, 1.25M |

Published: Table V. The decoder's 118K cannot be the five blocks of the text: four with SNR adaptation would be 120,618.
ADJSCC's small variant and stage 1 of RD-JSCC have the same sizes in Table V, and section V-E calls the autoencoder
ADJSCC's: they are one network here. Table VI's sizes of the baselines (167K and 191K, 168K and 197K) are not built.

Source: Ankireddy et al., RD-JSCC, Tables I, II, V, VII; SNR adaptation and tanh: the authors' public code.
"""

import torch
from torch import Tensor, nn

from shared.network_settings import JsccSettings
from shared.networks.snr_adaptation import SnrAdaptation
from shared.networks.unet import UNet

SIDE = 32  # angles, delay taps
NUM_REALS = 2 * SIDE * SIDE
SLOPE = 0.3
COMBINING_DB = (6.0, 9.0)  # what combining the uplink's eight antennas adds to the SNR: at least, and on average
ENCODER_LAYERS = {4: ((2, 11), (32, 9), (48, 7), (2, 5)), 2: ((2, 7), (2, 7))}  # channels, kernel size
DECODER_KERNELS = (7, 5, 3)


class AdaptedConv(nn.Module):
    """A convolution that keeps the size, with what follows it."""

    def __init__(self, num_in: int, num_out: int, kernel: int, *, snr_adaptation: bool, activation: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(num_in, num_out, kernel, padding=kernel // 2)
        self.norm = nn.BatchNorm2d(num_out)
        self.activation = nn.LeakyReLU(SLOPE) if activation else nn.Identity()
        self.adaptation = SnrAdaptation(num_out) if snr_adaptation else None

    def forward(self, x: Tensor, snr_db: Tensor) -> Tensor:
        """Map ``x: [batch, num_in, 32, 32]`` to ``[batch, num_out, 32, 32]``."""
        y: Tensor = self.activation(self.norm(self.conv(x)))
        return y if self.adaptation is None else self.adaptation(y, snr_db)


class JsccEncoderNetwork(nn.Module):
    """``[batch, 2, 32, 32]``, ``snr_db: [batch]`` -> ``[batch, 2 num_symbols]`` float32 in (-1, 1)."""

    def __init__(self, settings: JsccSettings) -> None:
        super().__init__()
        layers = ENCODER_LAYERS[settings.encoder_layers]
        num_in = (2, *(channels for channels, _ in layers))
        self.layers = nn.ModuleList(
            AdaptedConv(before, channels, kernel, snr_adaptation=settings.snr_adaptation, activation=True)
            for before, (channels, kernel) in zip(num_in, layers, strict=False)
        )
        self.dense = nn.Linear(NUM_REALS, 2 * settings.num_symbols)
        self._snr_db = settings.snr_db

    def forward(self, x: Tensor, snr_db: Tensor) -> Tensor:
        """Encode."""
        snr_db = snr_db.clamp(*self._snr_db)
        for layer in self.layers:
            x = layer(x, snr_db)
        z: Tensor = torch.tanh(self.dense(x.flatten(1)))
        return z


class ResidualBlock(nn.Module):
    """Three convolutions beside the identity."""

    def __init__(self, settings: JsccSettings) -> None:
        super().__init__()
        num_in = (2, *settings.block_channels)
        self.layers = nn.ModuleList(
            AdaptedConv(
                before,
                channels,
                kernel,
                snr_adaptation=settings.snr_adaptation,
                activation=kernel != DECODER_KERNELS[-1],
            )
            for before, channels, kernel in zip(num_in, (*settings.block_channels, 2), DECODER_KERNELS, strict=True)
        )

    def forward(self, x: Tensor, snr_db: Tensor) -> Tensor:
        """Refine ``x: [batch, 2, 32, 32]``."""
        y = x
        for layer in self.layers:
            y = layer(y, snr_db)
        return x + y


class JsccDecoderNetwork(nn.Module):
    """``[batch, 2 num_symbols]``, ``snr_db: [batch]`` -> ``[batch, 2, 32, 32]`` float32."""

    def __init__(self, settings: JsccSettings) -> None:
        super().__init__()
        self.dense = nn.Linear(2 * settings.num_symbols, NUM_REALS)
        self.first = AdaptedConv(2, 2, 7, snr_adaptation=False, activation=False)
        self.blocks = nn.ModuleList(ResidualBlock(settings) for _ in range(settings.num_blocks))
        self.unet = None
        if settings.unet is not None:
            self.unet = UNet(2, settings.unet.width, settings.unet.multipliers, settings.unet.num_blocks)
        least, mean = COMBINING_DB if settings.bits_per_real is None else (0.0, 0.0)
        self._snr_db = settings.snr_db[0] + least, settings.snr_db[1] + mean

    def forward(self, z: Tensor, snr_db: Tensor) -> Tensor:
        """Decode."""
        snr_db = snr_db.clamp(*self._snr_db)
        x: Tensor = self.first(self.dense(z).view(-1, 2, SIDE, SIDE), snr_db)
        for block in self.blocks:
            x = block(x, snr_db)
        if self.unet is not None:
            x = self.unet(x, torch.zeros_like(snr_db), snr_db)
        return x
