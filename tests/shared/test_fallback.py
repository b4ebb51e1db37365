from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.channels import ChannelSet
from shared.errors import InvalidArgumentError
from shared.fallback import LastGood, ReportIdentity, require_fallback
from shared.receive import Reception
from shared.types import no_bits

MEAN = -1.0


def reception(good: list[float | None]) -> Reception:
    """A batch of one-number channels; None is a report that was lost, whose channel is the mean."""
    fallback = np.array([value is None for value in good])
    h_hat = torch.tensor([MEAN if value is None else value for value in good], dtype=torch.complex64)
    held, num_steps = np.zeros_like(fallback), np.zeros(len(good), dtype=np.int64)
    channels, payload, none = h_hat.reshape(-1, 1, 1, 1), no_bits(len(good)), np.zeros_like(fallback)
    return Reception(channels, payload, fallback, fallback, none, ~fallback, held, num_steps)


def held(memory: LastGood, reports: list[ReportIdentity | None], good: list[float | None]) -> list[float]:
    """Return what the reconstructions are, after checking that `held` says which of them are held."""
    batch = reception(good)
    after = memory.hold(batch, reports)
    values: list[float] = after.h_hat.real.flatten().tolist()
    assert batch.h_hat.real.flatten().tolist() == [MEAN if value is None else value for value in good]
    assert not batch.held.any()
    assert after.fallback is batch.fallback
    assert after.held.tolist() == [value is None and now != MEAN for value, now in zip(good, values, strict=True)]
    return values


def test_the_order_is_that_of_the_sequence_numbers_within_a_batch_and_across_batches() -> None:
    memory = LastGood()
    reports: list[ReportIdentity | None] = [("a", 0, sequence) for sequence in (3, 1, 0, 2)]
    assert held(memory, reports, [None, 1, None, None]) == [1, 1, MEAN, 1]
    assert held(memory, [("a", 0, 4), ("a", 0, 5), ("a", 0, 6)], [None, 5, None]) == [1, 5, 5]


def test_an_older_report_that_comes_late_neither_overwrites_a_newer_one_nor_takes_it() -> None:
    memory = LastGood()
    assert held(memory, [("a", 0, 7)], [7]) == [7]
    assert held(memory, [("a", 0, 5)], [5]) == [5]
    assert held(memory, [("a", 0, 6)], [None]) == [MEAN]
    assert held(memory, [("a", 0, 8)], [None]) == [7]


def test_each_ue_of_each_session_has_its_own_and_who_did_not_ask_keeps_the_mean() -> None:
    memory = LastGood()
    assert held(memory, [("a", 0, 0), ("a", 1, 0), ("b", 0, 0), None], [1, 2, 3, 4]) == [1, 2, 3, 4]
    lost: list[ReportIdentity | None] = [("b", 0, 1), None, ("a", 1, 1), ("a", 0, 1), ("b", 1, 1)]
    assert held(memory, lost, [None] * 5) == [3, MEAN, 2, 1, MEAN]


def test_a_batch_of_which_nobody_asked_is_left_alone() -> None:
    batch = reception([1, None])
    assert LastGood().hold(batch, [None, None]) is batch


def test_the_ue_whose_last_good_report_came_longest_ago_is_forgotten() -> None:
    memory = LastGood(max_ues=2)
    held(memory, [("a", 0, 0), ("a", 1, 1), ("a", 0, 2), ("a", 2, 3)], [1, 2, 3, 4])
    assert held(memory, [("a", ue, 9) for ue in range(3)], [None] * 3) == [3, MEAN, 4]


def test_what_is_remembered_does_not_change_with_the_batch_it_came_in() -> None:
    memory = LastGood()
    first = memory.hold(reception([1]), [("a", 0, 0)])
    first.h_hat.zero_()
    assert held(memory, [("a", 0, 1)], [None]) == [1]


UES = [("a", 0), ("a", 1), ("b", 0)]


@given(
    st.lists(
        st.tuples(st.sampled_from(UES), st.integers(0, 9), st.booleans(), st.booleans()),
        max_size=24,
        unique_by=lambda drawn: drawn[:2],
    ),
    st.permutations([0, 1, 2]),
    st.integers(1, 8),
)
def test_what_is_held_is_the_newest_good_report_where_that_is_an_earlier_one(
    drawn: list[tuple[tuple[str, int], int, bool, bool]], batches: list[int], size: int
) -> None:
    """Batches come in any order; within one, every report knows those of smaller numbers."""
    memory, newest = LastGood(), dict[tuple[str, int], tuple[int, float]]()
    parts = [drawn[start : start + size] for start in range(0, len(drawn), size)]
    for part in [parts[i] for i in batches if i < len(parts)]:
        good = [float(10 * UES.index(ue) + sequence) if arrived else None for ue, sequence, arrived, _ in part]
        values = held(memory, [(*ue, sequence) if asks else None for ue, sequence, _, asks in part], good)
        for row in sorted(range(len(part)), key=lambda row: part[row][1]):
            ue, sequence, _, asks = part[row]
            value, before = good[row], newest.get(ue, (99, MEAN))
            expected = before[1] if asks and before[0] < sequence else MEAN
            assert values[row] == (expected if value is None else value)
            if value is not None and asks and (ue not in newest or sequence > before[0]):
                newest[ue] = (sequence, value)


def test_csi_is_held_only_of_data_whose_card_declares_time_correlation(indoor: ChannelSet) -> None:
    assert indoor.card is not None
    require_fallback("mean", indoor)
    require_fallback("last", replace(indoor, card=indoor.card.model_copy(update={"time_correlation": True})))
    for card, found in ((indoor.card, "declares none"), (None, "has no card")):
        with pytest.raises(InvalidArgumentError, match=f"`fallback` last must .*; indoor-open-office {found}"):
            require_fallback("last", replace(indoor, card=card))
