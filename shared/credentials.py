"""Files of certificates, keys and tokens, on both sides; what is wrong is named, and never what they hold."""

import re
import ssl
from pathlib import Path

from shared.errors import DataFileError

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,4096}")  # RFC 6750's characters


def is_token(text: str) -> bool:
    """Whether a text may be a bearer token: 16 characters or more of those that a header carries.

    Example:
        >>> is_token("0123456789abcdef"), is_token("short"), is_token("0123456789 abcdef")
        (True, False, False)
    """
    return _TOKEN.fullmatch(text) is not None


def read_file(option: str, path: str) -> bytes:
    """Read a file that an option names.

    Raises:
        DataFileError: If it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataFileError(f"`{option}` must be a file that can be read; '{path}': {error.strerror}.") from None


def read_certificates(option: str, path: str) -> bytes:
    """Read the certificates of those who sign others.

    Raises:
        DataFileError: If the file cannot be read, or holds none.
    """
    content = read_file(option, path)
    try:
        ssl.create_default_context(cadata=content.decode())
    except (ssl.SSLError, ValueError):
        raise DataFileError(f"`{option}` must be certificates in PEM; '{path}' is not.") from None
    return content


def read_pair(cert: str, key: str) -> tuple[bytes, bytes]:
    """Read a certificate and its key, of the options ``tls_cert`` and ``tls_key``.

    Returns:
        The certificate, the key.

    Raises:
        DataFileError: If they cannot be read, or do not belong together.
    """
    pair = read_file("tls_cert", cert), read_file("tls_key", key)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except (ssl.SSLError, ValueError) as error:
        wanted = "a certificate and its key in PEM, without password"
        reason = getattr(error, "reason", None) or "no PEM"
        raise DataFileError(f"`tls_cert` and `tls_key` must be {wanted}; '{cert}' and '{key}': {reason}.") from None
    return pair
