"""The digest by which files are told apart, and files of tensors that are held against it."""

import hashlib
from pathlib import Path

import safetensors.torch
from torch import Tensor

from shared.errors import DataFileError


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """Read a .safetensors file whole: were it mapped, whoever writes into it would kill the process that holds it.

    Args:
        path: The file.
        sha256: Its digest, by its card.

    Raises:
        DataFileError: If it is another file, or cannot be read.
    """
    try:
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise DataFileError(f"`{path}` is not the file of its card: SHA-256 {sha256} wanted, {found} found.")
        return safetensors.torch.load(content)
    except (safetensors.SafetensorError, OSError) as error:
        raise DataFileError(f"`{path}` cannot be read as safetensors: {error}") from error
