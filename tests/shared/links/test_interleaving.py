"""The bit interleaver of the LDPC codes: the order of Sionna, nothing seen behind the link, fewer lost blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.links import make_link
from shared.links.interleaving import sending_order
from shared.receive import decode_channel
from shared.rng import Randomness
from shared.types import Payload

LDPC = "digital:soft:16qam:ldpc-1/2"
NUM_REPORTS, NUM_INFO_BITS = 256, 512


@pytest.mark.parametrize("bits_per_symbol", [1, 2, 4, 6, 8])
def test_whole_symbols_are_sent_in_the_order_of_sionna(bits_per_symbol: int) -> None:
    pytest.importorskip("sionna")
    from sionna.phy.fec.ldpc import LDPC5GEncoder

    encoder = LDPC5GEncoder(64, 144, num_bits_per_symbol=bits_per_symbol, device="cpu")
    assert (sending_order(144, bits_per_symbol) == encoder.out_int.cpu().numpy()).all()


@given(num_bits=st.integers(0, 60), bits_per_symbol=st.sampled_from([1, 2, 4, 6, 8]))
def test_every_bit_of_a_report_is_sent_once_and_what_fills_no_symbol_stays_last(
    num_bits: int, bits_per_symbol: int
) -> None:
    order = sending_order(num_bits, bits_per_symbol)
    assert sorted(order) == list(range(num_bits))
    whole = num_bits - num_bits % bits_per_symbol
    assert (order[whole:] == np.arange(whole, num_bits)).all()


@pytest.mark.parametrize("modulation", ["bpsk", "qpsk", "16qam", "64qam", "256qam"])
def test_behind_the_link_the_bits_are_in_the_order_of_the_code(modulation: str) -> None:
    """At 80 dB the values of a report are its bits, for reports of any length."""
    pytest.importorskip("sionna")
    length = np.array([40, 1, 0, 63, 7])
    bits = np.random.default_rng(3).integers(0, 2, (5, 63), dtype=np.uint8) * (np.arange(63) < length[:, None])
    streams = Randomness(1, np.zeros(5, dtype=np.int64), np.arange(5))
    snr_db = np.full(5, 80, dtype=np.float32)
    for detector in ("hard", "soft"):
        link = make_link(f"digital:{detector}:{modulation}:ldpc-1/2")
        received = link.transmit(Payload(bits.astype(np.uint8), length), snr_db, streams)
        assert ((received.values > 0) == bits).all()


def test_16qam_loses_fewer_blocks_for_it() -> None:
    """6.5 dB, the same bits and noise; 80 blocks instead of 122, four standard errors: 0.17 dB of waterfall."""
    pytest.importorskip("sionna")
    lost = {}
    for interleaved in (True, False):
        link = make_link(LDPC)
        link.code.interleaved = interleaved
        bits = np.random.default_rng(1).integers(0, 2, (NUM_REPORTS, NUM_INFO_BITS), dtype=np.uint8)
        streams = Randomness(2, np.zeros(NUM_REPORTS, dtype=np.int64), np.arange(NUM_REPORTS))
        coded = Payload.of_equal_length(link.code.encode(bits))
        received = link.transmit(coded, np.full(NUM_REPORTS, 6.5, dtype=np.float32), streams)
        num_bits = np.full(NUM_REPORTS, NUM_INFO_BITS)
        lost[interleaved] = (decode_channel(received, link.code, num_bits).payload.bits != bits).any(axis=1).sum()
    assert lost[True] < 0.8 * lost[False], lost
