r"""Fading: what the channel between UE and base station makes of the SNR of each symbol.

    y = h s + n, one entry an antenna, h known  --MRC-->  h^H y / ||h||^2 = s + n',  n' ~ CN(0, no / ||h||^2)

so that a channel is, for everything behind the combiner, its gain ``||h||^2``: after combining, the SNR of a symbol is
Es/N0 times the gain.

* ``awgn``: h = 1.
* ``rayleigh``: one antenna, h ~ CN(0, 1), one for all symbols of a report.
* ``uplink``: eight antennas (a ULA) and 32 subcarriers of a TR 38.901 UMi channel with a line of sight, one of 256 for
  all symbols of a report; unit mean power over antennas and subcarriers, so the mean gain is eight. The symbols go over
  the subcarriers in order, 32 to an OFDM symbol. File, source and recipe: ``uplink.card.json``.

MRC: J. G. Proakis, *Digital Communications*, section 14.4-1.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from shared.links.label import FadingName
from shared.rng import Randomness, Stage
from shared.transforms import from_angular_delay, normalize_power

UPLINK_FILE = Path(__file__).parent / "uplink.npz"

Gain = NDArray[np.float64]


def awgn_gain(randomness: Randomness, num_symbols: int) -> Gain:
    """Return [batch, 1] ones."""
    return np.ones((len(randomness.sequence), 1))


def rayleigh_gain(randomness: Randomness, num_symbols: int) -> Gain:
    """Return [batch, 1] gains of unit mean, exponentially distributed."""
    return -np.log1p(-randomness.uniform(Stage.FADING, 1))  # |h|^2 of h ~ CN(0, 1)


def uplink_gain(randomness: Randomness, num_symbols: int) -> Gain:
    """Return [batch, num_symbols] gains after MRC of eight antennas; mean over the subcarriers: eight."""
    gain: Gain = np.square(np.abs(uplink_channels())).sum(axis=1, dtype=np.float64)
    chosen = (randomness.uniform(Stage.FADING, 1)[:, 0] * len(gain)).astype(np.int64)
    return gain[chosen][:, np.arange(num_symbols) % gain.shape[1]]


@cache
def uplink_channels() -> NDArray[np.complex64]:
    """Return [256, 8 antennas, 32 subcarriers] complex64, unit mean power each; read once, not to be written to."""
    with np.load(UPLINK_FILE) as file:
        x = torch.view_as_complex(torch.from_numpy(file["x_re_im"].astype(np.float32)))
    h: NDArray[np.complex64] = normalize_power(from_angular_delay(x))[:, 0].numpy()
    h.flags.writeable = False
    return h


# Mean over realisations and subcarriers of the gain after combining.
MEAN_GAIN: dict[FadingName, float] = {"awgn": 1.0, "rayleigh": 1.0, "uplink": 8.0}

# (streams of the reports, most symbols of a report) -> gain of each symbol, or [batch, 1] where all have one
FADINGS: dict[FadingName, Callable[[Randomness, int], Gain]] = {
    "awgn": awgn_gain,
    "rayleigh": rayleigh_gain,
    "uplink": uplink_gain,
}
