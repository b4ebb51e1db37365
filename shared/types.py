"""What travels between the stations of the data's way: payloads, what the receiver made of them, reconstructions.

    encoder -Payload-> link -Received-> (gRPC) -Received-> channel decoding -Payload-> decoder -Reconstruction->
    encoder -Symbols-> link -Received-> (gRPC) -Received-----------------------------> decoder -Reconstruction->

Payloads live on the host as NumPy arrays; channels are torch tensors on the device of the codec.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import InvalidArgumentError

Domain = Literal["angular-delay", "spatial-frequency"]
Fallback = Literal[
    "mean", "last"
]  # what stands for a report that is lost: the codec's mean channel, or the UE's last good CSI


class ReceivedKind(IntEnum):
    """What the receiver front end hands on; the numbers are those of the wire."""

    HARD_BITS = 1
    LLRS = 2
    SYMBOLS = 3


@dataclass(frozen=True, slots=True)
class Payload:
    """The information bits of a batch of reports.

    Attributes:
        bits: [batch, max_length] uint8, each 0 or 1, first bit first; zero beyond ``length``.
        length: [batch] int64, bits of each report.
    """

    bits: NDArray[np.uint8]
    length: NDArray[np.int64]

    @classmethod
    def of_equal_length(cls, bits: NDArray[np.uint8]) -> "Payload":
        """Wrap ``bits: [batch, length] uint8``, all reports of one length."""
        return cls(bits, np.full(len(bits), bits.shape[1], dtype=np.int64))

    @classmethod
    def of_rows(cls, rows: Sequence[NDArray[np.uint8]]) -> "Payload":
        """Wrap the bits of reports of several lengths, [length] uint8 each.

        Example:
            >>> Payload.of_rows([np.array([1], np.uint8), np.array([1, 1], np.uint8)]).bits.tolist()
            [[1, 0], [1, 1]]
        """
        length = np.array([len(row) for row in rows], dtype=np.int64)
        bits = np.zeros((len(rows), length.max(initial=0)), dtype=np.uint8)
        for row, values in enumerate(rows):
            bits[row, : len(values)] = values
        return cls(bits, length)


def no_bits(num_reports: int) -> Payload:
    """Return the payload of reports that are made of symbols: no bits at all."""
    return Payload.of_equal_length(np.zeros((num_reports, 0), dtype=np.uint8))


@dataclass(frozen=True, slots=True)
class Symbols:
    """The complex symbols of a batch of analog reports, as many for each; such a report has no bits.

    Attributes:
        values: [batch, num_symbols] complex64, of any power: the link brings each report to unit mean power.
    """

    values: NDArray[np.complex64]


@dataclass(frozen=True, slots=True)
class Received:
    """What the base station's receiver front end hands on for a batch of reports.

    Attributes:
        kind: Hard bits, log-likelihood ratios or symbols.
        values: [batch, max_length] uint8 (each 0 or 1), int8 (LLR = 8 ln(P(b=1) / P(b=0)), never 0) or complex64
            (unbiased: what was sent, at unit mean power a report, and noise); zero beyond ``length``.
        length: [batch] int64, values of each report.
        no_eff: [batch, max_length] float32, variance of the complex noise in each symbol, positive; None for bits.
    """

    kind: ReceivedKind
    values: NDArray[np.uint8] | NDArray[np.int8] | NDArray[np.complex64]
    length: NDArray[np.int64]
    no_eff: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What a decoder returns.

    Attributes:
        h_hat: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64 in the domain of the codec.
        valid: [batch] bool, False where the payload could not be decoded and ``h_hat`` means nothing.
    """

    h_hat: Tensor
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CsiShape:
    """Shape and domain of one report's channel.

    Attributes:
        domain: Meaning of the last two axes.
        num_rx_ant: UE antennas.
        num_tx_ant: BS antennas, or angles.
        num_subcarriers: Subcarriers, or delay taps.
    """

    domain: Domain
    num_rx_ant: int
    num_tx_ant: int
    num_subcarriers: int

    def __str__(self) -> str:
        """Return what a sentence says of it: ``angular-delay [1, 32, 32]``."""
        return f"{self.domain} {list(self.dims)}"

    @property
    def dims(self) -> tuple[int, int, int]:
        """(num_rx_ant, num_tx_ant, num_subcarriers)."""
        return self.num_rx_ant, self.num_tx_ant, self.num_subcarriers

    @property
    def num_complex(self) -> int:
        """Complex numbers of one report."""
        return self.num_rx_ant * self.num_tx_ant * self.num_subcarriers

    def require(self, h: Tensor, name: str = "h") -> None:
        """Raise unless ``h`` is a complex batch of this shape.

        Raises:
            InvalidArgumentError: Naming ``name``, the wanted and the found shape.
        """
        if h.dtype != torch.complex64 or tuple(h.shape[1:]) != self.dims:
            wanted = f"[batch, {', '.join(map(str, self.dims))}] complex64"
            raise InvalidArgumentError(f"`{name}` must be {wanted}; got {list(h.shape)} {h.dtype}.")
