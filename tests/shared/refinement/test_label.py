import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.frame import SNR_DB_RANGE
from shared.refinement.label import POLICIES, RefinementLabel, parse_refinement

WORDS = [
    "steps-2",
    "steps-0",
    "steps-",
    "from-5",
    "from-nan",
    "from--3",
    "above-0",
    "above-1e-3",
    "by-small",
    "by-",
    "",
]
steps = st.integers(1, 1000)
names = st.one_of(st.none(), st.from_regex("[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True))


@st.composite
def labels(draw: st.DrawFn) -> RefinementLabel:
    match draw(st.sampled_from(POLICIES)):
        case "always":
            return RefinementLabel("always", draw(steps), refiner=draw(names))
        case "snr":
            from_db = draw(st.floats(*SNR_DB_RANGE)) + 0.0
            return RefinementLabel("snr", draw(steps), from_db=from_db, refiner=draw(names))
        case "gain":
            above = draw(st.floats(0, 1e6)) + 0.0
            return RefinementLabel("gain", draw(st.one_of(st.none(), steps)), above=above, refiner=draw(names))
    return RefinementLabel("never")


@given(labels(), st.randoms())
def test_the_text_of_a_label_is_read_as_that_label_in_any_order_of_its_options(
    label: RefinementLabel, order: object
) -> None:
    assert parse_refinement(str(label)) == label
    policy, *words = str(label).split(":")
    order.shuffle(words)  # type: ignore[attr-defined]
    assert parse_refinement(":".join([policy, *words])) == label


@given(
    st.one_of(
        st.text(),
        st.tuples(st.sampled_from(POLICIES), st.lists(st.sampled_from(WORDS))).map(lambda t: ":".join([t[0], *t[1]])),
    )
)
def test_any_text_gives_a_label_with_one_canonical_text_or_the_error(text: str) -> None:
    try:
        label = parse_refinement(text)
    except InvalidArgumentError:
        return
    assert parse_refinement(str(label)) == label
    assert label.from_db is None or math.isfinite(label.from_db)


@pytest.mark.parametrize(
    ("label", "canonical"),
    [
        ("never", "never"),
        ("always", "always"),
        ("always:by-x:steps-1", "always:by-x"),
        ("always:by-x:steps-2", "always:steps-2:by-x"),
        ("always:steps-03", "always:steps-3"),
        ("snr:by-a.b-1:steps-4:from--2.50", "snr:from--2.5:steps-4:by-a.b-1"),
        ("snr:from--0", "snr:from-0"),
        ("gain:above-0.0", "gain"),
        ("gain:steps-2:above-0.25", "gain:above-0.25:steps-2"),
    ],
)
def test_the_canonical_label_has_a_fixed_order_and_no_defaults(label: str, canonical: str) -> None:
    assert str(parse_refinement(label)) == canonical


def test_the_number_of_steps_is_one_unless_the_gain_decides() -> None:
    assert parse_refinement("always").num_steps == parse_refinement("snr:from-0").num_steps == 1
    assert parse_refinement("gain").num_steps is None


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("", "must be one of never, always, snr, gain, and options after colons; got ''"),
        ("often:steps-2", "must be one of never, .*; got 'often:steps-2'"),
        ("never:steps-2", "Options of `refinement` never must be of none; got 'steps-2'"),
        ("always:from-3", "Options of `refinement` always must be of steps-..., by-...; got 'from-3'"),
        ("always:", "always must be of .*; got ''"),
        ("always:steps", "always must be of .*; got 'steps'"),
        ("always:steps-0", r"`steps-N` must be in \[1, 1000\]; got 0"),
        ("always:steps-1001", r"`steps-N` must be in \[1, 1000\]; got 1001"),
        ("always:steps-2.5", r"`steps-N` must have a whole number N in \[1, 1000\]; got '2.5'"),
        ("always:steps-9999999999", "a whole number N .*; got '9999999999'"),
        ("always:steps-2:steps-2", "must have one steps-...; got a second, 'steps-2'"),
        ("always:by-", "`by-NAME` must be the name of a refiner, .*; got ''"),
        ("always:by-A_b", "`by-NAME` must be the name of a refiner, .*; got 'A_b'"),
        ("snr", "`refinement` snr must have a from-...; got none"),
        ("snr:from-high", "`from-X` must have a number X; got 'high'"),
        ("snr:from-nan", r"`from-X` must be in \[-40, 80\]; got nan"),
        ("snr:from-81", r"`from-X` must be in \[-40, 80\]; got 81"),
        ("gain:above--1", r"`above-G` must be in \[0, 1e\+06\]; got -1"),
        ("gain:above-inf", "`above-G` must be in .*; got inf"),
    ],
)
def test_a_label_that_names_no_refinement_is_refused_by_the_word(label: str, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        parse_refinement(label)


def test_a_label_that_was_put_together_wrongly_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"never must have no by-...; got 'x'"):
        RefinementLabel("never", refiner="x")
    with pytest.raises(InvalidArgumentError, match=r"always must have a steps-...; got none"):
        RefinementLabel("always")
