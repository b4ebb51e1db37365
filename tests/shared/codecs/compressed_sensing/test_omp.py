"""Recovery by orthogonal matching pursuit against scikit-learn's, and of channels that are sparse indeed."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import orthogonal_mp

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, make_decoder
from shared.codecs.compressed_sensing.front_end import measurement_matrix
from shared.codecs.compressed_sensing.omp import CHUNK, recover_by_omp
from shared.model_files import load_model
from shared.types import Payload


def sparse_channels(num_channels: int, num_taps: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.zeros(num_channels, 1024, dtype=torch.complex64)
    for row in x:
        where = torch.randperm(1024, generator=generator)[:num_taps]
        row[where] = torch.randn(num_taps, generator=generator, dtype=torch.complex64)
    return x


@pytest.mark.parametrize("num_atoms", [1, 7, 20])
def test_real_vectors_are_those_of_scikit_learn(num_atoms: int, indoor: ChannelSet) -> None:
    matrix = torch.view_as_real(measurement_matrix(32, 1024, seed=3)).permute(0, 2, 1).reshape(64, 1024)
    matrix = matrix / matrix.norm(dim=0)
    y = indoor.h[:20].flatten(1).real.double() @ matrix.T
    found = recover_by_omp(y, matrix, num_atoms)
    theirs = orthogonal_mp(matrix.numpy(), y.numpy().T, n_nonzero_coefs=num_atoms).T
    assert np.abs(found.numpy() - theirs).max() < 1e-8


def test_channels_of_few_taps_come_back_exactly_from_enough_measurements() -> None:
    x, matrix = sparse_channels(10, 12, seed=1), measurement_matrix(96, 1024, seed=1)
    found = recover_by_omp((x.to(torch.complex128) @ matrix.T).to(torch.complex64), matrix, 12)
    assert float((found - x).abs().max()) < 1e-5


def test_more_reports_than_a_chunk_give_what_each_gives() -> None:
    x, matrix = sparse_channels(CHUNK + 3, 5, seed=2), measurement_matrix(40, 1024, seed=2)
    y = (x.to(torch.complex128) @ matrix.T).to(torch.complex64)
    torch.testing.assert_close(recover_by_omp(y, matrix, 5)[-5:], recover_by_omp(y[-5:], matrix, 5))


@pytest.mark.parametrize("rate", [32, 128, 1024])
def test_a_report_has_as_many_taps_as_the_table_says(rate: int) -> None:
    model = load_model("cs-omp")
    bits = np.random.default_rng(0).integers(0, 2, (9, rate), dtype=np.uint8)
    context = DecodeContext(rate, np.zeros(9, dtype=np.float32))
    h_hat = make_decoder(model, torch.device("cpu")).decode(Payload.of_equal_length(bits), context).h_hat
    assert (h_hat.flatten(1) != 0).sum(dim=1).tolist() == [int(model.tensors["num_atoms"][rate - 32])] * 9
