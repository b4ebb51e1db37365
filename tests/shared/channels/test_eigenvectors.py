"""Eigenvectors in the place of channels: what they are, their order, phase and power."""

from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.channels import ChannelSet, load_channels
from shared.channels.eigenvectors import LAYER_SCALE, eigenvector_csi
from shared.directions import layer_directions
from shared.errors import InvalidArgumentError
from shared.transforms import from_angular_delay, normalize_power, to_angular_delay
from shared.types import Domain


def channels(num_rx_ant: int, num_channels: int = 6) -> Tensor:
    """Return a few paths each, spatial-frequency: 8 antennas, 12 subcarriers."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(num_channels, num_rx_ant, 8, 12, dtype=torch.complex64, generator=generator)
    return normalize_power(from_angular_delay(x * 0.4 ** torch.arange(12)))


def eigenvectors_by_numpy(h: Tensor, num_subbands: int) -> NDArray[np.complex128]:
    """Return [num_subbands, num_tx_ant, num_tx_ant]: eigenvectors as columns, the strongest first."""
    _, _, num_subcarriers = h.shape
    width = num_subcarriers // num_subbands
    found = []
    for s in range(num_subbands):
        of_subcarriers = [h[:, :, f].numpy().astype(np.complex128) for f in range(s * width, (s + 1) * width)]
        found.append(np.linalg.eigh(sum(h_f.conj().T @ h_f for h_f in of_subcarriers))[1][:, ::-1])
    return np.stack(found)


@pytest.mark.parametrize("domain", get_args(Domain))
@pytest.mark.parametrize(
    ("num_rx_ant", "rank", "num_subbands"), [(1, 1, 12), (1, 1, 3), (2, 1, 4), (2, 2, 4), (3, 2, 1)]
)
def test_each_row_is_the_conjugate_of_an_eigenvector(
    domain: Domain, num_rx_ant: int, rank: int, num_subbands: int
) -> None:
    h = channels(num_rx_ant)
    found = eigenvector_csi(to_angular_delay(h) if domain == "angular-delay" else h, domain, rank, num_subbands)
    assert found.shape == (6, rank, 8, 12)
    assert found.dtype == torch.complex64
    torch.testing.assert_close(found.abs().square().mean(dim=(1, 2, 3)), torch.ones(6))
    rows = from_angular_delay(found) if domain == "angular-delay" else found
    by_subband = rows.reshape(6, rank, 8, num_subbands, -1)
    torch.testing.assert_close(by_subband, by_subband[..., :1].expand_as(by_subband), atol=1e-6, rtol=0)
    wanted = np.stack([eigenvectors_by_numpy(one, num_subbands) for one in h])
    for layer in range(rank):
        row = by_subband[:, layer, ..., 0].numpy().astype(np.complex128)  # [batch, antenna, subband]
        inner = np.abs(np.einsum("bps,bsp->bs", row, wanted[..., layer]))
        norm = np.linalg.norm(row, axis=1)
        np.testing.assert_allclose(inner, norm, atol=1e-5)
        np.testing.assert_allclose(norm, norm[0, 0], rtol=1e-5)  # of subbands and reports alike


def test_a_batch_gives_what_its_reports_give_alone() -> None:
    h = channels(2, num_channels=9)
    alone = torch.cat([eigenvector_csi(one[None], "spatial-frequency", 2, 4) for one in h])
    torch.testing.assert_close(eigenvector_csi(h, "spatial-frequency", 2, 4), alone, atol=1e-6, rtol=0)


def test_two_layers_come_back_in_their_order_even_where_they_are_equally_strong() -> None:
    h = torch.zeros(1, 2, 4, 6, dtype=torch.complex64)
    h[:, 0, 2], h[:, 1, 0] = 2.0, 2.0
    found = eigenvector_csi(h, "spatial-frequency", 2, 3)
    assert (found[:, 1].norm() / found[:, 0].norm()).item() == pytest.approx(LAYER_SCALE)
    again = eigenvector_csi(found, "spatial-frequency", 2, 3)
    torch.testing.assert_close(again, found)


def test_the_directions_of_the_channel_come_back_from_half_precision() -> None:
    h = channels(2, num_channels=50)
    pairs = torch.view_as_real(eigenvector_csi(to_angular_delay(h), "angular-delay", 2, 4))
    stored = torch.view_as_complex(pairs.to(torch.float16).to(torch.float32))
    v, v_hat = (layer_directions(x, 2, 4) for x in (h, from_angular_delay(stored)))
    assert float((v.conj() * v_hat).sum(dim=-1).abs().square().min()) > 1 - 1e-5


def test_with_one_ue_antenna_and_one_subcarrier_a_subband_it_is_the_channel_at_equal_power(indoor: ChannelSet) -> None:
    h = from_angular_delay(indoor.h[:20].to(torch.complex128))
    found = from_angular_delay(eigenvector_csi(indoor.h[:20], "angular-delay", 1, 32).to(torch.complex128))
    wanted = h / h.abs().square().mean(dim=(1, 2), keepdim=True).sqrt()
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "wanted"), [("indoor-open-office", 0.976), ("umi-nlos", 0.865)])
def test_as_much_energy_is_in_few_entries_as_the_docs_say(name: str, wanted: float) -> None:
    power = eigenvector_csi(load_channels(name).h[:500], "angular-delay", 1, 16).abs().square().flatten(1)
    share = power.sort(dim=1, descending=True).values[:, :64].sum(dim=1) / power.sum(dim=1)
    assert float(share.mean()) == pytest.approx(wanted, abs=0.01)


def test_a_layer_that_the_channel_has_not_is_zero() -> None:
    h = torch.zeros(1, 2, 4, 4, dtype=torch.complex64)
    h[:, 0, 1] = torch.tensor(1j)
    found = eigenvector_csi(h, "spatial-frequency", 2, 2)
    assert not found[:, 1].any()
    assert float(found.abs().square().mean()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("rank", "num_subbands", "message"),
    [
        (2, 4, r"`rank` must be in \[1, 1\], for channels of 1 UE and 8 BS antennas; got 2"),
        (0, 4, r"`rank` must be in \[1, 1\]"),
        (1, 5, "`num_subbands` must divide 12 subcarriers; got 5"),
        (1, 0, "`num_subbands` must divide 12 subcarriers; got 0"),
    ],
)
def test_layers_and_subbands_that_the_channels_do_not_have_are_refused(
    rank: int, num_subbands: int, message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        eigenvector_csi(channels(1), "spatial-frequency", rank, num_subbands)
