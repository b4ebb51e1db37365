"""Arrival processes: how many, when, and what is none."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import CsiError, DataFileError, InvalidArgumentError
from ue_client.load.arrivals import Arrivals, parse_arrivals


def times(label: str, duration_s: float = 10.0, reports_per_frame: int = 1, seed: int = 1) -> np.ndarray:
    return np.concatenate(list(parse_arrivals(label).due_s(duration_s, reports_per_frame, seed)))


def test_constant_arrivals_are_evenly_spaced() -> None:
    due = times("constant:2000")
    assert len(due) == 20_000
    np.testing.assert_allclose(np.diff(due), 1 / 2000, rtol=1e-6)


def test_a_frame_of_several_reports_is_due_less_often() -> None:
    assert len(times("constant:2000", reports_per_frame=50)) == 400


def test_poisson_gaps_are_exponential() -> None:
    due = times("poisson:2000")
    assert len(due) == pytest.approx(20_000, abs=5 * 20_000**0.5)
    gaps = np.diff(due)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)
    assert np.array_equal(due, times("poisson:2000"))
    assert not np.array_equal(due, times("poisson:2000", seed=2))


def test_bursts_come_at_once() -> None:
    at, counts = np.unique(times("burst:1000:250"), return_counts=True)
    assert set(counts.tolist()) == {250}
    np.testing.assert_allclose(at, np.arange(40) / 4, atol=1e-9)


def test_a_ramp_grows_and_steps_step() -> None:
    assert np.histogram(times("constant:0..2000"), 4, (0, 10))[0] == pytest.approx([625, 1875, 3125, 4375], abs=1)
    assert np.histogram(times("constant:500,0,1500", 9.0), 3, (0, 9))[0].tolist() == [1500, 0, 4500]


@given(
    st.sampled_from(["constant:{}", "poisson:{}", "burst:{}:7"]),
    st.lists(st.floats(0, 1e4), min_size=1, max_size=4).filter(lambda rates: sum(rates) > 1),
    st.booleans(),
    st.floats(0.1, 5),
    st.integers(1, 300),
)
def test_times_are_ascending_within_the_duration(
    label: str, rates: list[float], ramp: bool, duration_s: float, reports_per_frame: int
) -> None:
    text = f"{rates[0]}..{rates[-1]}" if ramp and rates[0] + rates[-1] > 0 else ",".join(str(rate) for rate in rates)
    due = times(label.format(text), duration_s, reports_per_frame)
    assert np.isfinite(due).all()
    assert (np.diff(due) >= 0).all()
    assert ((due >= 0) & (due <= duration_s)).all()


def test_a_trace_is_read(tmp_path: Path) -> None:
    (tmp_path / "times.txt").write_text("0\n0.25\n0.25\n7\n")
    label = f"trace:{tmp_path / 'times.txt'}"
    assert times(label, 5.0).tolist() == [0, 0.25, 0.25]
    assert parse_arrivals(label).label == "trace:times.txt"


@pytest.mark.parametrize("content", ["", "1\n0.5\n", "-1\n", "nan\n", "soon\n", "\udcff"])
def test_what_is_no_trace_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "times.txt").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(DataFileError, match="`arrivals` must name a file of times"):
        parse_arrivals(f"trace:{tmp_path / 'times.txt'}")


@given(st.text(alphabet="closedntpqirbuam:.,0123456789e-/", max_size=30))
def test_every_text_is_arrivals_or_a_sentence(text: str) -> None:
    with contextlib.suppress(CsiError):
        assert isinstance(parse_arrivals(text), Arrivals)


@pytest.mark.parametrize(
    "text",
    ["poisson", "poisson:", "constant:-1", "constant:0", "constant:1..2..3", "burst:100", "burst:5:0", "closed:1"],
)
def test_what_is_no_process_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="`arrivals` must"):
        parse_arrivals(text)
