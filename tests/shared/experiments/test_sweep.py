import csv
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from shared.channels.writing import write_channels
from shared.errors import CsiError, DataFileError, InvalidArgumentError
from shared.experiments.__main__ import app
from shared.experiments.sweep import rows_of, run_sweep, simulate_series
from shared.experiments.sweep_file import SweepFile, parse_sweep
from shared.experiments.sweep_lines import Row
from shared.experiments.sweep_plan import Plan, plan_sweep
from shared.experiments.sweep_results import PointsFile, bd_rates, write_tables
from shared.model_files import save_model
from shared.refinement import RefinerFile, save_refiner

SECONDS = ("estimation_encoding_s", "link_s", "base_station_s")
GRID: dict[str, Any] = {
    "data": ["umi-nlos"],
    "codec": ["klt", "angular-topk"],
    "rate": [32, 64, 128],
    "link": ["digital:bsc"],
    "snr_db": [0, 20],
}


def sweep_of(**grid: object) -> SweepFile:
    return parse_sweep({"num_reports": 20, "grid": GRID | grid})


def numbers(plan: Plan, folder: Path) -> list[dict[str, object]]:
    return [{name: cell for name, cell in row.items() if name not in SECONDS} for row in rows_of(plan, folder)]


class StoppedError(Exception):
    pass


def stop_after(count: int) -> Callable[[int, str], None]:
    def progress(done: int, _label: str) -> None:
        if done == count:
            raise StoppedError

    return progress


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    folder = tmp_path_factory.mktemp("whole")
    file = sweep_of()
    plan = plan_sweep(file)
    run_sweep(plan, folder, simulate_series(file))
    return plan, folder


def test_a_sweep_that_was_stopped_measures_only_what_is_missing(whole: tuple[Plan, Path], tmp_path: Path) -> None:
    plan, folder = whole
    with pytest.raises(StoppedError):
        run_sweep(plan, tmp_path, simulate_series(plan.file), stop_after(5))
    with (tmp_path / "points.jsonl").open("a") as stream:
        stream.write('{"key": "of a run that was killed')
    assert len(rows_of(plan, tmp_path)) == 5
    seen: list[int] = []
    run_sweep(plan, tmp_path, simulate_series(plan.file), lambda done, _label: seen.append(done))
    assert (seen[0], max(seen)) == (5, 12)
    assert numbers(plan, tmp_path) == numbers(plan, folder)
    assert len(PointsFile(tmp_path).rows()) == 12


def test_another_seed_is_another_point_and_another_snr_adds_one(whole: tuple[Plan, Path]) -> None:
    plan, _ = whole
    keys = {point.key for point in plan.points}
    assert keys.isdisjoint(point.key for point in plan_sweep(plan.file.model_copy(update={"seed": 2})).points)
    more = plan_sweep(sweep_of(snr_db=[0, 20, 30])).points
    assert {point.key for point in more} > keys
    assert len(more) == 18


def test_another_commit_is_another_point(whole: tuple[Plan, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    plan, _ = whole
    keys = []
    for revision in (None, "0123456789ab", "0123456789ab-dirty"):
        monkeypatch.setattr("shared.experiments.sweep_plan.git_revision", lambda revision=revision: revision)
        keys += [point.key for point in plan_sweep(plan.file).points]
    assert len(set(keys)) == 3 * len(plan.points)


ENDS_AFTER_TWO_POINTS = """
import os, signal, threading
from shared.experiments.__main__ import main
from shared.experiments.sweep_results import PointsFile

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores in the background
append = PointsFile.append

def append_and_end(self, key, row):
    append(self, key, row)
    if len(self.rows()) == 2:
        if {delay_s}:
            threading.Timer({delay_s}, os.kill, (os.getpid(), {number})).start()
        else:
            os.kill(os.getpid(), {number})

PointsFile.append = append_and_end
main()
"""


def ended_by(number: signal.Signals, delay_s: float, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command that gets a signal once two points are on the disk, or a while later."""
    code = ENDS_AFTER_TWO_POINTS.format(number=int(number), delay_s=delay_s)
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def write_grid(toml: Path, num_reports: int) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in GRID.items()]
    toml.write_text("\n".join([f"num_reports = {num_reports}", "[grid]", *lines]))


def test_a_killed_command_goes_on_to_the_rows_of_one_that_was_not(whole: tuple[Plan, Path], tmp_path: Path) -> None:
    plan, folder = whole
    toml, out = tmp_path / "sweep.toml", tmp_path / "out"
    write_grid(toml, 20)
    arguments = ["sweep", str(toml), "--out", str(out), "--json"]
    assert ended_by(signal.SIGKILL, 0, arguments).returncode == -signal.SIGKILL
    assert not (out / "sweep.csv").exists()
    command = [sys.executable, "-m", "shared.experiments", *arguments]
    end = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    result = json.loads(end.stdout)
    assert result == json.loads((out / "sweep.json").read_text())
    assert numbers(plan, out) == numbers(plan, folder)
    assert len((out / "sweep.csv").read_text().splitlines()) == 13
    for name in ("snr-umi-nlos", "rate-umi-nlos"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "</svg>" in (out / f"{name}.svg").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_leaves_its_tables_and_says_how_to_go_on(number: signal.Signals, tmp_path: Path) -> None:
    toml, out = tmp_path / "sweep.toml", tmp_path / "out"
    write_grid(toml, 4000)
    end = ended_by(number, 0.02, ["sweep", str(toml), "--out", str(out)])  # inside the third or a later point
    finished = len(PointsFile(out).rows())
    assert end.returncode == 130
    assert 2 <= finished < 12
    assert f"interrupted; {finished} of 12 points are kept in {out}. The same command goes on." in end.stderr
    assert len((out / "sweep.csv").read_text().splitlines()) == 1 + finished
    assert json.loads((out / "manifest.json").read_text())["num_finished"] == finished


def test_what_cannot_be_is_left_out_with_its_sentence(tmp_path: Path) -> None:
    h = torch.zeros(4, 1, 8, 8, dtype=torch.complex64)
    h[..., 0] = torch.randn(4, 1, 8, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    write_channels(tmp_path / "small.npz", [h], 4)
    file = sweep_of(data=["umi-nlos", str(tmp_path / "small.npz")], codec=["klt", "float"], rate=[8, 64], snr_db=[0])
    plan = plan_sweep(file)
    assert [point.series.rate for point in plan.points] == [64]
    reasons = {(entry.data, entry.codec, entry.rate): entry.reason for entry in plan.left_out}
    assert len(reasons) == 7
    assert reasons["umi-nlos", "klt", 8].startswith("`rate` of codec klt must be in [32, 1024] bits; got 8")
    assert reasons["small", "klt", 64].startswith("`data` for codec klt must hold angular-delay [1, 32, 32]; got")
    run_sweep(plan, tmp_path, simulate_series(file))
    write_tables(plan, rows_of(plan, tmp_path), tmp_path, "the command")
    assert len(json.loads((tmp_path / "sweep.json").read_text())["left_out"]) == 7
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["command"], manifest["num_finished"], manifest["sweep"]["seed"]) == ("the command", 1, 1)
    assert [model["sha256"] for model in manifest["models"]] == [plan.models[0].card.sha256]


def test_ways_are_compared_at_equal_channel_uses() -> None:
    links = ["digital:soft:qpsk", "digital:soft:16qam", "analog"]
    file = sweep_of(codec=["klt", "klt-analog"], rate=[32, 64, 128], link=links, snr_db=[0])
    plan = plan_sweep(file.model_copy(update={"channel_uses": 32}))
    found = {(point.series.model.card.name, point.series.rate, point.series.link) for point in plan.points}
    assert found == {
        ("klt", 64, "digital:soft:qpsk"),
        ("klt", 128, "digital:soft:16qam"),
        ("klt-analog", 32, "analog"),
    }
    assert any("`channel_uses` must be 32; a report takes 64" in entry.reason for entry in plan.left_out)


def test_an_estimator_that_the_data_do_not_allow_leaves_the_others(tmp_path: Path) -> None:
    umi = plan_sweep(sweep_of()).points[0].series.channels
    write_channels(tmp_path / "few.npz", [umi.h[:50]], 50)
    file = sweep_of(data=[str(tmp_path / "few.npz")], estimator=["perfect", "lmmse"], cnr_db=[5])
    plan = plan_sweep(file)
    assert {point.series.estimator.name for point in plan.points} == {"perfect"}
    assert {entry.estimator for entry in plan.left_out} == {"lmmse"}


def test_a_codec_without_a_refiner_is_left_out_of_what_is_refined(
    tmp_path: Path, untrained_refiner: Callable[..., RefinerFile]
) -> None:
    plain = plan_sweep(sweep_of(rate=[64], snr_db=[0]))
    save_refiner(untrained_refiner(plan_sweep(sweep_of(codec=["klt"])).models[0].card), tmp_path)
    labels = ["never", "always:by-small", "always:by-small:steps-1", "gain:by-small"]
    grid = GRID | {"rate": [64], "snr_db": [0], "refinement": labels}
    file = parse_sweep({"num_reports": 20, "refiners": [str(tmp_path / "small.safetensors")], "grid": grid})
    plan = plan_sweep(file)
    found = [(point.series.model.card.name, point.series.refinement) for point in plan.points]
    assert found == [("klt", "never"), ("klt", "always:by-small"), ("angular-topk", "never")]
    assert {(entry.codec, entry.refinement) for entry in plan.left_out} == {
        ("klt", "gain:by-small"),
        ("angular-topk", "always:by-small"),
        ("angular-topk", "gain:by-small"),
    }
    assert any("for model angular-topk, none; got 'always:by-small'" in entry.reason for entry in plan.left_out)
    assert {point.key for point in plain.points} < {
        point.key for point in plan.points
    }  # resumes what was never refined
    assert [refiner.card.name for refiner in plan.refiners] == ["small"]


def test_another_refiner_is_another_point(tmp_path: Path, untrained_refiner: Callable[..., RefinerFile]) -> None:
    card = plan_sweep(sweep_of(codec=["klt"])).models[0].card
    keys = []
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        save_refiner(untrained_refiner(card, seed=seed), folder)
        grid = GRID | {"codec": ["klt"], "rate": [64], "snr_db": [0], "refinement": ["always:by-small"]}
        document = {"refiners": [str(folder / "small.safetensors")], "grid": grid}
        keys += [point.key for point in plan_sweep(parse_sweep(document)).points]
    assert len(set(keys)) == 2


@pytest.mark.parametrize(
    ("grid", "error", "sentence"),
    [
        ({"codec": ["klt", "nope"]}, DataFileError, "`codec` must be a model of the zoo"),
        ({"data": ["nope.npz"]}, DataFileError, "`data` must be a file that exists"),
        ({"link": ["digital:bsc", "digital:nope"]}, InvalidArgumentError, "`link` must"),
        ({"refinement": ["never", "often"]}, InvalidArgumentError, "`refinement` must be one of never"),
    ],
)
def test_what_does_not_exist_ends_the_sweep_before_it_begins(
    grid: dict[str, object], error: type[CsiError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        plan_sweep(sweep_of(**grid))


def test_two_models_of_one_name_are_refused(tmp_path: Path) -> None:
    model = plan_sweep(sweep_of()).points[0].series.model
    save_model(replace(model, tensors={**model.tensors, "mean": model.tensors["mean"] + 1}), tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"`grid.codec` must have different names; got klt, klt"):
        plan_sweep(sweep_of(codec=["klt", str(tmp_path / "klt.safetensors")]))


def test_the_bd_rate_is_against_the_first_codec_where_the_curves_allow_one(whole: tuple[Plan, Path]) -> None:
    rows = rows_of(*whole)
    by_snr = {entry.where["snr_db"]: entry for entry in bd_rates(rows)}
    assert {(entry.reference, entry.codec) for entry in by_snr.values()} == {("klt", "angular-topk")}
    at_best = by_snr[20.0].bd_rate
    assert at_best is not None
    assert -0.8 < at_best < -0.4
    halved = [
        {**row, "codec": "half", "info_bits_per_report": float(str(row["rate"])) / 2}
        for row in rows
        if row["codec"] == "klt"
    ]
    exact = {entry.codec: entry.bd_rate for entry in bd_rates([*rows, *halved]) if entry.where["snr_db"] == 20.0}
    assert exact["half"] == pytest.approx(-0.5)
    precoders: list[Row] = [{**row, "codec": "a-precoder", "nmse_mean_db": None} for row in rows]
    assert [entry.reference for entry in bd_rates([*precoders, *rows])] == [entry.reference for entry in bd_rates(rows)]
    (two, *_) = bd_rates([row for row in rows if row["rate"] != 32])
    assert two.bd_rate is None
    assert "at least 3 points" in two.reason


def test_a_sweep_over_symbols_has_a_table_though_they_have_no_bler(tmp_path: Path) -> None:
    toml = tmp_path / "analog.toml"
    grid = 'data = ["umi-nlos"]\ncodec = ["klt-analog"]\nrate = [8]\nlink = ["analog"]\nsnr_db = [0, 10]\n'
    toml.write_text(f"num_reports = 4\n[grid]\n{grid}")
    end = CliRunner().invoke(app, ["sweep", str(toml), "--out", str(tmp_path / "out")])
    assert end.exit_code == 0, end.output
    assert [line.split()[-1] for line in end.stdout.splitlines() if line.split()[:1] in (["0"], ["10"])] == ["-", "-"]


def test_a_sweep_over_precoders_has_a_table_though_they_have_no_nmse(tmp_path: Path) -> None:
    toml = tmp_path / "standard.toml"
    grid = 'data = ["umi-nlos"]\ncodec = ["klt", "etype2"]\nrate = [63, 128, 333]\nlink = ["ideal"]\nsnr_db = [0]\n'
    toml.write_text(f"num_reports = 4\n[grid]\n{grid}")
    end = CliRunner().invoke(app, ["sweep", str(toml), "--out", str(tmp_path / "out")])
    assert end.exit_code == 0, end.output
    cells = [line.split() for line in end.stdout.splitlines() if line.split()[:1] in (["klt"], ["etype2"])]
    assert [line[4] == "-" for line in cells] == [line[0] == "etype2" for line in cells]  # behind "rate 63", mean bits
    assert [float(line[3]) <= float(line[2]) for line in cells] == [True] * 6
    assert len(cells) == 6
    with (tmp_path / "out/sweep.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["codec"] == "etype2"]
    assert {(row["nmse_mean"], row["nmse_mean_db"]) for row in rows} == {("", "")}
    assert all(float(row["sgcs"]) > 0 for row in rows)


def test_a_codec_of_variable_length_is_left_out_where_reports_take_equal_channel_uses(golomb_taps: str) -> None:
    grid: dict[str, object] = {"codec": ["klt", golomb_taps], "rate": [64], "link": ["ideal"], "snr_db": [0]}
    plan = plan_sweep(parse_sweep({"num_reports": 4, "channel_uses": 64, "grid": GRID | grid}))
    assert {point.series.model.card.name for point in plan.points} == {"klt"}
    (left_out,) = plan.left_out
    assert left_out.reason == ("`channel_uses` must be left out with codec golomb-taps: its reports take various ones.")
    everywhere = plan_sweep(parse_sweep({"num_reports": 4, "grid": GRID | grid}))
    assert len({point.series.model.card.name for point in everywhere.points}) == 2
