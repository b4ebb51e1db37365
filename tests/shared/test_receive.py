from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, Decoder, EncodeContext, make_decoder, make_encoder
from shared.coding.channel_code import DecodedBits, Uncoded
from shared.model_files import load_model
from shared.receive import Reception, Refinement, decode_channel, receive
from shared.refinement import Refiner, RefinerFile, make_refiner
from shared.refinement.label import parse_refinement
from shared.rng import Randomness
from shared.types import Payload, Received, ReceivedKind, Reconstruction

CPU = torch.device("cpu")
RATE = 65536
SNR_DB = np.zeros(4, dtype=np.float32)


class Parity:
    """One bit behind the information bits that makes the ones even: the shortest CRC there is."""

    label = "parity"
    interleaved = False

    def num_coded_bits(self, num_info_bits: int) -> int:
        return num_info_bits + 1

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.concatenate([bits, bits.sum(axis=1, keepdims=True, dtype=np.uint8) % 2], axis=1)

    def decode(self, llrs: NDArray[np.float32], num_info_bits: int) -> DecodedBits:
        bits = (llrs > 0).astype(np.uint8)
        return DecodedBits(bits[:, :num_info_bits], bits.sum(axis=1, dtype=np.int64) % 2 == 0)


@pytest.fixture
def decoder() -> Decoder:
    """The decoder whose mistakes show: `float` gives back what arrived; its mean channel is like no other."""
    decoder = make_decoder(load_model("float"), CPU)
    decoder.mean_csi = torch.full(decoder.card.shape.dims, 2 - 1j, dtype=torch.complex64)
    return decoder


@pytest.fixture
def payload(indoor: ChannelSet) -> Payload:
    """The bits of channels 0 to 3."""
    randomness = Randomness(0, np.zeros(4, dtype=np.uint32), np.arange(4))
    return make_encoder(load_model("float"), CPU).encode(indoor.h[:4], EncodeContext(RATE, SNR_DB, randomness))


def hard(bits: NDArray[np.uint8], erased: tuple[int, ...] = ()) -> Received:
    """Hand on bits as they are, none of the reports that are erased."""
    length = np.full(len(bits), bits.shape[1])
    length[list(erased)] = 0
    values = bits.copy()
    values[list(erased)] = 0
    return Received(ReceivedKind.HARD_BITS, values, length)


def assert_mean_or_channel(reception: Reception, indoor: ChannelSet, decoder: Decoder, fallback: list[bool]) -> None:
    assert reception.fallback.tolist() == fallback
    for h_hat, h, is_mean in zip(reception.h_hat, indoor.h[:4], fallback, strict=True):
        assert torch.equal(h_hat, decoder.mean_csi if is_mean else h)


def test_a_positive_llr_is_a_one_and_hard_bits_stay() -> None:
    length = np.array([4, 4])
    llrs = np.array([[127, 1, -1, -127], [-3, 3, -1, 1]], dtype=np.int8)
    bits = np.array([[1, 1, 0, 0], [0, 1, 0, 1]], dtype=np.uint8)
    for received in (Received(ReceivedKind.LLRS, llrs, length), Received(ReceivedKind.HARD_BITS, bits, length)):
        decoded = decode_channel(received, Uncoded(), length)
        assert np.array_equal(decoded.payload.bits, bits)
        assert not decoded.checked.any()


def test_a_channel_code_gets_llrs_as_they_are_and_hard_bits_as_signs() -> None:
    seen: list[NDArray[np.float32]] = []

    class Watching(Parity):
        def decode(self, llrs: NDArray[np.float32], num_info_bits: int) -> DecodedBits:
            seen.append(llrs)
            return super().decode(llrs, num_info_bits)

    length = np.array([3])
    for received in (
        Received(ReceivedKind.LLRS, np.array([[127, -1, 5]], dtype=np.int8), length),
        Received(ReceivedKind.HARD_BITS, np.array([[1, 0, 1]], dtype=np.uint8), length),
    ):
        decoded = decode_channel(received, Watching(), np.array([2]))
        assert decoded.payload.bits.tolist() == [[1, 0]]
        assert (decoded.checked.tolist(), decoded.crc_ok.tolist()) == ([True], [True])
    assert [llrs.tolist() for llrs in seen] == [[[127, -1, 5]], [[1, -1, 1]]]
    assert {llrs.dtype for llrs in seen} == {np.dtype(np.float32)}


def test_a_report_that_cannot_be_decoded_falls_back_to_the_mean_channel(
    indoor: ChannelSet, decoder: Decoder, payload: Payload
) -> None:
    payload.bits[1, :32] = 1  # a NaN
    reception = receive(hard(payload.bits), Uncoded(), payload.length, decoder, DecodeContext(RATE, SNR_DB))
    assert_mean_or_channel(reception, indoor, decoder, [False, True, False, False])
    assert reception.erased.tolist() == [False] * 4
    assert not reception.checked.any()


def test_a_report_that_its_decoder_calls_valid_but_is_not_finite_falls_back(
    indoor: ChannelSet, decoder: Decoder, payload: Payload, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = decoder.decode

    def decode_all(payload: Payload, context: DecodeContext) -> Reconstruction:
        h_hat = decode(payload, context).h_hat.clone()
        h_hat[1, 0, 2, 3].imag = torch.tensor(torch.nan)
        h_hat[2, 0, 0, 0] = -torch.inf
        return Reconstruction(h_hat, np.ones(len(h_hat), dtype=np.bool_))

    monkeypatch.setattr(decoder, "decode", decode_all)
    reception = receive(hard(payload.bits), Uncoded(), payload.length, decoder, DecodeContext(RATE, SNR_DB))
    assert_mean_or_channel(reception, indoor, decoder, [False, True, True, False])


def test_a_report_whose_sum_is_too_large_for_single_precision_is_finite_all_the_same(
    decoder: Decoder, payload: Payload, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = torch.full((len(payload.bits), *decoder.card.shape.dims), 3e38 + 3e38j, dtype=torch.complex64)
    all_valid = Reconstruction(huge, np.ones(len(huge), dtype=np.bool_))
    monkeypatch.setattr(decoder, "decode", lambda payload, context: all_valid)
    assert not receive(
        hard(payload.bits), Uncoded(), payload.length, decoder, DecodeContext(RATE, SNR_DB)
    ).fallback.any()


def test_a_report_that_never_arrived_falls_back_though_its_zeros_are_a_channel(
    indoor: ChannelSet, decoder: Decoder, payload: Payload
) -> None:
    reception = receive(
        hard(payload.bits, erased=(0, 2)), Uncoded(), payload.length, decoder, DecodeContext(RATE, SNR_DB)
    )
    assert_mean_or_channel(reception, indoor, decoder, [True, False, True, False])
    assert reception.erased.tolist() == [True, False, True, False]
    assert not reception.checked.any()
    assert np.array_equal(reception.payload.bits[[1, 3]], payload.bits[[1, 3]])


def test_a_report_whose_crc_does_not_hold_falls_back_and_one_whose_crc_holds_is_believed(
    indoor: ChannelSet, decoder: Decoder, payload: Payload
) -> None:
    coded = Parity().encode(payload.bits)
    coded[1, -1] ^= 1  # the information bits are right
    coded[2, 31] ^= 1  # the least of the first number's: found
    coded[3, [31, 63]] ^= 1  # two that parity cannot see
    reception = receive(hard(coded), Parity(), payload.length, decoder, DecodeContext(RATE, SNR_DB))
    assert reception.checked.all()
    assert reception.crc_ok.tolist() == [True, False, False, True]
    assert reception.fallback.tolist() == [False, True, True, False]
    assert torch.equal(reception.h_hat[0], indoor.h[0])
    assert torch.equal(reception.h_hat[1], decoder.mean_csi)
    assert torch.equal(reception.h_hat[2], decoder.mean_csi)
    assert not torch.equal(reception.h_hat[3], indoor.h[3])
    torch.testing.assert_close(reception.h_hat[3], indoor.h[3])
    assert (reception.payload.bits != payload.bits).sum(axis=1).tolist() == [0, 0, 1, 2]
    assert reception.payload.length.tolist() == [RATE] * 4


def test_the_crc_of_a_report_that_never_arrived_does_not_hold(
    indoor: ChannelSet, decoder: Decoder, payload: Payload
) -> None:
    """The zeros that stand for it have even parity."""
    received = hard(Parity().encode(payload.bits), erased=(1,))
    reception = receive(received, Parity(), payload.length, decoder, DecodeContext(RATE, SNR_DB))
    assert_mean_or_channel(reception, indoor, decoder, [False, True, False, False])
    assert reception.checked.tolist() == reception.crc_ok.tolist() == [True, False, True, True]


def test_nothing_at_all_arrived(decoder: Decoder, indoor: ChannelSet, payload: Payload) -> None:
    for code in (Uncoded(), Parity()):
        received = hard(code.encode(payload.bits), erased=(0, 1, 2, 3))
        assert_mean_or_channel(
            receive(received, code, payload.length, decoder, DecodeContext(RATE, SNR_DB)), indoor, decoder, [True] * 4
        )


@pytest.fixture
def refiner(decoder: Decoder, untrained_refiner: Callable[..., RefinerFile]) -> Refiner:
    return make_refiner(untrained_refiner(decoder.card), CPU)


def stream(sequence: Sequence[int], run: int = 3, ue_id: int = 7) -> Randomness:
    return Randomness(run, np.full(len(sequence), ue_id), np.array(sequence, dtype=np.int64))


def test_a_batch_is_refined_in_the_steps_that_the_policy_gives_each_report(
    indoor: ChannelSet, decoder: Decoder, payload: Payload, refiner: Refiner
) -> None:
    snr_db = np.array([-3, 5, 12, 5], dtype=np.float32)
    refinement = Refinement(refiner, parse_refinement("snr:from-5:steps-3"), [stream([10, 11, 12, 13])])
    reception = receive(hard(payload.bits), Uncoded(), payload.length, decoder, DecodeContext(RATE, snr_db), refinement)
    assert reception.num_steps.tolist() == [0, 3, 3, 3]
    assert not reception.fallback.any()
    assert torch.equal(reception.h_hat[0], indoor.h[0])
    rows = [1, 2, 3]
    wanted = refiner.refine(indoor.h[rows], snr_db[rows], 3, stream([11, 12, 13]))
    torch.testing.assert_close(reception.h_hat[1:], wanted, rtol=1e-4, atol=1e-5)
    assert ((wanted - indoor.h[rows]).abs().square().mean(dim=(1, 2, 3)) > 1e-3).all()


def test_reports_of_several_runs_are_refined_each_by_its_own_noise_whatever_the_batch(
    indoor: ChannelSet, decoder: Decoder, payload: Payload, refiner: Refiner
) -> None:
    """The order of the runs in the batch, and who else is there, do not matter."""
    label = parse_refinement("always:steps-2")
    of_report = [stream([0], run=5), stream([9], run=1), stream([1], run=5), stream([4], run=1, ue_id=8)]

    def refined(rows: list[int]) -> torch.Tensor:
        refinement = Refinement(refiner, label, [of_report[row] for row in rows])
        reception = receive(
            hard(payload.bits[rows]),
            Uncoded(),
            payload.length[rows],
            decoder,
            DecodeContext(RATE, SNR_DB[rows]),
            refinement,
        )
        assert reception.num_steps.tolist() == [2] * len(rows)
        return reception.h_hat

    together = refined([0, 1, 2, 3])
    in_two = torch.cat([refined([0, 1, 2]), refined([3])])
    turned = refined([3, 1, 0, 2])[[2, 1, 3, 0]]
    for other in (in_two, turned):
        error = (other - together).abs().square().sum(dim=(1, 2, 3)) / together.abs().square().sum(dim=(1, 2, 3))
        assert (error.sqrt() < 1e-4).all()
    assert torch.equal(refined([0, 1, 2, 3]), together)
    for row, randomness in enumerate(of_report):
        wanted = refiner.refine(indoor.h[[row]], SNR_DB[:1], 2, randomness)[0]
        torch.testing.assert_close(together[row], wanted, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_used_is_not_refined(
    indoor: ChannelSet, decoder: Decoder, payload: Payload, refiner: Refiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    coded = Parity().encode(payload.bits)
    coded[1, -1] ^= 1
    decode = decoder.decode

    def decode_all_but_the_last(payload: Payload, context: DecodeContext) -> Reconstruction:
        decoded = decode(payload, context)
        return Reconstruction(decoded.h_hat, np.array([True, True, True, False]))

    monkeypatch.setattr(decoder, "decode", decode_all_but_the_last)
    refinement = Refinement(refiner, parse_refinement("always"), [stream([0, 1, 2, 3])])
    received = hard(coded, erased=(2,))
    reception = receive(received, Parity(), payload.length, decoder, DecodeContext(RATE, SNR_DB), refinement)
    assert reception.fallback.tolist() == [False, True, True, True]
    assert reception.num_steps.tolist() == [1, 0, 0, 0]
    assert all(torch.equal(h_hat, decoder.mean_csi) for h_hat in reception.h_hat[1:])
    assert not torch.allclose(reception.h_hat[0], indoor.h[0], atol=1e-2)


def test_a_refiner_is_asked_for_nothing_where_nothing_can_be_used(
    decoder: Decoder, payload: Payload, refiner: Refiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(type(refiner), "refine")
    received = hard(payload.bits, erased=(0, 1, 2, 3))
    refinement = Refinement(refiner, parse_refinement("always"), [stream([0, 1, 2, 3])])
    assert receive(received, Uncoded(), payload.length, decoder, DecodeContext(RATE, SNR_DB), refinement).fallback.all()


def test_what_a_refiner_spoils_stays_as_the_decoder_made_it(
    indoor: ChannelSet, decoder: Decoder, payload: Payload, untrained_refiner: Callable[..., RefinerFile]
) -> None:
    broken = make_refiner(untrained_refiner(decoder.card), CPU)
    refine = broken.refine

    class OneIsNan:
        card = broken.card

        def refine(
            self, h_coarse: torch.Tensor, snr_db: NDArray[np.float32], num_steps: int, randomness: Randomness
        ) -> torch.Tensor:
            h_hat = refine(h_coarse, snr_db, num_steps, randomness)
            h_hat[1, 0, 3, 4] = torch.nan
            return h_hat

    refinement = Refinement(OneIsNan(), parse_refinement("always"), [stream([0, 1, 2, 3])])
    reception = receive(hard(payload.bits), Uncoded(), payload.length, decoder, DecodeContext(RATE, SNR_DB), refinement)
    assert not reception.fallback.any()
    assert reception.num_steps.tolist() == [1, 0, 1, 1]
    assert torch.equal(reception.h_hat[1], indoor.h[1])
    assert not any(torch.allclose(reception.h_hat[row], indoor.h[row], atol=1e-2) for row in (0, 2, 3))
