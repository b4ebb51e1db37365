import numpy as np
import torch

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, make_decoder, make_encoder
from shared.model_files import load_model
from shared.receive import decide, receive
from shared.rng import Randomness
from shared.types import Received, ReceivedKind

CPU = torch.device("cpu")


def test_a_positive_llr_is_a_one_and_hard_bits_stay() -> None:
    length = np.array([4, 2])
    llrs = np.array([[127, 1, -1, -127], [-3, 3, 0, 0]], dtype=np.int8)
    bits = np.array([[1, 1, 0, 0], [0, 1, 0, 0]], dtype=np.uint8)
    assert np.array_equal(decide(Received(ReceivedKind.LLRS, llrs, length)).bits, bits)
    assert np.array_equal(decide(Received(ReceivedKind.HARD_BITS, bits, length)).bits, bits)


def test_only_a_report_that_cannot_be_decoded_falls_back_to_the_mean_channel(indoor: ChannelSet) -> None:
    model = load_model("float")
    snr_db = np.zeros(3, dtype=np.float32)
    randomness = Randomness(0, np.zeros(3, dtype=np.uint32), np.arange(3))
    payload = make_encoder(model, CPU).encode(indoor.h[:3], EncodeContext(65536, snr_db, randomness))
    payload.bits[1, :32] = 1  # a NaN
    decoder = make_decoder(model, CPU)
    decoder.mean_csi = torch.full(decoder.card.shape.dims, 2 - 1j, dtype=torch.complex64)
    received = Received(ReceivedKind.HARD_BITS, payload.bits, payload.length)
    reception = receive(received, decoder, DecodeContext(65536, snr_db))
    assert reception.fallback.tolist() == [False, True, False]
    assert torch.equal(reception.h_hat[[0, 2]], indoor.h[[0, 2]])
    assert torch.equal(reception.h_hat[1], decoder.mean_csi)
