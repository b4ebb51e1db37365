import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgumentError
from shared.links import LINKS, make_link
from shared.links.label import DETECTORS, FADING_NAMES, MODULATION_NAMES, DigitalLabel, parse_digital_label

WORDS = [
    *DETECTORS,
    *MODULATION_NAMES,
    *FADING_NAMES,
    "uncoded",
    "crc",
    "conv-1/2",
    "polar-1/2",
    "erasure-0.5",
    "erasure-",
    "erasure-nan",
    "turbo",
    "",
]


@st.composite
def labels(draw: st.DrawFn) -> DigitalLabel:
    detector = draw(st.sampled_from(DETECTORS))
    modulation = "bpsk" if detector == "bsc" else draw(st.sampled_from(MODULATION_NAMES))
    erasure = draw(st.floats(0, 1, exclude_max=True))
    code = draw(st.sampled_from(["uncoded", "crc", "conv-1/2", "conv-1/3"]))
    return DigitalLabel(detector, modulation, draw(st.sampled_from(FADING_NAMES)), code, erasure)


@given(labels())
def test_the_text_of_a_label_is_read_as_that_label(label: DigitalLabel) -> None:
    assert parse_digital_label(str(label)) == label
    assert make_link(str(label)).label == str(label)


@given(labels(), st.permutations(range(5)))
def test_the_order_of_the_options_does_not_matter(label: DigitalLabel, order: list[int]) -> None:
    words = [label.detector, label.modulation, label.fading, label.code, f"erasure-{label.erasure!r}"]
    words = [words[i] for i in order]
    assert parse_digital_label(":".join(["digital", *words])) == label


@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map(lambda words: ":".join(["digital", *words]))))
def test_any_text_gives_a_link_of_a_canonical_label_or_the_error(text: str) -> None:
    try:
        link = make_link(text)
    except InvalidArgumentError:
        return
    assert make_link(link.label).label == link.label
    assert link.family in LINKS


@pytest.mark.parametrize(
    ("label", "canonical"),
    [
        ("digital:bsc:bpsk:awgn:uncoded:erasure-0", "digital:bsc"),
        ("digital:erasure-1e-2:rayleigh:16qam:soft", "digital:soft:16qam:rayleigh:erasure-0.01"),
        ("digital:uplink:hard", "digital:hard:uplink"),
        ("digital:conv-1/3:uplink:soft", "digital:soft:uplink:conv-1/3"),
        ("ideal", "ideal"),
    ],
)
def test_the_canonical_label_has_a_fixed_order_and_no_defaults(label: str, canonical: str) -> None:
    assert make_link(label).label == canonical


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("wire", "must be one of ideal, digital, analog, and options after colons; got 'wire'"),
        ("ideal:rayleigh", "without options; got 'ideal:rayleigh'"),
        ("digital", "detector, bsc, hard, soft; got 'digital'"),
        ("digital:16qam", "detector, bsc, hard, soft; got 'digital:16qam'"),
        ("digital:soft:8psk", "modulation bpsk, qpsk, 16qam, 64qam, 256qam; .*got '8psk'"),
        ("digital:soft:rice", "fading awgn, rayleigh, uplink; .*got 'rice'"),
        ("digital:soft:", "got ''"),
        ("digital:soft:hard", "one detector; got 'soft' and 'hard'"),
        ("digital:soft:crc:conv-1/2", "one code; got 'crc' and 'conv-1/2'"),
        ("digital:soft:qpsk:qpsk", "one modulation; got 'qpsk' and 'qpsk'"),
        ("digital:soft:erasure-0:erasure-0.1", "one erasure; got 'erasure-0' and 'erasure-0.1'"),
        ("digital:soft:erasure-1", r"P in \[0, 1\); got 1.0"),
        ("digital:soft:erasure--0.1", r"P in \[0, 1\); got -0.1"),
        ("digital:soft:erasure-nan", r"P in \[0, 1\); got nan"),
        ("digital:soft:erasure-often", r"P in \[0, 1\); got 'often'"),
        ("digital:bsc:16qam", "`bsc` must go with bpsk, .*; got '16qam'"),
    ],
)
def test_a_label_that_names_no_link_is_refused_by_the_word(label: str, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        make_link(label)


def test_a_label_of_another_family_is_no_digital_one() -> None:
    with pytest.raises(InvalidArgumentError, match="begin with digital; got 'ideal'"):
        parse_digital_label("ideal")
