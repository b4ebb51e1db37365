"""What the rate of a row counts, in words."""

from collections.abc import Mapping


def is_analog(row: Mapping[str, object]) -> bool:
    """Say whether a row's reports are symbols; a rate then counts them, and else information bits."""
    return str(row["link"]).startswith("analog")


def rate_in_words(row: Mapping[str, object]) -> str:
    """Return ``16 symbols`` or ``64 bits``.

    Example:
        >>> rate_in_words({"link": "analog:uplink", "rate": 16})
        '16 symbols'
    """
    return f"{row['rate']} {'symbols' if is_analog(row) else 'bits'}"
