"""The gRPC channel to a base station: plaintext or TLS, with certificate and token where they are asked for."""

from pathlib import Path

import grpc

from shared.errors import DataFileError
from shared.tokens import is_token
from ue_client.config import SYSTEM, Access

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
]


def make_channel(address: str, access: Access) -> grpc.aio.Channel:
    """Return a channel; it connects when it is first used.

    Raises:
        DataFileError: If a file cannot be read.
    """
    if access.tls_ca is None:
        return grpc.aio.insecure_channel(address, options=OPTIONS)
    roots = None if access.tls_ca == SYSTEM else _read("tls_ca", access.tls_ca)
    key = None if access.tls_key is None else _read("tls_key", access.tls_key)
    chain = None if access.tls_cert is None else _read("tls_cert", access.tls_cert)
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(roots, key, chain), options=OPTIONS)


def metadata_of(access: Access) -> tuple[tuple[str, str], ...] | None:
    """Return what goes with each call; None for nothing.

    Raises:
        DataFileError: If the file holds no token; never says what it holds.
    """
    if access.token_file is None:
        return None
    token = _read("token_file", access.token_file).decode(errors="replace").split("\n", maxsplit=1)[0].strip()
    if not is_token(token):
        wanted = "hold a token in its first line, 16 characters of ASCII or more"
        raise DataFileError(f"`token_file` must {wanted}; '{access.token_file}' does not.")
    return (("authorization", f"Bearer {token}"),)


def _read(option: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataFileError(f"`{option}` must be a file that can be read; '{path}': {error.strerror}.") from None
