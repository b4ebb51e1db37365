"""Turn propagation paths into angular-delay channels.

paths -> frequency response on all subcarriers -> angular-delay -> crop to the first taps -> unit mean power
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from shared.channels.tr38901.paths import Paths, draw_paths
from shared.channels.tr38901.settings import Tr38901
from shared.errors import InvalidArgumentError
from shared.transforms import crop_taps, normalize_power, to_angular_delay

DROPS_AT_ONCE = 256  # of 32 x 1,024 complex numbers each; fewer of larger ones, so that memory stays below about 1 GB
NUMBERS_AT_ONCE = DROPS_AT_ONCE * 32 * 1024


def generate(settings: Tr38901, num_channels: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield channels, chunk by chunk.

    The same settings and seed give the same channels: fewer of them are the first of more. One seed is one sequence of
    drops, so two splits need two seeds. Take one of these at a time: Sionna has one generator a process.

    Args:
        settings: What to generate.
        num_channels: How many; a multiple of ``settings.reports_per_drop``.
        seed: Seed of Sionna's generator, in [0, 2^64).

    Yields:
        x: [n, num_rx_ant, num_tx_ant, num_delay_taps] complex64, angular-delay, unit mean power; the reports of a drop
            stand together, in the order of time.
        crop_loss: [n] float64, share of the uncropped channel's energy that the crop leaves out.

    Raises:
        InvalidArgumentError: If ``num_channels`` or ``seed`` is out of its range.
        ImportError: If Sionna is not installed.
    """
    settings.require_whole_drops(num_channels)
    if not 0 <= seed < 2**64:
        raise InvalidArgumentError(f"`seed` must be in [0, 2^64); got {seed}.")
    return _chunks(settings, num_channels, seed)


def _chunks(settings: Tr38901, num_channels: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    num_drops = max(1, min(DROPS_AT_ONCE, NUMBERS_AT_ONCE // settings.numbers_per_drop))
    for paths in draw_paths(settings, seed, num_drops):
        # Sionna fixes the number of drops at the first call: the last chunk is simulated whole, then cut.
        x = to_angular_delay(frequency_response(paths, settings))[:num_channels]
        cropped, crop_loss = crop_taps(x, settings.num_delay_taps)
        yield normalize_power(cropped), crop_loss
        num_channels -= len(x)
        if num_channels == 0:
            return


def frequency_response(paths: Paths, settings: Tr38901) -> Tensor:
    """Sum the paths on the subcarriers k B / N, k = -N/2 ... N/2 - 1, of the band B.

    Args:
        paths: Paths of n drops.
        settings: Band and number of subcarriers.

    Returns:
        [n * num_reports, num_rx_ant, num_tx_ant, num_subcarriers] complex64, spatial-frequency; the reports of a drop
        stand together.
    """
    subcarrier = torch.arange(settings.num_subcarriers, dtype=torch.float64) - settings.num_subcarriers // 2
    frequency_hz = subcarrier * (settings.bandwidth_hz / settings.num_subcarriers)
    phase = -2 * torch.pi * paths.delay_s[:, :, None].double() * frequency_hz
    response = torch.polar(torch.ones_like(phase), phase).to(torch.complex64)  # [n, path, subcarrier]
    return torch.einsum("nrtpm,npf->nmrtf", paths.coefficient, response).flatten(0, 1)
