"""What every channel code keeps to, over all labels."""

import importlib.util

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from shared.coding.channel_code import ChannelCode, coded_lengths, decode_reports, encode_reports
from shared.coding.codes import CHANNEL_CODES, make_channel_code
from shared.coding.crc import num_crc_bits
from shared.errors import InvalidArgumentError, ModelMismatchError
from shared.types import Payload

NUM_INFO_BITS = (1, 11, 12, 19, 20, 32, 128, 511, 1000)
SHORT, MEDIUM = 96, 128  # every code takes them


@pytest.fixture(scope="module", params=CHANNEL_CODES)
def code(request: pytest.FixtureRequest) -> ChannelCode:
    if request.param.startswith(("polar", "ldpc")):
        pytest.importorskip("sionna")
    return make_channel_code(request.param)


def random_bits(num_reports: int, num_bits: int) -> NDArray[np.uint8]:
    return np.random.default_rng(num_bits).integers(0, 2, (num_reports, num_bits), dtype=np.uint8)


def hard(bits: NDArray[np.uint8]) -> NDArray[np.float32]:
    return bits * np.float32(2) - np.float32(1)


def noisy(code: ChannelCode, num_reports: int, num_info_bits: int, noise: float) -> NDArray[np.float32]:
    sent = hard(code.encode(random_bits(num_reports, num_info_bits)))
    noise_drawn = np.random.default_rng(7).standard_normal(sent.shape)
    return (sent + noise * noise_drawn).astype(np.float32)


def takes(code: ChannelCode, num_info_bits: int) -> bool:
    try:
        return code.num_coded_bits(num_info_bits) > 0
    except InvalidArgumentError:
        return False


def test_a_label_names_its_code(code: ChannelCode) -> None:
    assert CHANNEL_CODES[code.label]().label == code.label


def test_an_unknown_label_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidArgumentError, match=r"must be one of uncoded, crc, conv-1/2.*; got 'polar-0.4'"):
        make_channel_code("polar-0.4")


@pytest.mark.parametrize("label", ["polar-1/2", "ldpc-1/2"])
def test_a_code_of_sionna_says_what_is_missing_without_it(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelMismatchError, match=f"`channel_code` {label} needs Sionna, .* its extra `radio`"):
        make_channel_code(label)


def test_hard_bits_without_errors_come_back_and_are_as_many_as_declared(code: ChannelCode) -> None:
    taken = [k for k in NUM_INFO_BITS if takes(code, k)]
    assert {MEDIUM} <= set(taken)
    for num_info_bits in taken:
        bits = random_bits(3, num_info_bits)
        sent = code.encode(bits)
        assert sent.shape == (3, code.num_coded_bits(num_info_bits))
        assert sent.dtype == np.uint8
        decoded = code.decode(hard(sent), num_info_bits)
        assert (decoded.bits == bits).all()
        if code.label == "uncoded" or num_crc_bits(num_info_bits) == 0:
            assert decoded.crc_ok is None
        else:
            assert decoded.crc_ok is not None
            assert decoded.crc_ok.tolist() == [True] * 3


@pytest.mark.parametrize("step", [0, 0.125, 1])  # as they are, as int8 of the link, coarse with many ties
def test_a_report_decodes_alike_in_any_batch(code: ChannelCode, step: float) -> None:
    llrs = noisy(code, 13, SHORT, noise=0.8)
    if step:
        llrs = (np.round(llrs / np.float32(step)) * np.float32(step)).astype(np.float32)
    together = code.decode(llrs, SHORT)
    for size in (1, 5):
        parts = [code.decode(llrs[first : first + size], SHORT) for first in range(0, len(llrs), size)]
        assert (np.concatenate([part.bits for part in parts]) == together.bits).all()
        if together.crc_ok is not None:
            alone = [part.crc_ok for part in parts if part.crc_ok is not None]
            assert (np.concatenate(alone) == together.crc_ok).all()


def test_the_scale_of_the_llrs_does_not_matter(code: ChannelCode) -> None:
    llrs = noisy(code, 20, SHORT, noise=0.8)
    decoded = code.decode(llrs, SHORT).bits
    for factor in (2.0**-6, 2.0**7):
        assert (code.decode(llrs * np.float32(factor), SHORT).bits == decoded).all()


def test_one_flipped_bit_is_corrected_or_noticed(code: ChannelCode) -> None:
    bits = np.repeat(random_bits(1, MEDIUM), 40, axis=0)
    llrs = hard(code.encode(bits))
    flipped = np.linspace(0, llrs.shape[1] - 1, len(llrs)).astype(int)
    llrs[np.arange(len(llrs)), flipped] *= -1
    decoded = code.decode(llrs, MEDIUM)
    right = (decoded.bits == bits).all(axis=1)
    if code.label == "uncoded":
        assert not right.any()
        assert decoded.crc_ok is None
    else:
        assert decoded.crc_ok is not None
        assert (right | ~decoded.crc_ok).all()
        assert right.all() or code.label in {"crc", "ldpc-5/6"}  # the latter has 139 bits in 154


def test_a_report_of_noise_is_noticed_nearly_always(code: ChannelCode) -> None:
    """A CRC of 11 bits holds by chance once in 2048 times; of the 8 paths of a list, eight times as often."""
    llrs = np.random.default_rng(8).standard_normal((60, code.num_coded_bits(SHORT))).astype(np.float32)
    crc_ok = code.decode(llrs, SHORT).crc_ok
    assert crc_ok is None if code.label == "uncoded" else crc_ok is not None and crc_ok.sum() <= 3


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_finite_llrs_give_bits(code: ChannelCode, data: st.DataObject) -> None:
    shape = (data.draw(st.integers(0, 3)), code.num_coded_bits(SHORT))
    finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
    decoded = code.decode(data.draw(arrays(np.float32, shape, elements=finite)), SHORT)
    assert decoded.bits.shape == (shape[0], SHORT)
    assert decoded.bits.dtype == np.uint8
    assert set(np.unique(decoded.bits)) <= {0, 1}
    if decoded.crc_ok is not None:
        assert decoded.crc_ok.shape == (shape[0],)
        assert decoded.crc_ok.dtype == np.bool_


def test_reports_of_several_lengths_are_coded_and_decoded_each_as_if_it_were_alone(code: ChannelCode) -> None:
    length = np.array([SHORT, MEDIUM, SHORT, 100, 101])
    bits = random_bits(5, MEDIUM) * (np.arange(MEDIUM) < length[:, None])
    coded = encode_reports(code, Payload(bits.astype(np.uint8), length))
    assert np.array_equal(coded.length, coded_lengths(code, length))
    assert coded.bits.shape == (5, coded.length.max())
    noise = 0.8 * np.random.default_rng(3).standard_normal(coded.bits.shape)
    llrs = (hard(coded.bits) + noise).astype(np.float32)
    together = decode_reports(code, llrs, length)
    for i, (num_info_bits, num_coded_bits) in enumerate(zip(length, coded.length, strict=True)):
        sent = code.encode(bits[i : i + 1, :num_info_bits].astype(np.uint8))
        assert np.array_equal(coded.bits[i], np.pad(sent[0], (0, coded.bits.shape[1] - num_coded_bits)))
        alone = code.decode(llrs[i : i + 1, :num_coded_bits], int(num_info_bits))
        assert np.array_equal(together.payload.bits[i], np.pad(alone.bits[0], (0, MEDIUM - num_info_bits)))
        assert together.checked[i] == (alone.crc_ok is not None)
        assert together.crc_ok[i] == (alone.crc_ok is None or alone.crc_ok[0])
    assert np.array_equal(together.payload.length, length)


@pytest.mark.parametrize("label", ["uncoded", "crc", "conv-1/2"])
def test_a_report_that_is_too_short_for_a_crc_has_none_beside_one_that_has(label: str) -> None:
    code, length = make_channel_code(label), np.array([11, 12, 3])
    payload = Payload(random_bits(3, 12) * (np.arange(12) < length[:, None]).astype(np.uint8), length)
    coded = encode_reports(code, payload)
    wrong = np.zeros_like(coded.bits)
    wrong[1, 0] = label == "crc"
    decoded = decode_reports(code, hard(coded.bits ^ wrong), length)
    assert decoded.checked.tolist() == [False, label != "uncoded", False]
    assert decoded.crc_ok.tolist() == [True, label != "crc", True]
    assert np.array_equal(decoded.payload.bits ^ wrong[:, :12], payload.bits)


def test_a_report_that_its_code_does_not_take_is_refused_among_others() -> None:
    pytest.importorskip("sionna")
    with pytest.raises(InvalidArgumentError, match=r"`num_info_bits` must be in \[12, 543\] for polar-1/2; got 11"):
        encode_reports(make_channel_code("polar-1/2"), Payload(random_bits(2, 20), np.array([20, 11])))


def test_no_report_is_no_bits(code: ChannelCode) -> None:
    coded = encode_reports(code, Payload.of_equal_length(np.zeros((0, SHORT), dtype=np.uint8)))
    assert len(coded.bits) == len(decode_reports(code, hard(coded.bits), coded.length).crc_ok) == 0
