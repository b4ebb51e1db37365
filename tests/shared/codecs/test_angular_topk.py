"""`angular-topk` against the same computed independently, in NumPy and double precision; and its bitstream, pinned."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, make_decoder, make_encoder
from shared.coding.bits import pack
from shared.model_files import load_model
from shared.rng import Randomness
from shared.types import Payload

CPU = torch.device("cpu")
MODEL = load_model("angular-topk")
INDEX_WIDTH = 10
PINNED = "5018160e180a1a08"


def encode(h: torch.Tensor, rate: int) -> Payload:
    n = len(h)
    randomness = Randomness(0, np.zeros(n, dtype=np.uint32), np.arange(n))
    return make_encoder(MODEL, CPU).encode(h, EncodeContext(rate, np.zeros(n, dtype=np.float32), randomness))


def decode(bits: NDArray[np.uint8], rate: int) -> NDArray[np.complex64]:
    context = DecodeContext(rate, np.zeros(len(bits), dtype=np.float32))
    h_hat: NDArray[np.complex64] = make_decoder(MODEL, CPU).decode(Payload.of_equal_length(bits), context).h_hat.numpy()
    return h_hat.reshape(len(bits), -1)


def tables(rate: int) -> list[tuple[float, NDArray[np.float64], int]]:
    """Return for each tap that is sent its scale, amplitude levels and number of phases."""
    scales, codebook, amplitude_widths, phase_widths = (
        MODEL.tensors[name].numpy() for name in ("rank_scale", "codebook", "amplitude_widths", "phase_widths")
    )
    rows = zip(scales, amplitude_widths[rate - 32], phase_widths[rate - 32], strict=True)
    return [
        (float(scale), codebook[a - 1, : 2**a].astype(np.float64) if a else np.ones(1), 2 ** int(p))
        for scale, a, p in rows
        if p
    ]


def reference(h: NDArray[np.complex128], rate: int) -> NDArray[np.complex128]:
    h_hat = np.zeros_like(h)
    strongest = np.argsort(-np.abs(h), axis=1, kind="stable")
    for rank, (scale, levels, num_phases) in enumerate(tables(rate)):
        unit = np.exp(2j * np.pi * np.arange(num_phases) / num_phases)
        for report, tap in enumerate(strongest[:, rank]):
            value = h[report, tap]
            level = levels[np.abs(abs(value) / scale - levels).argmin()] * scale
            h_hat[report, tap] = level * unit[np.abs(value / abs(value) - unit).argmin()]
    return h_hat


@pytest.mark.parametrize("rate", [32, 128, 512, 1024])
def test_it_agrees_with_an_independent_computation(rate: int, indoor: ChannelSet) -> None:
    h = indoor.h[:200]
    found, true = decode(encode(h, rate).bits, rate), h.numpy().reshape(200, -1).astype(np.complex128)
    wanted = reference(true, rate)
    error = np.linalg.norm(found - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
    assert error.max() < 1e-4
    assert nmse_db(found, true) == pytest.approx(nmse_db(wanted, true), abs=0.01)


def nmse_db(h_hat: NDArray[np.complexfloating], h: NDArray[np.complex128]) -> float:
    ratio = np.square(np.abs(h_hat - h)).sum(axis=1) / np.square(np.abs(h)).sum(axis=1)
    return float(10 * np.log10(ratio.mean()))


def test_the_bitstream_is_pinned(indoor: ChannelSet) -> None:
    payload = encode(indoor.h[:1], 64)
    assert pack(payload.bits, payload.length).hex() == PINNED


def test_each_budget_is_spent_to_the_bit_on_the_first_ranks() -> None:
    amplitude, phase = (MODEL.tensors[f"{name}_widths"].numpy().astype(int) for name in ("amplitude", "phase"))
    spent = ((phase > 0) * (INDEX_WIDTH + amplitude + phase)).sum(axis=1)
    assert spent.tolist() == list(range(32, 1025))
    assert not amplitude[phase == 0].any()
    assert (np.diff((phase > 0).astype(int), axis=1) <= 0).all()


def test_a_flipped_bit_moves_one_tap(indoor: ChannelSet) -> None:
    bits = encode(indoor.h[:1], 200).bits
    damaged = bits ^ np.eye(200, dtype=np.uint8)
    changed = (decode(damaged, 200) != decode(bits, 200)).sum(axis=1)
    assert changed.min() >= 1
    assert changed.max() == 2  # a wrong index: the tap is gone here and stands there


def test_two_taps_that_an_error_sends_to_one_index_add() -> None:
    rate = 32
    (first, *_), *rest = tables(rate)
    assert len(rest) == 1
    h = torch.zeros(1, 1, 32, 32, dtype=torch.complex64)
    h[0, 0, 0, 7], h[0, 0, 0, 9] = 2 * first, first
    bits = encode(h, rate).bits
    start = rate - sum(int(n) for n in widths_of_second_tap(rate))
    together = bits.copy()
    together[0, start : start + INDEX_WIDTH] = bits[0, :INDEX_WIDTH]
    apart = decode(bits, rate)[0]
    assert np.flatnonzero(apart).tolist() == [7, 9]
    wanted = np.zeros_like(apart)
    wanted[7] = apart[7] + apart[9]
    assert decode(together, rate)[0] == pytest.approx(wanted)


def widths_of_second_tap(rate: int) -> tuple[int, int, int]:
    amplitude, phase = (MODEL.tensors[f"{name}_widths"][rate - 32, 1] for name in ("amplitude", "phase"))
    return INDEX_WIDTH, int(amplitude), int(phase)
