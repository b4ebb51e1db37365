"""The front end of compressed sensing against the same in NumPy and double precision; its bitstream, pinned."""

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet
from shared.codecs import EncodeContext, make_encoder
from shared.codecs.compressed_sensing.front_end import FrontEnd, measurement_matrix
from shared.coding.bits import pack
from shared.coding.latents import latent_widths
from shared.model_files import load_model
from shared.rng import Randomness
from shared.types import Payload

CPU = torch.device("cpu")
MODELS = ("cs-omp", "cs-lasso")
PINNED = {"cs-omp": "a3731585b2dcd389", "cs-lasso": "d91b2b4a5376c132"}


def encode(name: str, h: torch.Tensor, rate: int) -> Payload:
    n = len(h)
    randomness = Randomness(0, np.zeros(n, dtype=np.uint32), np.arange(n))
    return make_encoder(load_model(name), CPU).encode(h, EncodeContext(rate, np.zeros(n, dtype=np.float32), randomness))


def test_a_matrix_repeats_with_its_seed_and_its_columns_have_unit_length() -> None:
    matrix = measurement_matrix(16, 64, seed=5)
    assert torch.equal(matrix, measurement_matrix(16, 64, seed=5))
    assert not torch.equal(matrix, measurement_matrix(16, 64, seed=6))
    torch.testing.assert_close(matrix.norm(dim=0), torch.ones(64).double())
    assert float(matrix.mean().abs()) < 0.02
    assert float(matrix.real.square().sum() / matrix.imag.square().sum()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rate", [32, 101, 512, 1024])
def test_the_bits_are_those_of_an_independent_computation(name: str, rate: int, indoor: ChannelSet) -> None:
    tensors = load_model(name).tensors
    h = indoor.h[:50].numpy().reshape(50, -1).astype(np.complex128)
    num_measurements = int(tensors["num_measurements"][rate - 32])
    y = h @ measurement_matrix(num_measurements, 1024, int(tensors["seed"])).numpy().T
    fields = np.stack([y.real, y.imag], axis=2).reshape(50, -1) / np.sqrt(1024 / (2 * num_measurements))
    bits = []
    for field, width in enumerate(latent_widths(rate, 2 * num_measurements).tolist()):
        levels = tensors["codebook"][width - 1, : 2**width].numpy().astype(np.float64)
        index = np.abs(fields[:, field, None] - levels).argmin(axis=1)
        bits.append((index[:, None] >> np.arange(width)[::-1]) & 1)
    assert (encode(name, indoor.h[:50], rate).bits != np.concatenate(bits, axis=1)).mean() < 1e-4


@pytest.mark.parametrize("name", MODELS)
def test_the_bitstream_is_pinned(name: str, indoor: ChannelSet) -> None:
    payload = encode(name, indoor.h[:1], 64)
    assert pack(payload.bits, payload.length).hex() == PINNED[name]


@pytest.mark.parametrize("name", MODELS)
def test_measurements_are_as_strong_as_the_quantiser_takes_them_for(name: str, indoor: ChannelSet) -> None:
    front_end = FrontEnd.load(load_model(name), CPU)
    for rate in (32, 128, 1024):
        y = indoor.h[:500].flatten(1).to(torch.complex128) @ front_end.matrix(rate).T
        power = float(torch.view_as_real(y).square().mean()) * 2 * y.shape[1] / 1024
        assert power == pytest.approx(1, abs=0.03)
        widths = front_end.widths(rate)
        y = y.to(torch.complex64)
        error = (
            front_end.value(front_end.index(y, widths), widths) - y
        ).abs().square().mean() / y.abs().square().mean()
        lloyd_max_of_gaussian = [1, 0.3634, 0.1175, 0.03454, 0.009497]
        assert float(error) == pytest.approx(np.mean([lloyd_max_of_gaussian[width] for width in widths]), rel=0.1)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_file_is_small_and_every_rate_has_measurements_and_widths(name: str) -> None:
    model = load_model(name)
    assert sum(tensor.numel() * tensor.element_size() for tensor in model.tensors.values()) < 10_000
    front_end = FrontEnd.load(model, CPU)
    assert len(front_end.num_measurements) == 1024 - 32 + 1
    for rate in range(32, 1025):
        widths = front_end.widths(rate)
        assert widths.sum() == rate
        assert 1 <= widths.min() <= widths.max() <= len(front_end.codebook)
