"""Does a file look like the layout that it claims? A swapped one would only show as wrong numbers later.

Statistics over all its channels, each at unit power. Angular-delay:

* Delay: paths arrive early in the window that was kept, so most of the energy lies in the first half of the taps. It
  does not where the file is spatial-frequency in truth, or its delay axis was shifted (fftshift) or turned round.
* Angle: where most of the energy lies in the first quarter of the *angles* instead, the two axes are swapped.
* Rows of reals: even and odd angles are alike. They are not where real and imaginary parts alternate instead of
  standing apart.
* Offset: paths have random phase, so the mean over the entries of a channel is small. It is not where a constant, such
  as CsiNet's 0.5, was not taken off.

Spatial-frequency, of `FEWEST_FOR_SPATIAL` channels or more, once transformed:

* Swapped: antennas taken for subcarriers put the early delays on the angles, counted down from broadside, and spread
  the angles over the taps.
* Angular-delay in truth: its power lies in the first "subcarriers", where that of a band is even on average, and its
  transform has no delay that comes first.
* Delay: a phase that turns the other way over the subcarriers turns the delays round, into the second half.

Taps that are all alike pass: independent fading over the subcarriers has no delay to check.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from shared.channels.stream import ChannelStream, Chunk
from shared.errors import DataFileError
from shared.transforms import to_angular_delay

LEAST_IN_FIRST_HALF = 0.6  # a flat delay axis has 0.5
MOST_IN_FIRST_ANGLES = 0.7
EVEN_ROWS = (0.1, 0.9)
FEWEST_FOR_ROWS = 32  # channels: of fewer, all may happen to lie in one row
MOST_IN_MEAN = 0.25
FEWEST_FOR_SPATIAL = 8  # channels: of fewer, fading alone may empty half of the band
MOST_IN_FIRST_SUBCARRIERS = 0.7  # the first half; an even band has 0.5
LEAST_IN_FIRST_HALF_OF_BAND = 0.4  # so that a flat delay axis passes
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
        stream: Any; few antennas, taps or subcarriers (below `FEWEST`) have nothing to check.
        from_reals: Whether real and imaginary parts were rows of reals, whose order can be wrong.
    """
    shape = stream.shape
    if min(shape.num_tx_ant, shape.num_subcarriers) < FEWEST:
        return stream

    def read() -> Iterator[Chunk]:
        stored, transformed = _Statistics(), _Statistics()
        for h, crop_loss in stream.read():
            stored.add(h)
            if shape.domain == "spatial-frequency":
                transformed.add(to_angular_delay(h))
            yield h, crop_loss
        if shape.domain == "angular-delay":
            _require_angular_delay(stream, stored, from_reals)
        elif stored.num_channels >= FEWEST_FOR_SPATIAL:
            _require_spatial_frequency(stream, stored, transformed)

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


def _require_spatial_frequency(stream: ChannelStream, stored: _Statistics, transformed: _Statistics) -> None:
    """Raise where one of the statistics is off. What is not finite passes, as above."""
    profile = transformed.profile / transformed.num_channels
    angles, taps = torch.fft.ifftshift(profile.sum(dim=1)), profile.sum(dim=0)
    first_taps, first_half = float(taps[: len(taps) // 4].sum()), float(taps[: len(taps) // 2].sum())
    # An FFT where the delays want an inverse one puts delay d on angle -d.
    as_delays = float(angles.flip(0).roll(1)[: len(angles) // 4].sum())
    subcarriers = stored.profile.sum(dim=0) / stored.num_channels
    first_subcarriers = float(subcarriers[: len(subcarriers) // 2].sum())
    found = None
    if as_delays > MOST_IN_FIRST_ANGLES and first_taps < LEAST_IN_FIRST_HALF:
        found = f"{as_delays:.0%} of the energy in early delays over the antennas: the two axes look swapped"
    elif first_subcarriers > MOST_IN_FIRST_SUBCARRIERS and first_half < LEAST_IN_FIRST_HALF:
        found = f"{first_subcarriers:.0%} of the energy in the first half of the band: it looks like angular-delay"
    elif first_half < LEAST_IN_FIRST_HALF_OF_BAND:
        found = f"{first_half:.0%} of the energy in the first half of the delays: they look turned round"
    if found:
        raise DataFileError(f"`{stream.path}` must be [antenna, subcarrier] with early delays; found {found}. {HINT}")
