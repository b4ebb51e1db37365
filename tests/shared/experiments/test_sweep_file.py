from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import CsiError, DataFileError, InvalidArgumentError
from shared.experiments.sweep_file import SweepFile, parse_sweep, read_sweep

GRID: dict[str, Any] = {"data": ["umi-nlos"], "codec": ["klt"], "rate": [64], "link": ["ideal"], "snr_db": "0:10:5"}
KEYS = (
    *SweepFile.model_fields,
    "data",
    "codec",
    "rate",
    "link",
    "snr_db",
    "estimator",
    "cnr_db",
    "refinement",
    "epochs",
    "other",
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["0:5:1", "ls"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES), st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_any_document_is_a_sweep_or_one_sentence(document: dict[str, Any], grid: dict[str, Any]) -> None:
    for candidate in (document, {"grid": GRID | grid}, {"grid": GRID} | document):
        try:
            sweep = parse_sweep(candidate)
        except CsiError as error:
            assert str(error).startswith("`")  # noqa: PT017  (either way is right)
            assert str(error).count("\n") == 0  # noqa: PT017
        else:
            assert sweep.grid.estimations


def test_what_is_left_out_has_its_default_and_a_range_has_its_last_value() -> None:
    sweep = parse_sweep({"grid": GRID | {"snr_db": "-5:5:2.5"}})
    assert (sweep.num_reports, sweep.seed, sweep.downlink_snr_db, sweep.train) == (500, 1, (), None)
    assert sweep.grid.snr_db == (-5.0, -2.5, 0.0, 2.5, 5.0)
    assert sweep.grid.estimations == [("perfect", None)]
    assert (sweep.grid.refinement, sweep.refiners) == (("never",), ())


def test_each_estimator_takes_each_cnr_but_the_perfect_one_none() -> None:
    grid = parse_sweep({"grid": GRID | {"estimator": ["ls", "perfect"], "cnr_db": [0, 10]}}).grid
    assert grid.estimations == [("ls", 0.0), ("ls", 10.0), ("perfect", None)]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({}, "`grid` must be given; got none."),
        ({"grid": GRID, "rates": 3}, "`rates` is not a key of a sweep; wanted are num_reports, seed, "),
        ({"grid": GRID | {"snr": 3}}, "`grid.snr` is not a key of a sweep; wanted are data, codec, rate, "),
        ({"grid": GRID | {"rate": ["64"]}}, "`grid.rate.0` must be a valid integer; got '64'."),
        ({"grid": GRID | {"rate": [64, 64]}}, r"`grid.rate` must have every value once; got \[64, 64\]."),
        ({"grid": GRID | {"codec": []}}, r"`grid.codec` must have at least 1 item; got \[\]."),
        ({"grid": GRID | {"snr_db": "5:0:1"}}, "`grid.snr_db` must be a list of numbers or a range first:last:step; "),
        ({"grid": GRID | {"snr_db": [90]}}, r"`grid.snr_db` must be in \[-40, 80\]; got \[90\]."),
        ({"grid": GRID, "downlink_snr_db": [5, 0]}, "`downlink_snr_db` must be at most 16 increasing numbers"),
        ({"grid": GRID | {"estimator": ["ls"]}}, "`cnr_db` must be given with estimator ls; got none."),
        ({"grid": GRID | {"estimator": ["lz"]}}, "`estimator` must be one of perfect, ls, lmmse, additive; got 'lz'."),
        ({"grid": GRID | {"cnr_db": [5]}}, "`grid.estimator` must name one of ls, lmmse, additive for a `cnr_db`"),
        ({"grid": GRID, "refiners": ["a", "a"]}, "`refiners` must have every value once"),
        ({"grid": GRID, "refiners": ["a"]}, "`grid.refinement` must say what `refiners` refine; got never alone."),
        ({"grid": GRID, "train": {"data": ["a"], "epochs": 0}}, "`train.epochs` must be greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_named_with_the_wanted_and_the_found(document: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{sentence}"):
        parse_sweep(document)


@pytest.mark.parametrize("content", [b"[grid", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sweep.toml"
    path.write_bytes(content)
    with pytest.raises(DataFileError, match="cannot be read as TOML"):
        read_sweep(path)


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"sweep.toml` cannot be read: No such file or directory\.$"):
        read_sweep(tmp_path / "sweep.toml")
