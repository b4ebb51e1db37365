import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.frame import MAX_POINTS
from ue_client.config import parse_snr_db

points = st.integers(-40 * 4, 80 * 4).map(lambda quarter: quarter / 4)


@given(st.lists(points, min_size=1, max_size=20))
def test_a_list_is_its_numbers_in_order(values: list[float]) -> None:
    assert parse_snr_db(",".join(map(str, values))) == tuple(values)


@given(first=points, step=st.sampled_from([0.1, 0.25, 0.3, 1, 2.5, 7]), num_steps=st.integers(0, 60))
def test_a_range_goes_from_first_in_steps_to_the_last_included(first: float, step: float, num_steps: int) -> None:
    last = round(first + num_steps * step, 6)
    if last > 80:
        with pytest.raises(InvalidArgumentError, match=r"`snr_db` must be in \[-40, 80\]"):
            parse_snr_db(f"{first}:{last}:{step}")
        return
    found = parse_snr_db(f"{first}:{last}:{step}")
    assert found == pytest.approx([first + i * step for i in range(num_steps + 1)], abs=1e-4)
    assert parse_snr_db(f"{first}:{last + 0.4 * step}:{step}")[: num_steps + 1] == found or last + 0.4 * step > 80


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ten",
        "1,,2",
        "1:2",
        "1:2:3:4",
        "5:1:1",
        "1:5:0",
        "1:5:-1",
        "1:5:nan",
        "nan:5:1",
        "1:inf:1",
        f"0:{MAX_POINTS}:1",
        "0:80:1e-9",
    ],
)
def test_text_that_is_neither_list_nor_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`snr_db` must be a list .* or a range .*last >= first, step > 0"):
        parse_snr_db(text)


@pytest.mark.parametrize("text", ["-41", "81", "nan", "0,inf", "70:90:10", "-1e300"])
def test_an_snr_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`snr_db` must be in \[-40, 80\]; got '"):
        parse_snr_db(text)


def test_a_refusal_names_the_option_that_was_given() -> None:
    for text in ("loud", "81"):
        with pytest.raises(InvalidArgumentError, match=r"^`downlink_snr_db` must be"):
            parse_snr_db(text, "downlink_snr_db")


@given(st.text(max_size=12) | st.text("0123456789.:,-e naif", max_size=16))
def test_any_text_is_a_few_snrs_in_range_or_refused(text: str) -> None:
    try:
        found = parse_snr_db(text)
    except InvalidArgumentError:
        return
    assert 1 <= len(found) <= MAX_POINTS
    assert all(-40 <= point <= 80 for point in found)
