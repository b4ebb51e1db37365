import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.coding.crc import POLYNOMIALS, Crc, append_crc, check_crc, num_crc_bits, parity

CHECK = np.unpackbits(np.frombuffer(b"123456789", dtype=np.uint8))[None]


@pytest.mark.parametrize(
    ("crc", "value"),
    [
        ("CRC6", 0x15),
        ("CRC11", 0x5CA),
    ],
)
def test_the_parity_of_the_digits_is_that_of_the_catalogue(crc: Crc, value: int) -> None:
    """G. Cook, "Catalogue of parametrised CRC algorithms": 6/NR and 11/NR."""
    assert int("".join(map(str, parity(CHECK, crc)[0])), 2) == value


def test_a_payload_takes_the_crc_of_its_size() -> None:
    assert [num_crc_bits(k) for k in (1, 11, 12, 19, 20, 1000)] == [0, 0, 6, 6, 11, 11]


@pytest.mark.parametrize("num_bits", [1, 12, 19, 20, 1000])
def test_the_parity_is_that_of_sionna(num_bits: int) -> None:
    pytest.importorskip("sionna")
    import torch
    from sionna.phy.fec.crc import CRCEncoder

    bits = np.random.default_rng(1).integers(0, 2, (20, num_bits), dtype=np.uint8)
    for crc in POLYNOMIALS:
        theirs = CRCEncoder(crc, device="cpu")(torch.from_numpy(bits).float())[:, num_bits:]
        assert (parity(bits, crc) == theirs.numpy()).all()


@given(num_info_bits=st.integers(12, 200), data=st.data())
def test_a_burst_no_longer_than_the_crc_is_always_seen(num_info_bits: int, data: st.DataObject) -> None:
    bits = np.random.default_rng(num_info_bits).integers(0, 2, (1, num_info_bits), dtype=np.uint8)
    sent = append_crc(bits)
    width = data.draw(st.integers(1, num_crc_bits(num_info_bits)))
    first = data.draw(st.integers(0, sent.shape[1] - width))
    burst = np.array(data.draw(st.lists(st.integers(0, 1), min_size=width, max_size=width)), dtype=np.uint8)
    burst[0] = 1
    sent[:, first : first + width] ^= burst
    assert check_crc(append_crc(bits), num_info_bits).crc_ok == [True]
    assert check_crc(sent, num_info_bits).crc_ok == [False]
