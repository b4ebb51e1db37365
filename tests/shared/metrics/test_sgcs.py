import numpy as np
import pytest
import torch

from shared.errors import InvalidArgumentError
from shared.metrics import sgcs, sgcs_per_layer_and_subband


def random_channels(seed: int, num_rx_ant: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, num_rx_ant, 4, 8, dtype=torch.complex64, generator=generator)


@pytest.mark.parametrize("num_rx_ant", [1, 2, 5])
def test_it_is_the_squared_cosine_of_the_strongest_right_singular_vectors(num_rx_ant: int) -> None:
    h, h_hat = random_channels(1, num_rx_ant), random_channels(2, num_rx_ant)
    wanted = np.zeros(3)
    for report in range(3):
        for f in range(8):
            v, v_hat = (np.linalg.svd(x[report, :, :, f].numpy())[2][0] for x in (h, h_hat))
            wanted[report] += abs(np.vdot(v, v_hat)) ** 2 / 8
    found = sgcs(h_hat, h)
    assert found.dtype == torch.float64
    assert found.numpy() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("num_rx_ant", [1, 2])
def test_a_phase_and_scale_of_each_subcarrier_change_nothing(num_rx_ant: int) -> None:
    h = random_channels(1, num_rx_ant)
    turned = h * torch.polar(torch.linspace(0.1, 9, 8), torch.linspace(-3, 3, 8))
    assert sgcs(turned, h).tolist() == pytest.approx([1] * 3, abs=1e-6)


@pytest.mark.parametrize("num_rx_ant", [1, 2])
def test_a_subcarrier_without_a_reconstruction_counts_zero(num_rx_ant: int) -> None:
    h = random_channels(1, num_rx_ant)
    h_hat = h.clone()
    h_hat[..., :2] = 0
    assert sgcs(h_hat, h).tolist() == pytest.approx([6 / 8] * 3, abs=1e-6)
    assert sgcs(torch.zeros_like(h), h).tolist() == [0, 0, 0]


def test_orthogonal_directions_count_zero() -> None:
    h, h_hat = torch.zeros(2, 1, 1, 4, 8, dtype=torch.complex64)
    h[..., 0, :], h_hat[..., 1, :] = 1, 1
    assert sgcs(h_hat, h).tolist() == [0]


def test_a_layer_that_is_only_the_rounding_of_complex64_counts_zero_in_complex128() -> None:
    h = random_channels(1, 2)
    h_hat = (h[:, :1] * torch.tensor([1, 0.3 + 0.7j])[:, None, None]).to(
        torch.complex64
    )  # of rank one but for rounding
    for dtype in (torch.complex64, torch.complex128):
        found = sgcs_per_layer_and_subband(h_hat.to(dtype), h, num_layers=2, num_subbands=8)
        assert (found[:, 0] > 0).all()
        assert (found[:, 1] == 0).all()


def test_another_shape_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"\[3, 1, 4, 8\]; got \[3, 2, 4, 8\]"):
        sgcs(random_channels(1, 2), random_channels(1))


@pytest.mark.parametrize("num_subbands", [1, 4, 8])
def test_a_layer_is_an_eigenvector_of_the_covariance_of_its_subband(num_subbands: int) -> None:
    h, h_hat = random_channels(1, 3), random_channels(2, 3)
    wanted = np.zeros((3, 2, num_subbands))
    for report, layer, subband in np.ndindex(wanted.shape):
        width = 8 // num_subbands
        vectors = []
        for x in (h, h_hat):
            parts = [x[report, :, :, f].numpy() for f in range(subband * width, (subband + 1) * width)]
            covariance = np.sum([part.conj().T @ part for part in parts], axis=0)
            vectors.append(np.linalg.eigh(covariance)[1][:, -1 - layer])
        wanted[report, layer, subband] = abs(np.vdot(*vectors)) ** 2
    found = sgcs_per_layer_and_subband(h_hat, h, num_layers=2, num_subbands=num_subbands)
    assert found.dtype == torch.float64
    assert found.numpy() == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("num_rx_ant", [1, 2])
def test_layer_one_of_subbands_of_one_subcarrier_is_the_sgcs(num_rx_ant: int) -> None:
    h, h_hat = random_channels(1, num_rx_ant), random_channels(2, num_rx_ant)
    found = sgcs_per_layer_and_subband(h_hat, h, num_layers=num_rx_ant, num_subbands=8)
    assert found[:, 0].mean(dim=-1).tolist() == pytest.approx(sgcs(h_hat, h).tolist())


def test_a_phase_of_each_subcarrier_changes_nothing_in_a_subband() -> None:
    h = random_channels(1, 2)
    turned = h * torch.polar(torch.ones(8), torch.linspace(-3, 3, 8))
    found = sgcs_per_layer_and_subband(turned, h, num_layers=2, num_subbands=2)
    assert found.flatten().tolist() == pytest.approx([1] * 12, abs=1e-6)


def test_a_layer_that_the_reconstruction_does_not_have_counts_zero() -> None:
    h = random_channels(1, 2)
    of_rank_one = random_channels(2, 2)
    of_rank_one[:, 1] = (1 + 2j) * of_rank_one[:, 0]
    assert sgcs_per_layer_and_subband(of_rank_one, h, num_layers=2, num_subbands=8)[:, 1].max() == 0
    assert sgcs_per_layer_and_subband(h, of_rank_one, num_layers=2, num_subbands=8)[:, 1].max() == 0


@pytest.mark.parametrize(
    ("num_layers", "num_subbands", "message"),
    [
        (3, 8, r"`num_layers` must be in \[1, 2\]; got 3"),
        (0, 8, "`num_layers`"),
        (1, 3, "`num_subbands` must divide 8 subcarriers; got 3"),
        (1, 0, "`num_subbands`"),
    ],
)
def test_layers_and_subbands_that_cannot_be_are_refused(num_layers: int, num_subbands: int, message: str) -> None:
    h = random_channels(1, 2)
    with pytest.raises(InvalidArgumentError, match=message):
        sgcs_per_layer_and_subband(h, h, num_layers, num_subbands)
