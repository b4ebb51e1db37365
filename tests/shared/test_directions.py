"""The directions of layers, and the phase that they are given."""

import pytest
import torch
from torch import Tensor

from shared.directions import layer_directions, phased_directions, unit_phase
from shared.errors import InvalidArgumentError


def channels(num_rx_ant: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(5, num_rx_ant, 6, 12, dtype=torch.complex64, generator=generator)


def test_the_phase_is_that_of_the_mean_channel_at_the_antenna_that_hears_the_layer_best() -> None:
    h = channels()
    v = phased_directions(h, num_layers=2, num_subbands=3)
    mean = h.to(torch.complex128).reshape(5, 2, 6, 3, 4).mean(dim=-1)
    heard = torch.einsum("brps,bslp->blrs", mean, v)
    for report in range(len(h)):
        for layer in range(2):
            best = heard[report, layer, heard[report, layer].abs().square().sum(dim=1).argmax()]
            assert float(best.imag.abs().max()) < 1e-12
            assert float(best.real.min()) > 0


def test_the_phase_changes_no_direction() -> None:
    h = channels()
    v, phased = layer_directions(h, 2, 3), phased_directions(h, 2, 3)
    torch.testing.assert_close((v.conj() * phased).sum(dim=-1).abs(), torch.ones(5, 3, 2, dtype=torch.float64))


def test_a_channel_turned_by_a_phase_turns_its_directions_the_other_way() -> None:
    h = channels()
    turned = phased_directions(h.to(torch.complex128) * 1j, 2, 3)
    torch.testing.assert_close(turned, phased_directions(h, 2, 3) * -1j)


def test_a_phase_of_zero_is_one() -> None:
    assert unit_phase(torch.tensor([0, 3j], dtype=torch.complex128)).tolist() == [1, 1j]


def test_layers_that_a_ue_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`num_layers` must be in \[1, 2\]; got 3"):
        phased_directions(channels(), 3, 3)
