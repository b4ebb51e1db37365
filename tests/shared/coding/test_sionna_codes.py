"""The codes of Sionna: their ranges, and block error rates against published ones."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.coding import ldpc, polar
from shared.coding.codes import make_channel_code
from shared.coding.ldpc import sionna_ldpc
from shared.coding.sionna_blocks import decoded, encoded
from shared.errors import InvalidArgumentError

pytest.importorskip("sionna")

RANGES = {f"polar-{rate}": taken for rate, taken in polar.RATES.items()} | {
    f"ldpc-{rate}": taken for rate, taken in ldpc.RATES.items()
}


@pytest.mark.parametrize("label", RANGES)
def test_a_code_takes_its_least_and_its_most_and_refuses_what_is_beyond(label: str) -> None:
    code, (least, most) = make_channel_code(label), RANGES[label]
    for beyond in (least - 1, most + 1):
        with pytest.raises(InvalidArgumentError, match=rf"must be in \[{least}, {most}\] for {label}; got {beyond}"):
            code.num_coded_bits(beyond)
    for num_info_bits in (least, most):
        sent = code.encode(np.ones((1, num_info_bits), dtype=np.uint8))
        assert sent.shape == (1, code.num_coded_bits(num_info_bits))


def test_nothing_is_printed_for_the_parity_check_bits_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    make_channel_code("polar-1/2").encode(np.zeros((1, 12), dtype=np.uint8))
    assert capsys.readouterr().out == ""


def received(sent: NDArray[np.uint8], es_n0: float) -> NDArray[np.float32]:
    noise = np.random.default_rng(9).standard_normal(sent.shape)
    return (2.0 * sent - 1 + noise * math.sqrt(1 / (2 * es_n0))).astype(np.float32)


BITS = np.random.default_rng(10).integers(0, 2, (1000, 64), dtype=np.uint8)


def assert_near(num_errors: int, bler: float) -> None:
    assert abs(num_errors - len(BITS) * bler) < 4 * math.sqrt(len(BITS) * bler * (1 - bler))


def test_polar_reaches_the_published_block_error_rate() -> None:
    """Sionna 2.2.0, tutorial "5G Channel Coding and Rate-Matching: Polar vs. LDPC Codes": 1071 of 10,000 at 2 dB.

    k = 64, n = 128, QPSK, Eb/N0.
    """
    code = make_channel_code("polar-1/2")
    result = code.decode(received(code.encode(BITS), es_n0=10**0.2 / 2), 64)
    wrong = (result.bits != BITS).any(axis=1)
    assert_near(wrong.sum(), 0.1071)
    assert result.crc_ok is not None
    assert (result.crc_ok | wrong).all()


def test_ldpc_without_crc_reaches_the_published_block_error_rate() -> None:
    """The same table: 1477 of 10,000 at 2 dB."""
    encoder, decoder = sionna_ldpc(64, 128)
    llrs = received(encoded(encoder, BITS), es_n0=10**0.2 / 2)
    assert_near((decoded(decoder, llrs, 0.5, ldpc.PART) != BITS).any(axis=1).sum(), 0.1477)
