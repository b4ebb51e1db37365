"""The air interface, payload -> received. A new link is one file here and one line in `LINKS`.

A link is named by text: ``ideal``, or ``digital`` with its detector: ``digital:bsc``, ``digital:hard``,
``digital:soft``.
"""

from collections.abc import Callable

from shared.errors import InvalidArgumentError
from shared.links.base import Link
from shared.links.digital import DigitalLink
from shared.links.ideal import IdealLink

LINKS: dict[str, Callable[[], Link]] = {
    "ideal": IdealLink,
    "digital:bsc": lambda: DigitalLink("bsc"),
    "digital:hard": lambda: DigitalLink("hard"),
    "digital:soft": lambda: DigitalLink("soft"),
}

__all__ = ["LINKS", "Link", "make_link"]


def make_link(label: str) -> Link:
    """Build the link of a label.

    Raises:
        InvalidArgumentError: If there is no such link.
    """
    if label not in LINKS:
        raise InvalidArgumentError(f"`link` must be one of {', '.join(LINKS)}; got {label[:64]!r}.")
    return LINKS[label]()
