"""Does a file that claims to be angular-delay look like it? A swapped layout would only show as wrong numbers later.

Statistics over all its channels, each at unit power:

* Delay: paths arrive early in the window that was kept, so most of the energy lies in the first half of the taps. It
  does not where the file is spatial-frequency in truth, or its delay axis was shifted (fftshift) or turned round.
* Angle: where most of the energy lies in the first quarter of the *angles* instead, the two axes are swapped.
* Rows of reals: even and odd angles are alike. They are not where real and imaginary parts alternate instead of
  standing apart.
* Offset: paths have random phase, so the mean over the entries of a channel is small. It is not where a constant, such
  as CsiNet's 0.5, was not taken off.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from shared.channels.stream import ChannelStream, Chunk
from shared.errors import DataFileError

LEAST_IN_FIRST_HALF = 0.6  # a flat delay axis has 0.5
MOST_IN_FIRST_ANGLES = 0.7
EVEN_ROWS = (0.1, 0.9)
FEWEST_FOR_ROWS = 32  # channels: of fewer, all may happen to lie in one row
MOST_IN_MEAN = 0.25
FEWEST = 4  # entries of an axis, for its quarter to mean something
HINT = "If it is right as it is, import it with `csi-lab data import --trust-layout`."


@dataclass(slots=True)
class _Statistics:
    """What the checks need, added up over the channels: power by [angle, tap], and the share of a constant."""

    num_channels: int = 0
    profile: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    constant: float = 0.0

    def add(self, x: Tensor) -> None:
        power = x.abs().square().double()
        energy = power.sum(dim=(1, 2, 3)).clamp(min=torch.finfo(torch.float64).tiny)
        self.num_channels += len(x)
        self.profile = self.profile + (power / energy[:, None, None, None]).sum(dim=(0, 1))
        mean = x.mean(dim=(2, 3)).abs().square().double().sum(dim=1)
        self.constant += float((mean * x.shape[2] * x.shape[3] / energy).sum())


def checked(stream: ChannelStream, from_reals: bool = False) -> ChannelStream:
    """Return the stream, ending in an error where its layout is not what it claims to be.

    The statistics are of all channels, so the error comes after the last: take no channel for granted before.

    Args:
        stream: Any; what is not angular-delay passes.
        from_reals: Whether real and imaginary parts were rows of reals, whose order can be wrong.
    """
    shape = stream.shape
    if shape.domain != "angular-delay" or min(shape.num_tx_ant, shape.num_subcarriers) < FEWEST:
        return stream

    def read() -> Iterator[Chunk]:
        statistics = _Statistics()
        for x, crop_loss in stream.read():
            statistics.add(x)
            yield x, crop_loss
        _require_angular_delay(stream, statistics, from_reals)

    return replace(stream, read=read)


def _require_angular_delay(stream: ChannelStream, statistics: _Statistics, from_reals: bool) -> None:
    """Raise where one of the statistics is off. What is not finite passes: the scaling has a sentence for it."""
    constant, profile = statistics.constant / statistics.num_channels, statistics.profile / statistics.num_channels
    angles, taps = profile.sum(dim=1), profile.sum(dim=0)
    first_angles, first_half = float(angles[: len(angles) // 4].sum()), float(taps[: len(taps) // 2].sum())
    first_taps, even = float(taps[: len(taps) // 4].sum()), float(angles[::2].sum())
    found = None
    if constant > MOST_IN_MEAN:
        found = f"{constant:.0%} of the energy in a constant: an offset was not taken off"
    elif first_angles > MOST_IN_FIRST_ANGLES and first_taps < LEAST_IN_FIRST_HALF:
        found = f"{first_angles:.0%} of the energy in the first quarter of the angles: the two axes look swapped"
    elif first_half < LEAST_IN_FIRST_HALF:
        found = (
            f"{first_half:.0%} of the energy in the first half of the taps: it looks like spatial-frequency, or like "
            "delays that were shifted or turned round"
        )
    elif from_reals and statistics.num_channels >= FEWEST_FOR_ROWS and not EVEN_ROWS[0] <= even <= EVEN_ROWS[1]:
        found = f"{even:.0%} of the energy in every second angle: real and imaginary parts look interleaved"
    if found:
        raise DataFileError(f"`{stream.path}` must be [angle, delay] with early delays; found {found}. {HINT}")
