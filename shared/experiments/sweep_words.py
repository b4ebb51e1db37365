"""What the rate of a row counts, in words."""

from collections.abc import Mapping


def is_analog(row: Mapping[str, object]) -> bool:
    """Say whether a row's reports are symbols; a rate then counts them, and else information bits."""
    return str(row["link"]).startswith("analog")


def has_other_length(row: Mapping[str, object]) -> bool:
    """Say whether a row's reports have another number of bits than their rate, in the mean."""
    return not is_analog(row) and row["info_bits_per_report"] != row["rate"]


def rate_in_words(row: Mapping[str, object], any_other_length: bool = False) -> str:
    """Return ``16 symbols`` or ``64 bits``; ``rate 64`` beside reports that do not have so many.

    Example:
        >>> rate_in_words({"link": "analog:uplink", "rate": 16})
        '16 symbols'
    """
    if is_analog(row):
        return f"{row['rate']} symbols"
    return f"rate {row['rate']}" if any_other_length else f"{row['rate']} bits"
