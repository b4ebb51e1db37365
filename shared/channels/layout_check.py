"""Does a stream that claims to be angular-delay look like it? A swapped layout would only show as wrong numbers later.

Two statistics over all its channels, each at unit power:

* Delay: the energy of a channel is early, that of an angle axis can lie anywhere. Refused is what has most of its
  energy in the first quarter of the *angles* and does not in the first quarter of the *taps*: the axes are swapped.
* Offset: paths have random phase, so the mean over the entries of a channel is small. Refused is what has a large
  share of its energy in that mean: a constant, such as CsiNet's 0.5, was not taken off.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch

from shared.channels.stream import ChannelStream, Chunk
from shared.errors import DataFileError

MOST_IN_FIRST_ANGLES = 0.7
LEAST_IN_FIRST_TAPS = 0.5
MOST_IN_MEAN = 0.25
FEWEST = 4  # entries of an axis, for its quarter to mean something
HINT = "If it is right as it is, import it with `csi-lab data import --trust-layout`."


def checked(stream: ChannelStream) -> ChannelStream:
    """Return the stream, ending in an error where its layout is not what it claims to be.

    The statistics are of all channels, so the error comes after the last: take no channel for granted before.
    """
    shape = stream.shape
    if shape.domain != "angular-delay" or min(shape.num_tx_ant, shape.num_subcarriers) < FEWEST:
        return stream

    def read() -> Iterator[Chunk]:
        profile = torch.zeros(shape.num_tx_ant, shape.num_subcarriers, dtype=torch.float64)
        in_mean = torch.zeros((), dtype=torch.float64)
        for x, crop_loss in stream.read():
            power = x.abs().square().double()
            energy = power.sum(dim=(1, 2, 3), keepdim=True)
            usable = energy[:, 0, 0, 0] > 0
            profile += (power[usable] / energy[usable]).sum(dim=(0, 1))
            mean = x[usable].mean(dim=(2, 3)).abs().square().double().sum(dim=1)
            in_mean += (mean * shape.num_tx_ant * shape.num_subcarriers / energy[usable, 0, 0, 0]).sum()
            yield x, crop_loss
        profile /= stream.num_channels
        first_angles = float(profile[: shape.num_tx_ant // 4].sum())
        first_taps = float(profile[:, : shape.num_subcarriers // 4].sum())
        if first_angles > MOST_IN_FIRST_ANGLES and first_taps < LEAST_IN_FIRST_TAPS:
            raise DataFileError(
                f"`{stream.path}` must be [angle, delay]; found {first_angles:.0%} of the energy in the first quarter "
                f"of the angles and {first_taps:.0%} in that of the taps: it looks transposed. {HINT}"
            )
        if float(in_mean) / stream.num_channels > MOST_IN_MEAN:
            share = float(in_mean) / stream.num_channels
            raise DataFileError(
                f"`{stream.path}` must hold channels without an offset; found {share:.0%} of the energy in a constant. "
                f"{HINT}"
            )

    return replace(stream, read=read)
