"""What a link is: modulation, channel, noise and demapping, from the UE's bits to the receiver's front end."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shared.coding.channel_code import ChannelCode, coded_lengths
from shared.rng import Randomness
from shared.types import Payload, Received, ReceivedKind, Symbols


class Link(Protocol):
    """An emulated air interface.

    Attributes:
        label: What `shared.links.make_link` makes it of, in the canonical form.
        family: Its key in `shared.links.LINKS`, by which a codec card permits it: ``ideal``, ``digital`` or ``analog``.
        kind: What it hands on.
        erasure: Probability with which a report never arrives.
        code: The channel code to use with it; the link itself encodes nothing. It may send coded
            bits in another order, and hands them on in theirs.
    """

    label: str
    family: str
    kind: ReceivedKind
    erasure: float
    code: ChannelCode

    def num_channel_uses(self, num_coded_bits: int) -> int:
        """Return how many symbols a report of ``num_coded_bits`` has on the air."""

    def transmit(self, payload: Payload, snr_db: NDArray[np.float32], randomness: Randomness) -> Received:
        """Send a batch of reports.

        Args:
            payload: Coded bits of each report.
            snr_db: [batch] float32, mean Es/N0 per receive antenna before combining; Es is the mean energy of a symbol.
            randomness: Streams of the reports; the same streams give the same errors.

        Returns:
            As many values for each report as it has coded bits; none, and length 0, for a report that never arrives.
        """


@runtime_checkable
class SymbolLink(Link, Protocol):
    """A link that carries complex symbols; its `transmit`, of bits, raises `InvalidArgumentError`."""

    def transmit_symbols(self, symbols: Symbols, snr_db: NDArray[np.float32], randomness: Randomness) -> Received:
        """Send a batch of reports at unit mean power each.

        Args:
            symbols: Of each report, of any power.
            snr_db: [batch] float32, mean Es/N0 per receive antenna before combining.
            randomness: Streams of the reports; the same streams give the same noise.

        Returns:
            As many combined, unbiased symbols for each report, and the variance of the noise in each; length 0 for a
            report that never arrives.

        Raises:
            InvalidArgumentError: If a report has no power, or is not finite.
        """


def values_on_the_air(link: Link, rate: NDArray[np.integer], num_bits: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return [batch] the coded bits of each report, or its symbols, were it not erased.

    Args:
        link: The link.
        rate: [batch] symbols of each report, over a link that carries them.
        num_bits: [batch] information bits of each report.

    Raises:
        InvalidArgumentError: If the link's code does not take so few bits, or so many.
    """
    return coded_lengths(link.code, rate if link.kind is ReceivedKind.SYMBOLS else num_bits)
