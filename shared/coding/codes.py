"""The channel codes by their labels."""

from shared.coding.channel_code import ChannelCode, Uncoded
from shared.errors import InvalidArgumentError


def make_channel_code(label: str) -> ChannelCode:
    """Build the channel code of a label.

    Raises:
        InvalidArgumentError: If there is no such code.
    """
    if label != Uncoded.label:
        raise InvalidArgumentError(f"`code` must be {Uncoded.label}; got {label[:64]!r}.")
    return Uncoded()
