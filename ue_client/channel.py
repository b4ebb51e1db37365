"""The gRPC channel to a base station: plaintext or TLS, with certificate and token where they are asked for."""

import grpc

from shared.credentials import is_token, read_certificates, read_file, read_pair
from shared.errors import DataFileError
from ue_client.config import SYSTEM, Access

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
]


def make_channel(address: str, access: Access) -> grpc.aio.Channel:
    """Return a channel; it connects when it is first used.

    Raises:
        DataFileError: If a file cannot be read, or is not what it should be.
    """
    if access.tls_ca is None:
        return grpc.aio.insecure_channel(address, options=OPTIONS)
    roots = None if access.tls_ca == SYSTEM else read_certificates("tls_ca", access.tls_ca)
    chain = key = None
    if access.tls_cert is not None and access.tls_key is not None:
        chain, key = read_pair(access.tls_cert, access.tls_key)
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(roots, key, chain), options=OPTIONS)


def metadata_of(access: Access) -> tuple[tuple[str, str], ...] | None:
    """Return what goes with each call; None for nothing.

    Raises:
        DataFileError: If the file holds no token; never says what it holds.
    """
    if access.token_file is None:
        return None
    token = read_file("token_file", access.token_file).decode(errors="replace").split("\n", maxsplit=1)[0].strip()
    if not is_token(token):
        wanted = "hold a token in its first line, 16 characters of ASCII or more"
        raise DataFileError(f"`token_file` must {wanted}; '{access.token_file}' does not.")
    return (("authorization", f"Bearer {token}"),)
