import pytest
import torch

from shared.channels import ChannelSet
from shared.codecs.codebook.layers import broadside, channels_of, directions_of, require_codebook
from shared.directions import layer_directions
from shared.errors import InvalidArgumentError
from shared.network_settings import CodebookSettings
from shared.transforms import from_angular_delay
from tests.shared.codecs.codebook.codebooks import CPU, few_paths, shape_of


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("domain", ["angular-delay", "spatial-frequency"])
def test_a_base_station_gets_the_precoders_back(rank: int, domain: str) -> None:
    shape = shape_of(2, 8, 12, domain)  # type: ignore[arg-type]
    h = few_paths(shape, 6)
    w = directions_of(h, shape, CodebookSettings(rank=rank, num_subbands=3))
    h_hat = channels_of(w, shape)
    assert h_hat.dtype == torch.complex64
    frequency = from_angular_delay(h_hat) if domain == "angular-delay" else h_hat
    found = layer_directions(frequency, rank, 12)
    similar = (found.conj() * w.repeat_interleave(4, dim=1)).sum(dim=-1).abs()
    torch.testing.assert_close(similar, torch.ones_like(similar), atol=1e-5, rtol=0)
    if rank == 1:
        assert frequency[:, 1:].abs().max() < 1e-6
    power = frequency[:, 0].abs().square().mean(dim=(1, 2))
    torch.testing.assert_close(power, torch.ones(6), atol=1e-5, rtol=0)


def test_layers_that_are_not_quite_orthogonal_hardly_turn_each_other() -> None:
    w = torch.zeros(1, 1, 2, 8, dtype=torch.complex128)
    w[..., 0, 0], w[..., 1, 0], w[..., 1, 1] = 1, 0.3, 0.91**0.5
    found = layer_directions(channels_of(w, shape_of(2, 8, 1)), 1, 1)
    assert float(found[0, 0, 0, 0].abs() ** 2) > 0.99999


def test_the_directions_have_the_phase_of_the_channel(indoor: ChannelSet) -> None:
    h = from_angular_delay(indoor.h[:4].to(torch.complex128))
    found = directions_of(indoor.h[:4], indoor.shape, CodebookSettings(num_subbands=32))
    wanted = h.conj().permute(0, 3, 1, 2)
    torch.testing.assert_close(found, wanted / wanted.norm(dim=-1, keepdim=True), atol=1e-6, rtol=0)


def test_a_layer_that_the_channel_has_not_is_zero() -> None:
    shape = shape_of(2, 4, 4)
    h = torch.zeros(1, *shape.dims, dtype=torch.complex64)
    h[:, 0, 1] = 2
    found = directions_of(h, shape, CodebookSettings(rank=2, num_subbands=2))
    assert found[:, :, 0].abs().sum() == pytest.approx(2)
    assert not found[:, :, 1].any()


def test_beam_0_stands_for_a_report_that_is_lost() -> None:
    h = broadside(shape_of(2, 8, 3), CPU)
    torch.testing.assert_close(h[0], torch.ones(8, 3, dtype=torch.complex64))
    assert not h[1].any()


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        (shape_of(1, 20, 32), CodebookSettings(), "`num_tx_ant` of a codebook must be"),
        (shape_of(1, 32, 32), CodebookSettings(num_subbands=13), "`num_subbands` of a codebook must divide 32"),
        (shape_of(1, 32, 32), CodebookSettings(rank=2), "`rank` of a codebook must be at most 1"),
    ],
)
def test_what_does_not_fit_is_refused(shape: object, settings: CodebookSettings, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        require_codebook(shape, settings)  # type: ignore[arg-type]
