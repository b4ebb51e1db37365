from typing import cast

import numpy as np
import pytest

from shared.rng import Randomness, Stage


def draws(run: int = 7, ue: int = 3, sequence: int = 5, stage: int = Stage.LINK) -> list[float]:
    randomness = Randomness(run, np.array([ue]), np.array([sequence]))
    numbers: list[float] = randomness.generators(cast("Stage", stage))[0].random(4).tolist()
    return numbers


def test_the_stream_of_a_report_is_pinned() -> None:
    numbers = Randomness(7, np.array([3]), np.array([0])).generators(Stage.LINK)[0].random(3)
    assert numbers == pytest.approx([0.89055605, 0.96954011, 0.25407287], abs=1e-8)


def test_equal_keys_repeat_the_stream() -> None:
    assert draws() == draws()


def test_run_ue_sequence_and_stage_each_choose_another_stream() -> None:
    streams = [draws(), draws(run=8), draws(ue=4), draws(sequence=6), draws(stage=2), draws(ue=5, sequence=3)]
    assert len({number for stream in streams for number in stream}) == 4 * len(streams)


def test_a_long_stream_does_not_run_into_that_of_the_next_report() -> None:
    first, second = Randomness(7, np.array([3, 3]), np.array([0, 1])).generators(Stage.LINK)
    assert np.intersect1d(first.random(100_000), second.random(100_000)).size == 0


def test_a_report_draws_the_same_whoever_shares_its_batch() -> None:
    batch = Randomness(7, np.array([1, 3, 9]), np.array([2, 5, 0])).generators(Stage.LINK)
    assert batch[1].random(4).tolist() == draws()


def test_the_largest_run_ue_and_sequence_have_streams_of_their_own() -> None:
    largest = draws(run=2**63 - 1, ue=2**32 - 1, sequence=2**63 - 1)
    assert largest != draws(run=2**63 - 2, ue=2**32 - 1, sequence=2**63 - 1)
    assert largest != draws(run=2**63 - 1, ue=2**32 - 1, sequence=2**63 - 2)
