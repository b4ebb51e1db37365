import numpy as np
import pytest
import torch

from shared.codecs import DecodeContext, EncodeContext, make_decoder, make_encoder
from shared.model_files import load_model
from shared.rng import Randomness

CPU = torch.device("cpu")
MODEL = load_model("float")
ONE = np.zeros(1, dtype=np.float32)
FIRST = Randomness(0, np.zeros(1, dtype=np.uint32), np.zeros(1, dtype=np.int64))
RATE = 65536


@pytest.mark.parametrize("value", [1.0, -0.0, 1e-45, 3.4028234e38, -1 / 3])
def test_every_number_comes_back_bit_for_bit(value: float) -> None:
    h = torch.view_as_complex(torch.full((1, 1, 32, 32, 2), value))
    torch.view_as_real(h)[0, 0, 5, 6] = torch.tensor([-value, 0.1])
    payload = make_encoder(MODEL, CPU).encode(h, EncodeContext(RATE, ONE, FIRST))
    decoded = make_decoder(MODEL, CPU).decode(payload, DecodeContext(RATE, ONE))
    assert decoded.valid.tolist() == [True]
    assert torch.equal(torch.view_as_real(decoded.h_hat).view(torch.int32), torch.view_as_real(h).view(torch.int32))


def test_a_number_is_sent_as_ieee_754_sign_first() -> None:
    h = torch.full((1, 1, 32, 32), complex(-1.0, 0.5), dtype=torch.complex64)
    payload = make_encoder(MODEL, CPU).encode(h, EncodeContext(RATE, ONE, FIRST))
    assert np.packbits(payload.bits[0, :64]).tobytes().hex() == "bf8000003f000000"
