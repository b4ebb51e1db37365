import math
from dataclasses import replace
from itertools import islice

import pytest
import torch
from scipy.special import j0

from shared.channels.tr38901 import SCENARIOS, settings_of
from shared.channels.tr38901.paths import Paths, draw_paths

pytest.importorskip("sionna.phy")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_draws_paths_of_unit_mean_power_whose_first_comes_at_once(scenario: str) -> None:
    settings = replace(settings_of(None, scenario), num_tx_ant=4, num_rx_ant=2)
    paths = next(draw_paths(settings, 1, 64))
    num_paths = paths.delay_s.shape[1]
    assert (paths.coefficient.dtype, paths.coefficient.shape) == (torch.complex64, (64, 2, 4, num_paths, 1))
    power = paths.coefficient.abs().square().sum(dim=3).mean(dim=(1, 2, 3))
    assert float(power.mean()) == pytest.approx(1, abs=6 * float(power.std()) / 8)
    assert torch.equal(paths.delay_s.min(dim=1).values, torch.zeros(64))


def test_the_halves_of_a_dual_polarised_array_stand_at_the_same_places_and_fade_apart() -> None:
    dual = replace(settings_of(None, "uma"), num_tx_ant=16, polarization="dual")
    coefficient = next(draw_paths(dual, 1, 256)).coefficient
    assert coefficient.shape[1:3] == (1, 16)
    first, second = coefficient[:, 0, :8, :, 0], coefficient[:, 0, 8:, :, 0]
    powers = [half.abs().square().sum(dim=(1, 2)) for half in (first, second)]
    assert float(powers[0].mean()) == pytest.approx(float(powers[1].mean()), rel=0.2)
    correlation = (first.conj() * second).sum(dim=(1, 2)).abs() / (powers[0] * powers[1]).sqrt()
    assert 0.05 < float(correlation.median()) < 0.95
    # A line of sight turns by pi sin(azimuth) from place to place, and not at all between the two of one place.
    sight = next(draw_paths(replace(dual, los="los"), 1, 256)).coefficient[:, 0, :, 0, 0]
    turned = [float((sight[:, other] * sight[:, 0].conj()).angle().abs().median()) for other in (8, 1)]
    assert turned[0] < 0.4
    assert turned[1] > 1.0


def _moving(scenario: str, num_rx_ant: int = 1) -> Paths:
    settings = replace(
        settings_of(None, scenario),
        num_tx_ant=32,
        num_rx_ant=num_rx_ant,
        speed_m_s=3.0,
        reports_per_drop=8,
        report_interval_ms=2.0,
    )
    coefficient, delay_s = zip(*map(_parts, islice(draw_paths(settings, 2, 64), 4)), strict=True)
    return Paths(torch.cat(coefficient), torch.cat(delay_s))


def _parts(paths: Paths) -> tuple[torch.Tensor, torch.Tensor]:
    return paths.coefficient, paths.delay_s


def test_the_taps_of_a_moving_ue_decorrelate_as_jakes_says() -> None:
    """J0(2 pi f_d t), with the Doppler frequency f_d = 3 m/s / wavelength = 35 Hz."""
    a = _moving("tdl-a").coefficient
    correlation = (a[..., :1].conj() * a).sum(dim=(0, 1, 2, 3)) / a[..., 0].abs().square().sum()
    time_s = torch.arange(8, dtype=torch.float64) * 2e-3
    expected = torch.from_numpy(j0(2 * torch.pi * (3.0 * 3.5e9 / 299792458.0) * time_s.numpy()))
    assert torch.allclose(correlation.real.double(), expected, atol=0.03)
    assert float(correlation.imag.abs().max()) < 0.03


def test_a_ue_of_a_cdl_moves_horizontally() -> None:
    """The Doppler of a line of sight from zenith z is f_d sin(z) cos(heading): f_d sin(z) / sqrt(2) RMS.

    CDL-E has z = 80.4 degrees at the UE (Table 7.7.1-5) and 22 dB of it in its first path.
    """
    first = _moving("cdl-e").coefficient[:, 0, 0, 0]
    step = (first[:, :-1].conj() * first[:, 1:]).sum(dim=1).angle().double()
    doppler_hz = step / (2 * torch.pi * 2e-3)
    relative = doppler_hz / (3.0 * 3.5e9 / 299792458.0)
    assert float(relative.abs().max()) < 1.05
    assert float(relative.square().mean()) == pytest.approx(math.sin(math.radians(80.4)) ** 2 / 2, abs=0.08)


def test_the_antennas_of_a_tdl_fade_independently_and_those_of_a_line_of_sight_together() -> None:
    def correlation(scenario: str) -> float:
        a = next(draw_paths(replace(settings_of(None, scenario), num_tx_ant=2), 3, 256)).coefficient[:, 0, :, 0, 0]
        return float((a[:, 0].conj() * a[:, 1]).mean().abs() / a.abs().square().mean())

    assert correlation("tdl-a") < 0.2
    assert correlation("cdl-e") > 0.95


def test_a_ue_array_is_turned_another_way_in_every_drop() -> None:
    """So that the phase between its antennas is spread over the circle though the BS sees the UE in a sector."""
    settings = replace(settings_of(None, "umi"), los="los", num_tx_ant=1, num_rx_ant=2)
    a = next(draw_paths(settings, 4, 256)).coefficient[:, :, 0, 0, 0]
    phase = (a[:, 0].conj() * a[:, 1]).angle()
    assert float((phase.abs() < torch.pi / 2).double().mean()) == pytest.approx(1 / 3, abs=0.12)  # |sin| < 1/2
    assert float((phase > 0).double().mean()) == pytest.approx(0.5, abs=0.12)


def test_a_line_of_sight_that_is_forbidden_is_never_there_and_one_that_is_wanted_always() -> None:
    """The first path then holds most of the power, as the K factor of about 9 dB says."""

    def share(los: str) -> torch.Tensor:
        paths = next(draw_paths(replace(settings_of(None, "umi"), los=los, num_tx_ant=1), 5, 256))
        gain = paths.coefficient.abs().square()[:, 0, 0, :, 0]
        return gain[:, 0] / gain.sum(dim=-1)

    assert float(share("los").median()) > 0.8
    assert float(share("nlos").median()) < 0.3
