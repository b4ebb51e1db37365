import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, load_codec, make_decoder
from shared.coding.channel_code import DecodedBits
from shared.errors import InvalidArgumentError
from shared.estimation.ls import LsEstimator
from shared.links.digital import DigitalLink
from shared.model_files import load_model
from shared.receive import receive
from shared.rng import Randomness
from shared.transforms import normalize_power
from shared.transmit import DEFAULT_RATE, make_transmitter

N = 12
SNR_DB = np.full(N, 2.0, dtype=np.float32)


class Thrice:
    """Every bit three times, decided by the sum of its LLRs; no CRC."""

    label = "thrice"
    interleaved = False

    def num_coded_bits(self, num_info_bits: int) -> int:
        return 3 * num_info_bits

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.tile(bits, 3)

    def decode(self, llrs: NDArray[np.float32], num_info_bits: int) -> DecodedBits:
        return DecodedBits((llrs.reshape(len(llrs), 3, num_info_bits).sum(axis=1) > 0).astype(np.uint8), None)


def streams(n: int = N) -> Randomness:
    return Randomness(5, np.full(n, 9), np.arange(n))


def thrice(label: str) -> DigitalLink:
    link = DigitalLink.of_label(label)
    link.code = Thrice()
    return link


def test_what_is_sent_is_the_coded_payload_of_the_encoder(indoor: ChannelSet) -> None:
    plain = make_transmitter(load_model("klt"), indoor.shape, "ideal")
    coded = replace(plain, link=thrice("digital:hard:erasure-0.3"))
    sent = coded.transmit(indoor.h[:N], np.full(N, 80, dtype=np.float32), streams())
    payload = plain.encoder.encode(indoor.h[:N], EncodeContext(DEFAULT_RATE, SNR_DB, streams()))
    np.testing.assert_array_equal(sent.payload.bits, payload.bits)
    assert set(sent.received.length.tolist()) == {0, 3 * DEFAULT_RATE}
    arrived = sent.received.length > 0
    np.testing.assert_array_equal(sent.received.values[arrived], np.tile(payload.bits[arrived], 3))
    assert not sent.received.values[~arrived].any()


def test_a_channel_code_corrects_what_the_link_gets_wrong(indoor: ChannelSet) -> None:
    """Repeated thrice, soft, BPSK: 4.8 dB gain in Es/N0, p = Q(sqrt(6 * 10^0.2)) = 1e-3 instead of 3.8e-2."""
    plain = make_transmitter(load_model("klt"), indoor.shape, "digital:soft")
    decoder = make_decoder(load_model("klt"), torch.device("cpu"))
    wrong = {}
    for transmitter in (plain, replace(plain, link=thrice("digital:soft"))):
        code = transmitter.link.code
        sent = transmitter.transmit(indoor.h[:N], SNR_DB, streams())
        reception = receive(sent.received, code, sent.payload.length, decoder, DecodeContext(DEFAULT_RATE, SNR_DB))
        wrong[code.label] = (reception.payload.bits != sent.payload.bits).sum()
    num_bits = N * DEFAULT_RATE
    for label, p in (("uncoded", 0.0375), ("thrice", 1.0e-3)):
        assert abs(wrong[label] - num_bits * p) <= 4 * np.sqrt(num_bits * p)


def test_a_report_is_the_same_whoever_shares_its_batch(indoor: ChannelSet) -> None:
    link = "digital:soft:16qam:rayleigh:erasure-0.3"
    transmitter = make_transmitter(load_model("klt"), indoor.shape, link, 130, LsEstimator(indoor.shape), 5.0)
    together = transmitter.transmit(indoor.h[:N], SNR_DB, streams()).received
    for i in range(N):
        one = slice(i, i + 1)
        alone = transmitter.transmit(indoor.h[one], SNR_DB[one], Randomness(5, np.array([9]), np.array([i]))).received
        np.testing.assert_array_equal(alone.values, together.values[one])
        assert alone.length.tolist() == together.length[one].tolist()


@pytest.mark.parametrize("code", ["uncoded", "crc", "conv-1/2"])
def test_reports_of_several_lengths_are_sent_each_as_if_it_were_alone(
    indoor: ChannelSet, golomb_taps: str, code: str
) -> None:
    link = f"digital:soft:16qam:uplink:{code}:erasure-0.3"
    transmitter = make_transmitter(load_codec(golomb_taps), indoor.shape, link, 16)
    together = transmitter.transmit(indoor.h[:N], SNR_DB, streams())
    num_bits, length = together.payload.length, together.received.length
    assert len(set(num_bits.tolist())) > 2
    assert length.tolist() == [
        transmitter.link.code.num_coded_bits(number) if arrived else 0
        for number, arrived in zip(num_bits.tolist(), length > 0, strict=True)
    ]
    assert 0 < (length == 0).sum() < N
    for i in range(N):
        one = slice(i, i + 1)
        alone = transmitter.transmit(indoor.h[one], SNR_DB[one], Randomness(5, np.array([9]), np.array([i])))
        assert alone.payload.length.tolist() == [num_bits[i]]
        assert alone.received.length.tolist() == [length[i]]
        wanted = np.zeros_like(together.received.values[i])
        wanted[: length[i]] = alone.received.values[0, : length[i]]
        np.testing.assert_array_equal(together.received.values[i], wanted)


def test_the_encoder_gets_the_estimate_at_unit_power(indoor: ChannelSet) -> None:
    ls = make_transmitter(load_model("float"), indoor.shape, "ideal", None, LsEstimator(indoor.shape), 0.0)
    h_est = LsEstimator(indoor.shape).estimate(indoor.h[:N], np.zeros(N), streams())
    sent = ls.transmit(indoor.h[:N], SNR_DB, streams())
    wanted = ls.encoder.encode(normalize_power(h_est), EncodeContext(ls.rate, SNR_DB, streams()))
    np.testing.assert_array_equal(sent.payload.bits, wanted.bits)


def test_a_perfect_estimate_is_the_channel_bit_for_bit(indoor: ChannelSet) -> None:
    perfect = make_transmitter(load_model("float"), indoor.shape, "ideal")
    sent = perfect.transmit(indoor.h[:N], SNR_DB, streams())
    decoder = make_decoder(load_model("float"), torch.device("cpu"))
    reception = receive(
        sent.received, perfect.link.code, sent.payload.length, decoder, DecodeContext(perfect.rate, SNR_DB)
    )
    assert torch.equal(reception.h_hat, indoor.h[:N])


@pytest.mark.parametrize(("codec", "rate"), [("float", 65536), ("klt", DEFAULT_RATE)])
def test_a_rate_that_is_not_given_is_the_only_one_of_the_codec_or_the_default(
    indoor: ChannelSet, codec: str, rate: int
) -> None:
    assert make_transmitter(load_model(codec), indoor.shape, "ideal").rate == rate


def test_what_does_not_go_together_is_refused(indoor: ChannelSet) -> None:
    klt, shape = load_model("klt"), indoor.shape
    narrow = replace(shape, num_subcarriers=16)
    with pytest.raises(InvalidArgumentError, match=re.escape(f"`data` for codec klt must hold {shape}; got {narrow}.")):
        make_transmitter(klt, narrow, "ideal")
    with pytest.raises(InvalidArgumentError, match=r"`rate` of codec klt must be .*; got 7"):
        make_transmitter(klt, shape, "ideal", 7)
    with pytest.raises(InvalidArgumentError, match=r"`link` of codec float must be ideal; got digital:hard"):
        make_transmitter(load_model("float"), shape, "digital:hard")
    with pytest.raises(InvalidArgumentError, match=r"`cnr_db` must be given with estimator ls; got none"):
        make_transmitter(klt, shape, "ideal", 128, LsEstimator(shape))


def test_a_rate_that_the_channel_code_does_not_take_is_refused(
    indoor: ChannelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Short(Thrice):
        def num_coded_bits(self, num_info_bits: int) -> int:
            if num_info_bits > 100:
                raise InvalidArgumentError(f"`rate` of code short must be at most 100 bits; got {num_info_bits}.")
            return 3 * num_info_bits

    link = thrice("digital:hard")
    link.code = Short()
    monkeypatch.setattr("shared.transmit.make_link", lambda label: link)
    assert make_transmitter(load_model("klt"), indoor.shape, "digital:hard", 100).rate == 100
    with pytest.raises(InvalidArgumentError, match="`rate` of code short must be at most 100 bits; got 128"):
        make_transmitter(load_model("klt"), indoor.shape, "digital:hard")
