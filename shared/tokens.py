"""What a bearer token is, on both sides."""

import re

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,4096}")  # RFC 6750's characters


def is_token(text: str) -> bool:
    """Whether a text may be a token: 16 characters or more of those that a header carries.

    Example:
        >>> is_token("0123456789abcdef"), is_token("short"), is_token("0123456789 abcdef")
        (True, False, False)
    """
    return _TOKEN.fullmatch(text) is not None
