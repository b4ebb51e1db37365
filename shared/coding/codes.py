"""The channel codes of the digital link: label -> code. A new one is one file here and its lines in `CHANNEL_CODES`."""

from collections.abc import Callable

from shared.coding.channel_code import ChannelCode, Uncoded
from shared.coding.convolutional import ConvolutionalCode
from shared.coding.crc import CrcOnly
from shared.coding.ldpc import LdpcCode
from shared.coding.polar import PolarCode
from shared.errors import InvalidArgumentError

CHANNEL_CODES: dict[str, Callable[[], ChannelCode]] = {
    "uncoded": Uncoded,
    "crc": CrcOnly,
    "conv-1/2": lambda: ConvolutionalCode("1/2"),
    "conv-1/3": lambda: ConvolutionalCode("1/3"),
    "polar-1/5": lambda: PolarCode("1/5"),
    "polar-1/3": lambda: PolarCode("1/3"),
    "polar-1/2": lambda: PolarCode("1/2"),
    "polar-2/3": lambda: PolarCode("2/3"),
    "polar-3/4": lambda: PolarCode("3/4"),
    "polar-5/6": lambda: PolarCode("5/6"),
    "ldpc-1/5": lambda: LdpcCode("1/5"),
    "ldpc-1/3": lambda: LdpcCode("1/3"),
    "ldpc-1/2": lambda: LdpcCode("1/2"),
    "ldpc-2/3": lambda: LdpcCode("2/3"),
    "ldpc-3/4": lambda: LdpcCode("3/4"),
    "ldpc-5/6": lambda: LdpcCode("5/6"),
}


def make_channel_code(label: str) -> ChannelCode:
    """Build the channel code of a label.

    Raises:
        InvalidArgumentError: If there is no such code.
        ModelMismatchError: If it needs an extra that is not installed here.

    Example:
        >>> make_channel_code("conv-1/2").num_coded_bits(12)
        48
    """
    if label not in CHANNEL_CODES:
        raise InvalidArgumentError(f"`channel_code` must be one of {', '.join(CHANNEL_CODES)}; got {label[:64]!r}.")
    return CHANNEL_CODES[label]()
