import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.channels.raytraced import Raytraced, trace_pool
from shared.channels.raytraced import pool as pool_module
from shared.channels.raytraced.places import places
from shared.channels.raytraced.pool import Pool, parts_folder, remove_parts
from shared.channels.raytraced.settings import Rectangle
from shared.channels.raytraced.tracing import Traced, Tracer
from shared.errors import InvalidArgumentError

SPEED_OF_LIGHT = 299_792_458.0  # m/s


def none(_: int) -> None:
    pass


def test_the_paths_of_some_ues_are_theirs_in_their_order() -> None:
    counts = np.array([2, 1, 3])
    values = np.arange(6, dtype=np.float32)
    traced = Traced(counts, np.ones(3, np.bool_), values * np.float32(0.1), values, values.astype(np.complex64))
    pool = Pool(np.zeros((3, 3), np.float32), traced, np.zeros((0, 4), np.float32), 0, 0.0, "")
    assert pool.offsets.tolist() == [0, 2, 3, 6]
    paths = pool.paths_of(np.array([2, 0]))
    assert paths.offsets.tolist() == [0, 3, 5]
    assert paths.delay_s.tolist() == [3, 4, 5, 0, 1]
    assert np.allclose(np.arcsin(paths.sine), [0.3, 0.4, 0.5, 0.0, 0.1])


@pytest.mark.parametrize(
    ("num_ues", "seed", "sentence"),
    [(0, 1, "`num_channels`"), (200_001, 1, "`num_channels`, of all splits, must be in"), (1, -1, "`seed`")],
)
def test_numbers_out_of_range_are_refused(
    num_ues: int, seed: int, sentence: str, street: Raytraced, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        trace_pool(street, num_ues, seed, tmp_path / "x.npz", none)


def test_a_grid_with_too_few_places_is_refused_before_anything_is_traced(street: Raytraced, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="`area` must have 9000 places with a path on a grid of 1 m; found"):
        trace_pool(replace(street, grid_spacing_m=1.0), 9000, 1, tmp_path / "x.npz", none)
    assert list(tmp_path.iterdir()) == []


def test_ues_without_a_path_are_skipped_and_counted_and_fewer_are_the_first_of_more(
    tracer: Tracer, street: Raytraced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "UES_A_PART", 20)
    settings = replace(street, area=(Rectangle(0.0, 10.0, 0.0, 20.0),))  # a half of it lies in a building
    steps: list[int] = []
    many = trace_pool(settings, 30, 1, tmp_path / "x.npz", steps.append)
    assert (steps[0], sum(steps)) == (0, 30)
    assert len(many.positions) == len(many.traced.counts) == 30
    assert many.traced.counts.min() >= 1
    assert (many.positions[:, 1] < 9.7).all()
    inside = places(settings, 30 + many.num_without_path, 1)
    assert (inside[:, 1] < 9.7).sum() == 30
    few = trace_pool(settings, 7, 1, tmp_path / "x.npz", none)
    assert np.array_equal(few.positions, many.positions[:7])
    assert np.array_equal(few.traced.amplitude, many.traced.amplitude[: few.traced.counts.sum()])
    remove_parts(settings, 1, tmp_path / "x.npz")
    assert list(tmp_path.iterdir()) == []


def test_an_area_inside_a_building_is_refused(
    tracer: Tracer, street: Raytraced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "UES_A_PART", 20)
    settings = replace(street, area=(Rectangle(-5.0, 5.0, 15.0, 30.0),))
    with pytest.raises(InvalidArgumentError, match="`area` must have 2 places with a path; found 0 of 40"):
        trace_pool(settings, 2, 1, tmp_path / "x.npz", none)


def test_the_short_part_of_a_small_run_is_traced_anew_for_a_larger_one(
    tracer: Tracer, street: Raytraced, tmp_path: Path
) -> None:
    settings = replace(street, area=(Rectangle(-5.0, 5.0, -5.0, 30.0),))  # a half of it lies in a building
    out = tmp_path / "x.npz"
    trace_pool(settings, 2, 1, out, none)
    larger = trace_pool(settings, 60, 1, out, none)
    assert len(larger.positions) == 60
    first = larger.traced.delay_s[larger.offsets[:-1]]  # of the strongest path: the line of sight, where there is one
    distance = np.linalg.norm(larger.positions - np.array(settings.bs_position_m), axis=1)
    seen = larger.traced.line_of_sight
    assert seen.any()
    assert np.allclose(first[seen] * SPEED_OF_LIGHT, distance[seen], rtol=1e-5)


KILLED = """
import os, signal
from pathlib import Path
from shared.channels.raytraced import pool, trace_pool
from tests.shared.channels.raytraced.conftest import STREET
pool.UES_A_PART = 20
parts = []
def kill(_):
    parts.append(1)
    if len(parts) == 3:  # 0 before the first
        os.kill(os.getpid(), signal.SIGKILL)
trace_pool(STREET, 60, 1, Path({out!r}), kill)
"""


def test_a_killed_run_goes_on_where_it_was_and_ends_with_the_same_paths(
    tracer: Tracer, street: Raytraced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "UES_A_PART", 20)
    out = tmp_path / "x.npz"
    script = textwrap.dedent(KILLED).format(out=str(out))
    run = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[4], check=False)
    assert run.returncode == -9
    monkeypatch.undo()
    monkeypatch.setattr(pool_module, "UES_A_PART", 20)
    folder = parts_folder(street, 1, out)
    made = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert set(made) == {"part-00000.npz", "part-00001.npz"}
    again = trace_pool(street, 60, 1, out, none)
    assert {name: (folder / name).stat().st_mtime_ns for name in made} == made
    fresh = trace_pool(street, 60, 1, tmp_path / "fresh.npz", none)
    assert again.traced.amplitude.tobytes() == fresh.traced.amplitude.tobytes()
    assert again.traced.delay_s.tobytes() == fresh.traced.delay_s.tobytes()
    assert np.array_equal(again.positions, fresh.positions)
    assert again.trace_s > 0


def test_other_settings_another_seed_and_another_name_have_parts_of_their_own(street: Raytraced) -> None:
    pytest.importorskip("drjit")
    folders = {
        parts_folder(street, 1, Path("a.npz")),
        parts_folder(street, 2, Path("a.npz")),
        parts_folder(replace(street, max_depth=1), 1, Path("a.npz")),
        parts_folder(street, 1, Path("b.npz")),
    }
    assert len(folders) == 4
