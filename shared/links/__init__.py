"""The air interface, payload or symbols -> received. A new link is one file here and one line in `LINKS`.

A link is named by one word: its family, and what options it has, divided by colons: ``ideal``, ``digital:bsc``,
``digital:soft:16qam:rayleigh:erasure-0.01``, ``analog:uplink`` (`shared.links.label`).
"""

from collections.abc import Callable

from shared.errors import InvalidArgumentError
from shared.links.analog import AnalogLink
from shared.links.base import Link, SymbolLink
from shared.links.digital import DigitalLink
from shared.links.ideal import IdealLink

# family -> (label that begins with it) -> link
LINKS: dict[str, Callable[[str], Link]] = {
    "ideal": IdealLink.of_label,
    "digital": DigitalLink.of_label,
    "analog": AnalogLink.of_label,
}

__all__ = ["LINKS", "Link", "SymbolLink", "make_link"]


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
