import subprocess
from pathlib import Path

import pytest

from shared.training import manifest
from shared.training.autoencoder import NetworkOptions
from shared.training.loop import Epoch, Schedule
from shared.training.manifest import git_revision, run_manifest


def test_a_manifest_names_everything_that_a_training_was_made_of() -> None:
    options = NetworkOptions(num_latents=16, schedule=Schedule(epochs=1, seed=77))
    made = run_manifest("the command", "train, sha256 1", "test, sha256 2", options, [Epoch(1, 0.5, -3.0, 9.0)])
    assert (made["command"], made["training_data"], made["test_data"]) == (
        "the command",
        "train, sha256 1",
        "test, sha256 2",
    )
    assert made["options"]["num_latents"] == 16
    assert made["options"]["schedule"]["seed"] == 77
    assert made["epochs"] == [{"epoch": 1, "loss": 0.5, "nmse_db": -3.0, "seconds": 9.0, "mmd": None}]
    assert set(made["versions"]) == {"csilink", "torch", "numpy"}


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_revision_is_that_of_the_source_tree_and_says_when_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "ROOT", tmp_path)
    assert git_revision() is None
    git(tmp_path, "init")
    assert git_revision() is None  # nothing committed
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert git_revision() == commit[:12]
    (tmp_path / "file").write_text("two")
    assert git_revision() == f"{commit[:12]}-dirty"


def test_a_repository_further_up_is_not_taken_for_the_source_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "installed").mkdir()
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    monkeypatch.setattr(manifest, "ROOT", tmp_path / "installed")
    assert git_revision() is None
