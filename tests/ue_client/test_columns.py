import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from ue_client.columns import MAX_UE_ID, Columns, ManyUes, OneUe

Row = tuple[int, int, int, float]
counts = st.integers(1, 12)
points = st.lists(st.sampled_from([-5.0, 0.0, 2.5, 10.0]), min_size=1, max_size=4).map(tuple)


def rows(frames: list[Columns]) -> list[Row]:
    """Return (ue_id, sequence, channel_index, snr_db) of every report."""
    names = ("ue_id", "sequence", "channel_index", "snr_db")
    return [row for c in frames for row in zip(*(getattr(c, name).tolist() for name in names), strict=True)]


@given(num_ues=st.integers(4, 20), snr_db=points, num_reports=counts, num_channels=counts, size=counts)
def test_a_ue_of_a_fleet_sends_what_it_would_send_alone(
    num_ues: int, snr_db: tuple[float, ...], num_reports: int, num_channels: int, size: int
) -> None:
    fleet = ManyUes(100, num_ues, 3, snr_db, num_reports)
    frames = list(fleet.frames(num_channels, size))
    assert [len(c.ue_id) for c in frames[:-1]] == [size] * (len(frames) - 1)
    found = rows(frames)
    assert len(found) == len({row[:2] for row in found}) == num_ues * num_reports
    for k in range(num_ues):
        alone = OneUe(100 + k, 3 + k * num_reports, (snr_db[k % len(snr_db)],), num_reports)
        of_ue = [row for row in found if row[0] == 100 + k]
        assert of_ue == rows(list(alone.frames(num_channels, size)))


@given(num_ues=st.integers(4, 20), snr_db=points)
def test_the_ues_at_an_snr_are_counted_and_shared_evenly(num_ues: int, snr_db: tuple[float, ...]) -> None:
    fleet = ManyUes(0, num_ues, 0, snr_db, 1)
    found = [row[3] for row in rows(list(fleet.frames(1, 7)))]
    assert {snr: fleet.num_ues_at(snr) for snr in snr_db} == {snr: found.count(snr) for snr in snr_db}
    if len(set(snr_db)) == len(snr_db):
        assert max(map(found.count, snr_db)) - min(map(found.count, snr_db)) <= 1


def test_a_frame_of_a_fleet_holds_reports_of_many_ues_and_snrs() -> None:
    frame = next(ManyUes(0, 1000, 0, (-5.0, 0.0, 5.0), 20).frames(2400, 256))
    assert frame.ue_id.tolist() == list(range(256))
    assert set(frame.snr_db.tolist()) == {-5.0, 0.0, 5.0}
    assert frame.sequence.tolist() == [0] * 256
    assert all(column.dtype == np.int64 for column in (frame.ue_id, frame.sequence, frame.channel_index))


@given(snr_db=points, num_reports=counts, size=counts)
def test_one_ue_goes_through_the_same_channels_at_each_snr(
    snr_db: tuple[float, ...], num_reports: int, size: int
) -> None:
    frames = list(OneUe(7, 2, snr_db, num_reports).frames(5, size))
    assert all(len(set(c.snr_db.tolist())) == 1 for c in frames)
    found = rows(frames)
    assert [row[:2] for row in found] == [(7, i) for i in range(len(snr_db) * num_reports)]
    assert [row[2] for row in found] == [(2 + i) % 5 for i in range(num_reports)] * len(snr_db)


def test_a_fleet_without_room_for_its_ids_or_without_a_ue_for_each_snr_is_refused() -> None:
    assert ManyUes(MAX_UE_ID - 1, 2, 0, (0.0,), 1).num_ues_at(0.0) == 2
    with pytest.raises(InvalidArgumentError, match=r"`num_ues` from `ue_id` 4294967294 must be at most 2; got 3\."):
        ManyUes(MAX_UE_ID - 1, 3, 0, (0.0,), 1)
    with pytest.raises(InvalidArgumentError, match=r"`num_ues` must be at least the number of SNRs, 2; got 1\."):
        ManyUes(0, 1, 0, (0.0, 5.0), 1)


def test_ues_that_are_served_together_have_one_snr() -> None:
    fleet = ManyUes(first_ue_id=5, num_ues=6, first_channel=0, snr_db=(0.0, 9.0), num_reports=2, group=2)
    (columns,) = fleet.frames(100, 12)
    assert columns.snr_db.tolist() == [0, 0, 9, 9, 0, 0] * 2
    assert (fleet.num_ues_at(0.0), fleet.num_ues_at(9.0)) == (4, 2)


@pytest.mark.parametrize("num_ues", [5, 2])
def test_groups_that_are_not_whole_or_fewer_than_the_snrs_are_refused(num_ues: int) -> None:
    sentence = f"`num_ues` must be a multiple of `downlink_num_ue`, 2, at least .* SNRs, 2 times that; got {num_ues}"
    with pytest.raises(InvalidArgumentError, match=sentence):
        ManyUes(first_ue_id=5, num_ues=num_ues, first_channel=0, snr_db=(0.0, 9.0), num_reports=2, group=2)
