"""One stream a report, whoever is drawn beside it; no block of the counter twice; the distributions."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kstest, norm

from shared.errors import InvalidArgumentError
from shared.rng import Randomness, Stage

LARGEST = 2**64 - 1


def words(run: int = 7, ue: int = 3, sequence: int = 5, stage: Stage = Stage.LINK, count: int = 6) -> list[int]:
    randomness = Randomness(run, np.array([ue], dtype=np.uint32), np.array([sequence], dtype=np.uint64))
    drawn: list[int] = randomness.words(stage, count)[0].tolist()
    return drawn


def reports(num_reports: int) -> Randomness:
    return Randomness(7, np.full(num_reports, 3), np.arange(num_reports))


def counter_of(report: tuple[int, int], stage: Stage, count: int) -> int:
    """Return the first of a report's blocks."""
    (ue, sequence), blocks = report, -(-count // 4)
    return (blocks << 192) + (int(stage) << 160) + (ue << 128) + sequence * blocks


def test_the_words_of_a_report_are_pinned() -> None:
    assert words(sequence=0, count=3) == [8566039577002292640, 7155424584636606815, 3277042994076669031]


def test_the_numbers_of_a_report_are_pinned() -> None:
    uniform = [0.4643659359491348, 0.38789634398595985, 0.17764885667531627]
    assert reports(1).uniform(Stage.LINK, 3)[0].tolist() == uniform
    normal = [0.6701004, -0.8902362, 1.041696, 1.04953]
    assert reports(1).normal(Stage.LINK, 4)[0] == pytest.approx(normal, rel=1e-5)


@pytest.mark.parametrize("run", [0, 7, LARGEST])
@pytest.mark.parametrize("count", [1, 4, 5, 145])
@pytest.mark.parametrize(("ue", "sequence"), [(0, 0), (3, 5), (2**32 - 1, LARGEST)])
def test_the_words_are_those_of_philox_at_the_blocks_of_the_report(
    ue: int, sequence: int, count: int, run: int
) -> None:
    philox = np.random.Philox(key=run, counter=counter_of((ue, sequence), Stage.FADING, count))
    assert words(run, ue, sequence, Stage.FADING, count) == philox.random_raw(count).tolist()


@given(
    some=st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, LARGEST)), min_size=2, max_size=2, unique=True),
    stages=st.tuples(st.sampled_from(Stage), st.sampled_from(Stage)),
    counts=st.tuples(st.integers(1, 2**20), st.integers(1, 2**20)),
)
def test_no_block_belongs_to_two_reports(
    some: list[tuple[int, int]], stages: tuple[Stage, Stage], counts: tuple[int, int]
) -> None:
    """As of the counter that `test_the_words_are_those_of_philox_at_the_blocks_of_the_report` finds."""
    (first, first_blocks), (second, second_blocks) = sorted(
        (counter_of(report, stage, count), -(-count // 4))
        for report, stage, count in zip(some, stages, counts, strict=True)
    )
    assert first + first_blocks <= second
    assert second + second_blocks < 2**256


def test_a_report_draws_all_the_words_of_its_blocks_and_none_of_its_neighbours() -> None:
    near = [(ue, sequence) for ue, sequence in product((0, 1, 2**32 - 1), (0, 1, 2, LARGEST - 1, LARGEST))]
    drawn = [words(7, ue, sequence, stage, count) for ue, sequence in near for stage in Stage for count in (4, 8, 12)]
    every = [word for some in drawn for word in some]
    assert len(set(every)) == len(every)


def test_equal_keys_repeat_the_words_and_every_part_of_the_key_chooses_others() -> None:
    assert words() == words()
    others = [
        words(),
        words(run=8),
        words(ue=4),
        words(sequence=6),
        words(stage=Stage.ESTIMATION),
        words(ue=5, sequence=3),
    ]
    assert len({word for some in others for word in some}) == 6 * len(others)
    assert words(run=2**64 - 1) != words(run=2**64 - 2)


@given(
    batch=st.lists(
        st.tuples(st.integers(0, 2), st.one_of(st.integers(0, 3), st.integers(LARGEST - 2, LARGEST))), max_size=12
    ),
    count=st.integers(0, 9),
)
def test_a_report_draws_the_same_whoever_shares_its_batch_in_whatever_order(
    batch: list[tuple[int, int]], count: int
) -> None:
    ue = np.array([ue for ue, _ in batch], dtype=np.uint32)
    sequence = np.array([sequence for _, sequence in batch], dtype=np.uint64)
    together = Randomness(7, ue, sequence).words(Stage.LINK, count)
    assert together.shape == (len(batch), count)
    assert together.tolist() == [words(7, *report, count=count) for report in batch]


@pytest.mark.parametrize("count", [1, 2, 7, 64, 145])
def test_the_numbers_do_not_depend_on_the_place_in_the_batch_to_the_last_bit(count: int) -> None:
    """Vector instructions take several numbers at once; what is left over must be rounded alike."""
    rows = np.random.default_rng(1).permutation(41)
    for draw in (Randomness.uniform, Randomness.normal):
        together = draw(reports(41), Stage.LINK, count)
        mixed = draw(reports(41).of(rows), Stage.LINK, count)
        assert np.array_equal(mixed, together[rows])
        assert all(
            np.array_equal(draw(reports(41).of(rows[i : i + 1]), Stage.LINK, count)[0], mixed[i]) for i in (0, 9)
        )


def test_uniform_numbers_are_uniform_below_1() -> None:
    drawn = reports(2000).uniform(Stage.LINK, 100)
    assert drawn.dtype == np.float64
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert kstest(drawn.ravel(), "uniform").pvalue > 1e-3


def normals() -> NDArray[np.float64]:
    return reports(20_000).normal(Stage.LINK, 100).astype(np.float64)


def test_normal_numbers_are_normal_out_to_their_tails() -> None:
    drawn = normals()
    assert reports(1).normal(Stage.LINK, 1).dtype == np.float32
    assert kstest(drawn.ravel(), "norm").pvalue > 1e-3
    for power, variance in ((1, 1), (2, 2), (3, 15), (4, 96)):
        mean = (1 - power % 2) * (power - 1)
        assert np.mean(drawn**power) == pytest.approx(mean, abs=4 * np.sqrt(variance / drawn.size))
    for threshold in (3.0, 4.0, 4.5):
        expected = 2 * norm.sf(threshold) * drawn.size
        assert (np.abs(drawn) > threshold).sum() == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_the_normal_numbers_of_a_report_are_independent() -> None:
    """Two share a radius: neither they nor their squares may be correlated."""
    drawn = normals()
    for numbers in (drawn, (drawn**2 - 1) / np.sqrt(2)):
        covariance = numbers.T @ numbers / len(numbers) - np.eye(100)
        assert np.abs(covariance[~np.eye(100, dtype=bool)]).max() < 5 / np.sqrt(len(numbers))


def test_a_run_beyond_the_key_is_refused() -> None:
    for run in (-1, 2**64):
        with pytest.raises(InvalidArgumentError, match="`run` must be in"):
            Randomness(run, np.array([0]), np.array([0]))


@pytest.mark.parametrize("ue_id", [-1, 2**32])
def test_a_ue_that_would_draw_the_numbers_of_another_stage_is_refused(ue_id: int) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`ue_id` must be in \[0, 2\^32\); got"):
        Randomness(1, np.array([0, ue_id]), np.array([0, 0]))
