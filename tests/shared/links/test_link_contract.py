"""What every link of bits must do, by labels that take every family of `LINKS` and every option."""

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.coding.channel_code import Uncoded
from shared.links import LINKS, SymbolLink, make_link
from shared.links.label import DETECTORS, FADING_NAMES, MODULATION_NAMES
from shared.receive import decode_channel
from shared.rng import Randomness
from shared.types import Payload, Received, ReceivedKind

LABELS = (
    "ideal",
    "digital:bsc",
    "digital:hard",
    "digital:soft",
    "digital:bsc:rayleigh",
    "digital:bsc:uplink",
    "digital:hard:qpsk",
    "digital:soft:qpsk:rayleigh",
    "digital:hard:16qam:uplink",
    "digital:soft:16qam",
    "digital:hard:64qam",
    "digital:soft:64qam:uplink",
    "digital:hard:256qam:rayleigh",
    "digital:soft:256qam",
)
LOSSY = ("digital:bsc:erasure-0.5", "digital:soft:16qam:rayleigh:erasure-0.5")
NUM_REPORTS = 6
SNR_DB = np.array([-10, 0, 3, 6, -3, 20], dtype=np.float32)


def ragged_payload() -> Payload:
    length = np.array([40, 1, 0, 64, 7, 64])
    bits = np.random.default_rng(3).integers(0, 2, (NUM_REPORTS, 64), dtype=np.uint8)
    return Payload(bits * (np.arange(64) < length[:, None]), length)


def send(label: str, rows: NDArray[np.integer], snr_db: NDArray[np.float32] = SNR_DB, run: int = 1) -> Received:
    payload = ragged_payload()
    length = payload.length[rows]
    part = Payload(payload.bits[rows, : length.max()], length)
    return make_link(label).transmit(part, snr_db[rows], Randomness(run, rows + 10, 100 + rows))


everyone = np.arange(NUM_REPORTS)


def test_every_family_and_option_has_a_label_here() -> None:
    of_symbols = {"analog"}  # tests/shared/links/test_analog.py
    assert {family for family in of_symbols if isinstance(make_link(family), SymbolLink)} == of_symbols
    assert {make_link(label).family for label in LABELS} == set(LINKS) - of_symbols
    words = {word for label in LABELS for word in label.split(":")}
    assert words | {"bpsk", "awgn"} >= {*DETECTORS, *MODULATION_NAMES, *FADING_NAMES}


@pytest.mark.parametrize("label", LABELS + LOSSY)
def test_the_same_streams_give_the_same_errors_and_another_run_gives_others(label: str) -> None:
    assert np.array_equal(send(label, everyone).values, send(label, everyone).values)
    assert np.array_equal(send(label, everyone).values, send(label, everyone, run=2).values) == (label == "ideal")


@pytest.mark.parametrize("label", LABELS + LOSSY)
def test_what_a_report_suffers_does_not_depend_on_who_shares_its_batch(label: str) -> None:
    whole = send(label, everyone)
    for row in everyone:
        alone = send(label, np.array([row]))
        assert alone.length[0] == whole.length[row]
        assert np.array_equal(alone.values[0, : alone.length[0]], whole.values[row, : whole.length[row]])


@pytest.mark.parametrize("label", LABELS)
def test_a_link_hands_on_as_many_values_as_it_got_bits_and_zeros_beyond(label: str) -> None:
    received = send(label, everyone)
    assert np.array_equal(received.length, ragged_payload().length)
    sent = np.arange(64) < received.length[:, None]
    assert not received.values[~sent].any()
    if received.kind is ReceivedKind.LLRS:
        assert received.values.dtype == np.int8
        assert received.values[sent].all()
    else:
        assert received.values.dtype == np.uint8
        assert received.values.max() == 1


@pytest.mark.parametrize("label", LABELS)
def test_without_noise_every_bit_arrives(label: str) -> None:
    received = send(label, everyone, snr_db=np.full(NUM_REPORTS, 80, dtype=np.float32))
    assert np.array_equal(decode_channel(received, Uncoded(), received.length).payload.bits, ragged_payload().bits)


@pytest.mark.parametrize("label", LOSSY)
def test_a_report_arrives_whole_or_not_at_all(label: str) -> None:
    received = send(label, everyone)
    lost = received.length == 0
    assert np.array_equal(received.length, np.where(lost, 0, ragged_payload().length))
    assert (lost[ragged_payload().length > 0]).any()
    assert not lost.all()
    assert not received.values[lost].any()


@pytest.mark.parametrize("label", LABELS)
def test_the_channel_uses_of_a_report_are_its_symbols_and_its_code_is_told(label: str) -> None:
    link = make_link(label)
    per_symbol = {"qpsk": 2, "16qam": 4, "64qam": 6, "256qam": 8}
    bits = max(per_symbol.get(word, 1) for word in label.split(":"))
    assert [link.num_channel_uses(n) for n in (0, 1, bits, bits + 1, 240)] == [0, 1, 1, 2, 240 // bits]
    assert link.code.label == "uncoded"


def test_the_ideal_link_changes_nothing_at_any_snr() -> None:
    assert np.array_equal(send("ideal", everyone).values, ragged_payload().bits)


@pytest.mark.parametrize("label", LABELS)
def test_a_link_knows_its_label_and_the_family_that_cards_name(label: str) -> None:
    assert (make_link(label).label, make_link(label).family) == (label, label.split(":", maxsplit=1)[0])
