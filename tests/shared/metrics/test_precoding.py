import numpy as np
import pytest
import torch

from shared.directions import layer_directions
from shared.errors import InvalidArgumentError
from shared.metrics import mrt_sinr, zero_forcing_sinr


def random_channels(seed: int, num_rx_ant: int = 1, batch: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, num_rx_ant, 4, 8, dtype=torch.complex64, generator=generator)


@pytest.mark.parametrize("num_rx_ant", [1, 2])
def test_mrt_sends_along_the_strongest_direction_of_the_reconstruction(num_rx_ant: int) -> None:
    h, h_hat = random_channels(1, num_rx_ant), random_channels(2, num_rx_ant)
    wanted = np.zeros((6, 2, 8))
    for report, f in np.ndindex(6, 8):
        w = np.linalg.svd(h_hat[report, :, :, f].numpy())[2][0].conj()
        gain = np.linalg.norm(h[report, :, :, f].numpy() @ w) ** 2
        wanted[report, :, f] = gain * np.array([0.1, 100])
    found = mrt_sinr(h_hat, h, [-10, 20])
    assert found.dtype == torch.float64
    assert found.numpy() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("num_rx_ant", [1, 2])
def test_of_all_reconstructions_the_truth_gets_the_most_from_mrt(num_rx_ant: int) -> None:
    h = random_channels(1, num_rx_ant, batch=200)
    best = mrt_sinr(h, h, [0])
    gain = torch.linalg.svdvals(h.permute(0, 3, 1, 2).to(torch.complex128))[..., 0].square()
    assert best[:, 0].numpy() == pytest.approx(gain.numpy())
    for seed in range(2, 6):
        assert (mrt_sinr(random_channels(seed, num_rx_ant, batch=200), h, [0]) <= best * (1 + 1e-12)).all()


@pytest.mark.parametrize("num_rx_ant", [1, 2])
def test_a_phase_and_scale_of_each_subcarrier_of_the_reconstruction_change_nothing(num_rx_ant: int) -> None:
    h, h_hat = random_channels(1, num_rx_ant), random_channels(2, num_rx_ant)
    turned = h_hat * torch.polar(torch.linspace(0.1, 9, 8), torch.linspace(-3, 3, 8))
    assert mrt_sinr(turned, h, [3]).numpy() == pytest.approx(mrt_sinr(h_hat, h, [3]).numpy(), rel=1e-5)
    if num_rx_ant == 1:
        wanted = zero_forcing_sinr(h_hat, h, [3], num_ue=3)
        assert zero_forcing_sinr(turned, h, [3], num_ue=3).numpy() == pytest.approx(wanted.numpy(), rel=1e-4)


def test_without_a_reconstruction_antenna_0_sends_alone() -> None:
    h = random_channels(1, 2)
    wanted = h[:, :, 0].abs().square().sum(dim=1)
    assert mrt_sinr(torch.zeros_like(h), h, [0])[:, 0].numpy() == pytest.approx(wanted.numpy(), rel=1e-5)
    one = h[:1, :1]
    wanted = one[0, 0, 0].abs().square()
    assert zero_forcing_sinr(torch.zeros_like(one), one, [0], 1)[0, 0].numpy() == pytest.approx(
        wanted.numpy(), rel=1e-5
    )


def test_antenna_0_sends_alone_for_those_without_a_reconstruction_and_no_others() -> None:
    h, h_hat = torch.ones(3, 1, 4, 1, dtype=torch.complex64), torch.zeros(3, 1, 4, 1, dtype=torch.complex64)
    h_hat[1, 0, 1:] = 1  # nothing from antenna 0
    h_hat[2] = 1
    assert mrt_sinr(h_hat, h, [0]).flatten().tolist() == pytest.approx([1, 3, 4])


def test_zero_forcing_is_the_inverse_with_columns_of_unit_norm() -> None:
    h, h_hat = random_channels(1), random_channels(2)
    wanted = np.zeros((6, 8))
    for group, f in np.ndindex(2, 8):
        rows, rows_hat = (x[3 * group : 3 * group + 3, 0, :, f].numpy().astype(complex) for x in (h, h_hat))
        w = rows_hat.conj().T @ np.linalg.inv(rows_hat @ rows_hat.conj().T)
        gain = abs(rows @ (w / np.linalg.norm(w, axis=0))) ** 2
        for ue in range(3):
            others = gain[ue].sum() - gain[ue, ue]
            wanted[3 * group + ue, f] = 5 / 3 * gain[ue, ue] / (1 + 5 / 3 * others)
    found = zero_forcing_sinr(h_hat, h, [10 * np.log10(5)], num_ue=3)
    assert found[:, 0].numpy() == pytest.approx(wanted, rel=1e-5)


def test_zero_forcing_from_the_truth_leaves_no_interference() -> None:
    h = random_channels(1)
    low, high = zero_forcing_sinr(h, h, [0, 200], num_ue=3).unbind(dim=1)
    assert (high / low / 1e20).numpy() == pytest.approx(np.ones((6, 8)), rel=1e-6)


def test_a_group_of_one_is_mrt() -> None:
    h, h_hat = random_channels(1), random_channels(2)
    assert zero_forcing_sinr(h_hat, h, [3], 1).numpy() == pytest.approx(mrt_sinr(h_hat, h, [3]).numpy())


def test_two_ues_with_the_same_reconstruction_get_the_same_beam_and_disturb_each_other() -> None:
    h = random_channels(1, batch=2)
    fallback = random_channels(2, batch=1).expand(2, -1, -1, -1)
    gain = mrt_sinr(fallback, h, [0]).numpy()
    assert zero_forcing_sinr(fallback, h, [0], 2).numpy() == pytest.approx(gain / 2 / (1 + gain / 2), rel=1e-5)


@pytest.mark.parametrize("num_ue", [0, 4, 5])
def test_groups_that_cannot_be_are_refused(num_ue: int) -> None:
    h = random_channels(1)
    with pytest.raises(InvalidArgumentError, match=rf"`num_ue` must be in \[1, 4\] and divide 6 reports; got {num_ue}"):
        zero_forcing_sinr(h, h, [0], num_ue)


def test_shapes_that_do_not_fit_are_refused() -> None:
    h = random_channels(1)
    with pytest.raises(InvalidArgumentError, match=r"\[6, 1, 4, 8\]; got \[6, 1, 4, 7\]"):
        mrt_sinr(h[..., :7], h, [0])
    with pytest.raises(InvalidArgumentError, match="`h` must have 1 receive antenna for zero forcing; got 2"):
        zero_forcing_sinr(random_channels(1, 2), random_channels(1, 2), [0], 2)


def test_directions_are_of_unit_norm_in_the_channel_s_own_sense() -> None:
    h = random_channels(1, 2)
    v = layer_directions(h, num_layers=2, num_subbands=8)
    received = torch.einsum("brtf,bflt->bflr", h.to(torch.complex128), v)
    gain = torch.linalg.svdvals(h.permute(0, 3, 1, 2).to(torch.complex128))
    assert torch.linalg.vector_norm(received, dim=-1).numpy() == pytest.approx(gain.numpy())
    assert torch.linalg.vector_norm(v, dim=-1).numpy() == pytest.approx(np.ones((6, 8, 2)))
