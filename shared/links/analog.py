r"""Analog symbols over the air: power per report, fading, noise, combining.

    z -> s = z / sqrt(mean |z|^2) -> h s + n on every antenna -> MRC: y = s + n', n' ~ CN(0, no_eff)

``no_eff = no / ||h||^2``; ``y`` is unbiased: what the base station decodes is s plus noise whose variance it knows.

Source: RD-JSCC, *Residual Diffusion Models for Variable-Rate Joint Source Channel Coding of MIMO CSI*, system model.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgumentError
from shared.links.fading import FADINGS
from shared.links.label import FadingName
from shared.rng import Randomness, Stage


@dataclass(frozen=True, slots=True)
class CombinedSymbols:
    """What the receiver hands on for a batch of analog reports.

    Attributes:
        symbols: [batch, num_symbols] complex64, unbiased, the sent ones at unit mean power a report.
        no_eff: [batch, num_symbols] float32, variance of the complex noise in each.
    """

    symbols: NDArray[np.complex64]
    no_eff: NDArray[np.float32]


def transmit_symbols(
    z: NDArray[np.complex64], snr_db: NDArray[np.float32], fading: FadingName, randomness: Randomness
) -> CombinedSymbols:
    """Send a batch of analog reports of equal length.

    Args:
        z: [batch, num_symbols] complex64, of any power; truncate before, not after.
        snr_db: [batch] float32, mean Es/N0 per receive antenna before combining.
        fading: Name of the channel between UE and receiver.
        randomness: Streams of the reports.

    Raises:
        InvalidArgumentError: If a report has no power, or is not finite.

    Example:
        >>> randomness = Randomness(run=1, ue_id=np.array([0]), sequence=np.array([0]))
        >>> z = np.array([[3, 4j]], dtype=np.complex64)
        >>> combined = transmit_symbols(z, np.array([60], dtype=np.float32), "awgn", randomness)
        >>> bool(np.allclose(combined.symbols, z / np.sqrt(12.5), atol=0.01)), combined.no_eff.round(9).tolist()[0][0]
        (True, 9.999999974752427e-07)
    """
    power = np.mean(np.square(np.abs(z.astype(np.complex128))), axis=1, keepdims=True)
    if not np.all(np.isfinite(power) & (power > 0)):
        raise InvalidArgumentError("`z` must be finite and have power in every report; found a report that does not.")
    gain = FADINGS[fading](randomness, z.shape[1])
    no_eff = np.broadcast_to(10 ** (-np.asarray(snr_db, dtype=np.float64) / 10)[:, None] / gain, z.shape)
    noise = np.zeros((*z.shape, 2))
    for row, generator in zip(noise, randomness.generators(Stage.LINK), strict=True):
        generator.standard_normal(out=row)
    y = z / np.sqrt(power) + (noise[..., 0] + 1j * noise[..., 1]) * np.sqrt(no_eff / 2)
    return CombinedSymbols(y.astype(np.complex64), no_eff.astype(np.float32))
