"""The run manifest: what a training was made of, so that it can be made again."""

import platform
import subprocess
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel

from shared.training.loop import Epoch

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ROOT = Path(__file__).parents[2]


def run_manifest(
    command: str, training_data: str, test_data: str, options: "DataclassInstance", history: list[Epoch]
) -> dict[str, Any]:
    """Return the manifest of a training.

    Args:
        command: The command line.
        training_data: Name, size and digest.
        test_data: Likewise.
        options: Of the training: size, loss, schedule (its seed among them).
        history: The epochs.
    """
    return {
        "command": command,
        "git": git_revision(),
        "training_data": training_data,
        "test_data": test_data,
        "options": asdict(options, dict_factory=_readable),
        "versions": {name: version(name) for name in ("csilink", "torch", "numpy")},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "epochs": [asdict(epoch) for epoch in history],
    }


def _readable(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the fields of a dataclass, the settings of a network among them as JSON has them."""
    return {name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value for name, value in fields}


def git_revision() -> str | None:
    """Return the commit of the source tree, ``-dirty`` where it was changed; None outside a repository."""
    if not (ROOT / ".git").exists():  # installed: a repository further up is not csilink's
        return None
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
