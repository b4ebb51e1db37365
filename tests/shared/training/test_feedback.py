import numpy as np
import torch

from shared.links.analog import AnalogLink
from shared.links.label import AnalogLabel
from shared.rng import Randomness, Stage
from shared.training.feedback import draw_no_eff, send_symbols
from shared.types import Symbols


def test_a_report_has_unit_power_and_the_noise_it_is_told() -> None:
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(2000, 16, dtype=torch.complex64, generator=generator) * 5
    no_eff = draw_no_eff(torch.full((2000,), 0.0), 16, generator)
    y = send_symbols(z, no_eff, generator)
    sent = z / z.abs().square().mean(dim=1, keepdim=True).sqrt()
    noise = (y - sent).abs().square() / no_eff
    assert abs(float(noise.mean()) - 1) < 0.02
    assert abs(float((1 / no_eff).mean()) - 8) < 0.4  # eight antennas, combined


def test_it_is_the_analog_link_but_for_where_its_noise_comes_from() -> None:
    """The same symbols, gain and noise through both give the same."""
    randomness = Randomness(5, np.zeros(3, dtype=np.int64), np.arange(3))
    z = torch.randn(3, 8, dtype=torch.complex64, generator=torch.Generator().manual_seed(2))
    snr_db = np.array([-10, 0, 10], dtype=np.float32)
    received = AnalogLink(AnalogLabel(fading="uplink")).transmit_symbols(Symbols(z.numpy()), snr_db, randomness)
    assert received.no_eff is not None
    no_eff = torch.from_numpy(received.no_eff)
    drawn = torch.view_as_complex(torch.from_numpy(randomness.normal(Stage.LINK, 16).reshape(3, 8, 2).copy()))
    noiseless = send_symbols(z, torch.zeros(3, 8), torch.Generator())
    torch.testing.assert_close(
        noiseless + drawn * (no_eff / 2).sqrt(),
        torch.from_numpy(received.values.astype(np.complex64)),
        rtol=1e-5,
        atol=1e-5,
    )


def test_gradients_reach_the_symbols() -> None:
    z = torch.randn(2, 4, dtype=torch.complex64, requires_grad=True)
    send_symbols(z, torch.ones(2, 4), torch.Generator()).abs().sum().backward()  # type: ignore[no-untyped-call]
    assert z.grad is not None
    assert (z.grad.abs() > 0).any()
