"""The air interface, payload or symbols -> received. A new link is one file here and one line in `LINKS`.

A link is named by one word: its family, and what options it has, divided by colons: ``ideal``, ``digital:bsc``,
``digital:soft:16qam:rayleigh:erasure-0.01``, ``analog:uplink`` (`shared.links.label`).
"""

import math
from collections.abc import Callable

from shared.errors import InvalidArgumentError
from shared.links.analog import AnalogLink
from shared.links.base import Link, SymbolLink, values_on_the_air
from shared.links.digital import DigitalLink
from shared.links.fading import MEAN_GAIN
from shared.links.ideal import IdealLink
from shared.links.label import parse_analog_label, parse_digital_label

# family -> (label that begins with it) -> link
LINKS: dict[str, Callable[[str], Link]] = {
    "ideal": IdealLink.of_label,
    "digital": DigitalLink.of_label,
    "analog": AnalogLink.of_label,
}

__all__ = ["LINKS", "Link", "SymbolLink", "combined_snr_db", "make_link", "values_on_the_air"]


def make_link(label: str) -> Link:
    """Build the link of a label.

    Args:
        label: Family and options; the link's own ``label`` is the canonical form.

    Raises:
        InvalidArgumentError: If there is no such link; it names the word.

    Example:
        >>> make_link("digital:rayleigh:hard").label
        'digital:hard:rayleigh'
    """
    family = label.split(":", maxsplit=1)[0]
    if family not in LINKS:
        raise InvalidArgumentError(
            f"`link` must be one of {', '.join(LINKS)}, and options after colons; got {label[:64]!r}."
        )
    return LINKS[family](label)


def combined_snr_db(label: str, snr_db: float) -> float | None:
    """Return the mean SNR of a symbol after the receiver has combined its antennas.

    Args:
        label: Of a link.
        snr_db: Mean Es/N0 per receive antenna.

    Returns:
        10 log10 of the mean over fades of Es/N0 times the gain; None for a link without noise.

    Raises:
        InvalidArgumentError: If there is no such link.

    Example:
        >>> f"{combined_snr_db('digital:soft:uplink', 0.0):.2f}"
        '9.03'
    """
    family = label.split(":", maxsplit=1)[0]
    if family == IdealLink.family:
        return None
    options = parse_analog_label(label) if family == AnalogLink.family else parse_digital_label(label)
    return snr_db + 10 * math.log10(MEAN_GAIN[options.fading])
