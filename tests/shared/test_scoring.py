"""What may be scored, and of which channels."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.scoring import MAX_DOWNLINK_SNRS, Scoring
from shared.types import CsiShape


@given(st.lists(st.floats(-40, 80), max_size=MAX_DOWNLINK_SNRS, unique_by=lambda x: round(x, 4)).map(sorted))
def test_any_increasing_list_of_downlink_snrs_in_range_is_taken(snr_db: list[float]) -> None:
    assert len(Scoring(tuple(snr_db)).downlink_names) == len(set(Scoring(tuple(snr_db)).downlink_names)) == len(snr_db)


@pytest.mark.parametrize(
    "snr_db",
    [
        (10.0, 0.0),
        (0.0, 0.0),
        (10.0, 10.000001),
        (-0.0, 0.0),
        (-40.5,),
        (0.0, 80.5),
        (np.nan,),
        (0.0, np.nan),
        (-np.inf,),
        (np.inf,),
    ],
)
def test_downlink_snrs_that_are_no_key_or_cannot_be_scored_are_refused(snr_db: tuple[float, ...]) -> None:
    sentence = r"`downlink_snr_db` must be at most 16 increasing numbers in \[-40, 80\]; got \["
    with pytest.raises(InvalidArgumentError, match=sentence):
        Scoring(snr_db)


def test_too_many_downlink_snrs_are_refused_in_a_short_sentence() -> None:
    Scoring(tuple(float(i) for i in range(MAX_DOWNLINK_SNRS)))
    for number in (MAX_DOWNLINK_SNRS + 1, 70):
        with pytest.raises(InvalidArgumentError, match="`downlink_snr_db` must be at most 16") as refusal:
            Scoring(tuple(float(i) for i in range(number)))
        assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"downlink_num_ue": 0}, r"`downlink_num_ue` must be in \[1, 64\]; got 0"),
        ({"downlink_num_ue": 65}, r"`downlink_num_ue` must be in \[1, 64\]; got 65"),
        ({"downlink_mcs": 2}, r"`downlink_mcs` must be in \[3, 27\]; got 2"),
        ({"downlink_mcs": 28}, r"`downlink_mcs` must be in \[3, 27\]; got 28"),
        ({"num_subbands": 33}, r"`num_subbands` must be in \[0, 32\]; got 33"),
        ({"num_subbands": -1}, r"`num_subbands` must be in \[0, 32\]; got -1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        Scoring((0.0,), **options)


@pytest.mark.parametrize("options", [{"downlink_num_ue": 2}, {"downlink_mcs": 9}])
def test_how_to_score_a_downlink_that_is_not_scored_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="`downlink_snr_db` must be given with"):
        Scoring(**options)


@pytest.mark.parametrize(
    ("scoring", "sentence"),
    [
        (Scoring(num_subbands=5), "`num_subbands` must divide 32 subcarriers; got 5"),
        (Scoring((0.0,), 2), "`downlink_num_ue` must be 1 of UEs with several antennas; got 2 of them with 2 UEs"),
    ],
)
def test_what_the_channels_do_not_have_is_refused(scoring: Scoring, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        scoring.require_fit(CsiShape("angular-delay", 2, 8, 32))
    with pytest.raises(InvalidArgumentError, match="`downlink_num_ue` must be at most 8, the base station's antennas"):
        Scoring((0.0,), 9).require_fit(CsiShape("angular-delay", 1, 8, 32))


def test_broken_groups_are_refused() -> None:
    Scoring((0.0,), 4).require_groups(8, "num_reports")
    with pytest.raises(InvalidArgumentError, match="`num_reports` must be a multiple of `downlink_num_ue`, 4; got 6"):
        Scoring((0.0,), 4).require_groups(6, "num_reports")


def test_a_snr_that_rounds_to_minus_nothing_has_the_name_of_nothing() -> None:
    assert Scoring((-1.1e-16,)).downlink_names == ("downlink_0db",)
