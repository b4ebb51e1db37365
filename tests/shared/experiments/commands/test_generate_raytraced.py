"""`csi-lab data generate raytraced`, as a user calls it."""

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from shared.channels import DatasetCard, load_channels
from shared.channels.raytraced import settings_of
from shared.channels.raytraced.tracing import Tracer
from shared.channels.writing import write_arrays
from shared.experiments import generate_raytraced
from shared.experiments.__main__ import app, main
from shared.experiments.generate_raytraced import RaytracedJob

GENERATE = ["data", "generate", "raytraced"]
SMALL = (
    "--scene simple_street_canyon --bs 0,8.6,6 --area -20,20,-7,7 --area 18,30,-30,-7 --grid-spacing-m 0.5 "
    "--num-tx-ant 4 --num-rays 2000 --max-depth 1 --bandwidth-hz 1e8 --num-subcarriers 32 --num-threads 1"
)


@pytest.fixture
def traceable() -> None:
    try:
        Tracer(settings_of(None, "simple_street_canyon"), num_threads=1)
    except ImportError as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("traceable")
def test_splits_are_made_and_a_recipe_makes_them_again_and_a_map_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = "--split train=120 --split test=40 --block-m 4 --gap-m 1 --seed 3"
    result = CliRunner().invoke(app, [*GENERATE, *f"{SMALL} {splits}".split(), "--out", str(tmp_path / "s.npz")])
    assert result.exit_code == 0, result.output
    made = {path.name: path.read_bytes() for path in tmp_path.glob("*.npz")}
    names = ("train", "test", "area-train", "area-test", "both-test", "paths")
    assert set(made) == {f"s-{name}.npz" for name in names}
    assert not list(tmp_path.glob(".*"))
    card = load_channels(str(tmp_path / "s-area-test.npz")).card
    assert card is not None
    assert card.configuration["area_m"] == "-20,20,-7,7 18,30,-30,-7"
    (tmp_path / "again").mkdir()
    monkeypatch.chdir(tmp_path / "again")
    command, *arguments = shlex.split(card.recipe)
    assert command == "csi-lab"
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert {path.name: path.read_bytes() for path in Path().glob("*.npz")} == made
    shown = CliRunner().invoke(app, ["data", "info", "s-train.npz", "--plot", "s.png"])
    assert shown.output.endswith("plot s.png\nplot s-map.png\n")


@pytest.mark.usefixtures("traceable")
def test_a_large_crop_is_said(tmp_path: Path) -> None:
    arguments = f"{SMALL} --num-delay-taps 1 --num-channels 20 --out".split()
    result = CliRunner().invoke(app, [*GENERATE, *arguments, str(tmp_path / "x.npz")])
    assert result.exit_code == 0, result.output
    assert re.search(r"The crop leaves out [0-9.]+% of the energy: keep more taps\?", result.stderr)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "csi-lab: `preset` (street-3g5, street-28g) or `scene` (simple_street_canyon, "),
        (["--scene", "mars"], "csi-lab: `scene` must be one of simple_street_canyon, "),
        (["--scene", "munich", "--bs", "1,2"], "csi-lab: `bs` must be 3 numbers with commas between; got '1,2'."),
        (["--scene", "munich", "--area", "1,0,1,2"], "csi-lab: `area` must be X0,X1,Y0,Y1 with X0 < X1"),
        (["--preset", "street-3g5", "--split", "train"], "csi-lab: `split` must be NAME=COUNT, such as"),
        (["--preset", "street-3g5", "--split", "a=1", "--num-channels", "1"], "csi-lab: `num_channels` must not be"),
        (["--preset", "street-3g5", "--num-channels", "99999"], "csi-lab: `area` must have 99999 places with a path"),
        (["--preset", "street-28g", "--num-tx-ant", "0"], "csi-lab: `num_tx_ant` must be in [1, 1024]; got 0."),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_nothing_is_made(
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["csi-lab", *GENERATE, *arguments, "--out", str(tmp_path / "x.npz")])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(sentence)
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_without_sionna_rt_the_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    monkeypatch.setattr(sys, "argv", ["csi-lab", *GENERATE, "--preset", "street-3g5", "--out", str(tmp_path / "x.npz")])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 1
    assert capsys.readouterr().err == (
        "csi-lab: Ray tracing needs Sionna RT: pip install sionna-rt, or csilink with its extra `raytracing`.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_says_how_many_ues_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: RaytracedJob, progress: Callable[[int], None]) -> list[DatasetCard]:
        progress(0)
        progress(1000)
        raise KeyboardInterrupt

    monkeypatch.setattr(generate_raytraced, "generate_raytraced", interrupted)
    result = CliRunner().invoke(app, [*GENERATE, "--preset", "street-28g", "--out", str(tmp_path / "x.npz")])
    assert result.exit_code == 130
    assert "1000/18100" in result.stderr
    assert "Stopped; 1000 UEs are kept, and the same command goes on from there.\n" in result.stderr


def test_another_commands_file_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x-area-test.npz").write_bytes(b"somebody's")
    monkeypatch.setattr(sys, "argv", ["csi-lab", *GENERATE, "--preset", "street-3g5", "--out", str(tmp_path / "x.npz")])
    with pytest.raises(SystemExit):
        main()
    assert "x-area-test.npz` is, and no card beside it" in capsys.readouterr().err
    assert (tmp_path / "x-area-test.npz").read_bytes() == b"somebody's"


def test_another_commands_paths_are_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = np.frombuffer(b"csi-lab data generate raytraced --of another", dtype=np.uint8)
    write_arrays(tmp_path / "x-paths.npz", {"recipe": recipe})
    monkeypatch.setattr(sys, "argv", ["csi-lab", *GENERATE, "--scene", "munich", "--out", str(tmp_path / "x.npz")])
    with pytest.raises(SystemExit):
        main()
    assert "x-paths.npz` is, and `csi-lab data generate raytraced --of another` made it" in capsys.readouterr().err


def test_the_help_names_the_presets_and_the_scenes() -> None:
    output = CliRunner().invoke(app, [*GENERATE, "--help"]).output
    for word in ("street-3g5", "street-28g", "munich", "etoile", "--area", "--gap-m", "--num-threads"):
        assert word in output
