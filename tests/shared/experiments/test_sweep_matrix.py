import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from shared.channels.writing import write_channels
from shared.errors import InvalidArgumentError
from shared.experiments.__main__ import app
from shared.experiments.sweep_file import SweepFile, parse_sweep
from shared.experiments.sweep_matrix import matrix_rows, train_models
from shared.experiments.sweep_plan import plan_sweep
from shared.model_files import load_model
from shared.transforms import normalize_power

TRAIN, TEST = ("left-train", "right-train"), ("left", "right")


def sparse(num_channels: int, first_angle: int, seed: int) -> torch.Tensor:
    """Return channels [num_channels, 1, 16, 16] whose power lies in every second angle, at the first two delays."""
    generator = torch.Generator().manual_seed(seed)
    h = 0.01 * torch.randn(num_channels, 1, 16, 16, dtype=torch.complex64, generator=generator)
    h[..., first_angle::2, :2] = torch.randn(num_channels, 1, 8, 2, dtype=torch.complex64, generator=generator)
    return normalize_power(h)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("matrix")
    for seed, (name, angle) in enumerate(zip((*TRAIN, *TEST), (0, 1, 0, 1), strict=True)):
        write_channels(folder / f"{name}.npz", [sparse(400, angle, seed)], 400)
    return folder


def sweep_of(folder: Path, codecs: list[str], max_channels: int = 300) -> SweepFile:
    grid = {"data": [str(folder / f"{name}.npz") for name in TEST], "codec": codecs, "rate": [32, 64]}
    train = {"data": [str(folder / f"{name}.npz") for name in TRAIN], "max_channels": max_channels}
    return parse_sweep({"num_reports": 30, "grid": grid | {"link": ["ideal"], "snr_db": [0]}, "train": train})


def test_a_model_is_best_on_what_it_was_trained_on_and_trained_once(folder: Path, tmp_path: Path) -> None:
    file = sweep_of(folder, ["klt", "angular-topk"])
    toml = tmp_path / "sweep.toml"
    sections = {"grid": file.grid.model_dump(exclude={"cnr_db"}), "train": {"data": file.train.data}}  # type: ignore[union-attr]
    lines = ["num_reports = 30"]
    for section, keys in sections.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    toml.write_text("\n".join([*lines, "max_channels = 300"]))
    arguments = ["sweep", str(toml), "--matrix", "--out", str(tmp_path)]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    header, *lines = (tmp_path / "matrix.csv").read_text().splitlines()
    assert header == "family,rate,link,estimator,cnr_db,snr_db,trained_on,left,right"
    cells = {tuple(line.split(",")[i] for i in (0, 1, 6)): [float(x) for x in line.split(",")[7:]] for line in lines}
    assert len(cells) == 8
    for rate in ("32", "64"):
        assert cells["klt", rate, "left-train"][0] < -3 < cells["klt", rate, "left-train"][1]
        assert cells["klt", rate, "right-train"][1] < -3 < cells["klt", rate, "right-train"][0]
    card = load_model(str(tmp_path / "models/klt-left-train.safetensors")).card
    assert card.training_data.startswith("left-train, 300 channels, sha256 ")
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")
    assert "left-train" in first.output
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "models").iterdir()}
    points = (tmp_path / "points.jsonl").read_text()
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "models").iterdir()} == made
    assert (tmp_path / "points.jsonl").read_text() == points


def test_a_model_of_other_data_is_trained_again_and_what_cannot_be_is_left_out(folder: Path, tmp_path: Path) -> None:
    trained = train_models(sweep_of(folder, ["klt", "angular-topk"]), tmp_path, "the command")
    assert len(trained.files) == 4
    fewer = sweep_of(folder, ["klt", "angular-topk"], max_channels=50)
    again = train_models(fewer, tmp_path, "the command")
    assert [Path(file).stem for file in again.files] == ["angular-topk-left-train", "angular-topk-right-train"]
    assert ", 50 channels, " in load_model(again.files[0]).card.training_data
    assert "at least 256 channels for klt; got 50" in again.left_out[0].reason
    plan = plan_sweep(fewer, codecs=again.files, left_out_before=again.left_out)
    assert len(plan.left_out) == 2
    assert matrix_rows(plan, []) == []


@pytest.mark.parametrize(
    ("codecs", "sentence"),
    [
        (
            ["float"],
            "`grid.codec` of a matrix must be of klt, klt-analog, angular-topk, cs-omp, .*, dcrnet; got 'float'",
        )
    ],
)
def test_a_codec_that_learns_nothing_is_refused(folder: Path, tmp_path: Path, codecs: list[str], sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        train_models(sweep_of(folder, codecs), tmp_path, "")


def test_a_matrix_without_training_data_is_refused(folder: Path, tmp_path: Path) -> None:
    file = sweep_of(folder, ["klt"]).model_copy(update={"train": None})
    with pytest.raises(InvalidArgumentError, match=r"`train` must be a section of the sweep for a matrix; got none"):
        train_models(file, tmp_path, "")
