"""`klt` against the same computed independently, in NumPy and double precision; and its bitstream, pinned."""

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
MODEL = load_model("klt")
PINNED = "53c9566555555561"


def encode(h: torch.Tensor, rate: int) -> Payload:
    n = len(h)
    randomness = Randomness(0, np.zeros(n, dtype=np.uint32), np.arange(n))
    return make_encoder(MODEL, CPU).encode(h, EncodeContext(rate, np.zeros(n, dtype=np.float32), randomness))


def reference(h: NDArray[np.complex128], rate: int) -> NDArray[np.complex128]:
    mean, basis, scale, codebook, widths = (
        MODEL.tensors[name].numpy() for name in ("mean", "basis", "scale", "codebook", "widths")
    )
    coefficients = (h.reshape(len(h), -1) - mean) @ basis.conj().astype(np.complex128)
    fields = np.stack([coefficients.real, coefficients.imag], axis=2).reshape(len(h), -1) / scale
    quantised = np.zeros_like(fields)
    for field, width in enumerate(widths[rate - 32]):
        if width:
            levels = codebook[width - 1, : 2**width].astype(np.float64)
            quantised[:, field] = levels[np.abs(fields[:, field, None] - levels).argmin(axis=1)] * scale[field]
    return np.asarray((quantised[:, ::2] + 1j * quantised[:, 1::2]) @ basis.T + mean)


@pytest.mark.parametrize("rate", [32, 128, 512, 1024])
def test_it_agrees_with_an_independent_computation(rate: int, indoor: ChannelSet) -> None:
    h = indoor.h[:400]
    payload = encode(h, rate)
    decoded = make_decoder(MODEL, CPU).decode(payload, DecodeContext(rate, np.zeros(400, dtype=np.float32)))
    found, true = decoded.h_hat.numpy().reshape(400, -1), h.numpy().reshape(400, -1).astype(np.complex128)
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


def test_each_budget_is_spent_to_the_bit() -> None:
    widths = MODEL.tensors["widths"].numpy().astype(int)
    assert widths.sum(axis=1).tolist() == list(range(32, 1025))


def test_the_basis_is_orthonormal_and_ordered_by_strength() -> None:
    basis, scale = MODEL.tensors["basis"], MODEL.tensors["scale"]
    assert torch.allclose(basis.conj().T @ basis, torch.eye(basis.shape[1], dtype=torch.complex64), atol=1e-5)
    assert (scale[2:] <= scale[:-2]).all()
