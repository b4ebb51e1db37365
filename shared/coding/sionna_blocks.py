"""How the codes of Sionna are run: asked for before they are built, at a scale of their own, every report by itself.

LLRs of unknown scale  ->  mean magnitude 6 R  ->  parts of few reports, evenly many  ->  Sionna's decoder

*Scale.* List and belief propagation decoders want true LLRs; a `ChannelCode` gets them times any factor. BPSK at
Es/N0 has LLRs of mean 4 Es/N0, and these codes begin to work at an Eb/N0 near 2 dB, Es/N0 = 1.5 R: so reports are
scaled to where it matters, and come out too small only where the channel is better than needed. Measured at k = 64 and
R = 1/2: polar loses 2 % more blocks than with the true LLRs, LDPC fewer; at 8 R, LDPC would lose some 15 % more.

*Parts.* PyTorch rounds softplus differently in the last, incomplete vector of a tensor (less than 32 numbers) and at
the seams between threads (from 32,768 numbers). A list of 8 keeps 16 numbers a report, so an even number of reports
leaves no incomplete vector, and a small part has no seams.
"""

import importlib.util
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import InvalidArgumentError, ModelMismatchError

DEVICE = "cpu"  # Sionna would take a GPU where there is one, and round otherwise on it
PRECISION = "single"
MAX_BLOCKS = 32  # encoders and decoders kept of each family: LDPC's take 1.5 MB for each number of bits


def require_sionna(what: str) -> None:
    """Make sure that Sionna is there, without importing it.

    Args:
        what: What needs it, for the message.

    Raises:
        ModelMismatchError: If it is not installed. What was asked for is not wrong, but this side cannot do it.
    """
    if importlib.util.find_spec("sionna") is None:
        raise ModelMismatchError(
            f"{what} needs Sionna, which is not here: pip install sionna-no-rt, or csilink with its extra `radio`."
        )


def coded_length(label: str, rate: Fraction, bounds: tuple[int, int], num_info_bits: int) -> int:
    """Return n = ceil(k / R).

    Args:
        label: Of the code, for the message.
        rate: R.
        bounds: The least and the most information bits that the code takes at that rate.
        num_info_bits: k.

    Raises:
        InvalidArgumentError: If the code does not take so few, or so many.
    """
    least, most = bounds
    if not least <= num_info_bits <= most:
        raise InvalidArgumentError(f"`num_info_bits` must be in [{least}, {most}] for {label}; got {num_info_bits}.")
    return math.ceil(num_info_bits / rate)


def encoded(encoder: Callable[[Tensor], Tensor], bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Run an encoder of Sionna.

    Args:
        encoder: [batch, num_bits] -> [batch, num_coded_bits], both float32.
        bits: [batch, num_bits] uint8, each 0 or 1.

    Returns:
        [batch, num_coded_bits] uint8.
    """
    with torch.inference_mode():
        return encoder(torch.from_numpy(bits).float()).to(torch.uint8).numpy()


def decoded(
    decoder: Callable[[Tensor], Tensor], llrs: NDArray[np.float32], rate: float, part: int
) -> NDArray[np.uint8]:
    """Run a decoder of Sionna on LLRs of any scale.

    Args:
        decoder: [part, num_coded_bits] -> [part, num_bits], both float32.
        llrs: [batch, num_coded_bits] float32, finite.
        rate: Information bits per coded bit.
        part: Reports decoded at once, an even number.

    Returns:
        [batch, num_bits] uint8.
    """
    magnitude = np.abs(llrs, dtype=np.float64).mean(axis=1, keepdims=True)
    scaled = llrs * (6 * rate / np.where(magnitude > 0, magnitude, 1))
    even = np.pad(scaled, ((0, -len(llrs) % 2 if len(llrs) else 2), (0, 0))).astype(np.float32)
    with torch.inference_mode():
        bits = [decoder(torch.from_numpy(even[first : first + part])) for first in range(0, len(even), part)]
    return torch.cat(bits)[: len(llrs)].to(torch.uint8).numpy()
