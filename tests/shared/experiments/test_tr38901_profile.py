"""`benchmarks/tr38901_profile.py` in small: a few hundred drops instead of thousands."""

from math import pi

import pytest
import torch

from shared.experiments.tr38901_profile import k_factor_db, rms_delay_spread, sound, sound_profile
from shared.experiments.tr38901_tables import TABLE_7_5_6, delay_profile


def test_the_delay_spread_of_two_equal_paths_is_half_their_distance() -> None:
    power, delay_s = torch.tensor([2.0, 2.0, 0.0]), torch.tensor([1e-7, 3e-7, 9e-7])
    assert float(rms_delay_spread(power, delay_s)) == pytest.approx(1e-7)


def test_the_k_factor_of_a_constant_beside_a_fading_path_is_their_ratio() -> None:
    generator = torch.Generator().manual_seed(1)
    fading = torch.view_as_complex(torch.randn(2, 200_000, 2, generator=generator)) / 2**0.5  # unit power each
    first = 3.0 * torch.exp(1j * torch.linspace(0, 200 * pi, 200_000)) + 0.5 * fading[0]
    gain = torch.stack([first.abs().square(), fading[1].abs().square()])[None].double()
    assert float(k_factor_db(gain)) == pytest.approx(10 * torch.log10(torch.tensor(9 / 1.25)).item(), abs=0.1)


@pytest.mark.parametrize("letter", "abcde")
def test_the_tables_of_the_profiles_have_unit_power_and_unit_delay_spread(letter: str) -> None:
    """Their entries have been typed, and both follow from them."""
    for kind in ("cdl", "tdl"):
        delay, power = zip(*delay_profile(f"{kind}-{letter}").taps(), strict=True)
        assert sum(power) == pytest.approx(1)
        assert float(rms_delay_spread(torch.tensor(power), torch.tensor(delay))) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("scenario", "los"), [("umi", "nlos"), ("indoor-open", "los")])
def test_a_scenario_has_the_power_the_delay_spread_and_the_clusters_of_its_table(scenario: str, los: str) -> None:
    pytest.importorskip("sionna.phy")
    measured, table = sound(scenario, los, 512, 1), TABLE_7_5_6[scenario, los]
    mean, sigma = table.lg_delay_spread(3.5e9)
    assert measured.power.mean == pytest.approx(1, abs=5 * measured.power.standard_error)
    assert measured.num_clusters == table.num_clusters
    drawn = measured.lg_delay_spread_drawn
    assert drawn.mean == pytest.approx(mean, abs=5 * drawn.standard_error)
    assert drawn.deviation == pytest.approx(sigma, rel=0.2)
    assert measured.lg_delay_spread.mean == pytest.approx(mean, abs=0.1)
    if table.k_mean_db is None:
        assert measured.k_db is None
    else:
        assert measured.k_db is not None
        assert measured.k_db.mean == pytest.approx(table.k_mean_db, abs=1)


@pytest.mark.parametrize("scenario", ["cdl-c", "cdl-d", "tdl-a", "tdl-e"])
def test_a_profile_has_the_delays_and_powers_of_its_table(scenario: str) -> None:
    pytest.importorskip("sionna.phy")
    measured, table = sound_profile(scenario, 1024, 1), delay_profile(scenario)
    for (delay, power, standard_error), wanted in zip(measured.taps, table.taps(), strict=True):
        assert delay == pytest.approx(wanted[0], abs=1e-5)
        assert power == pytest.approx(wanted[1], abs=5 * standard_error)
    assert measured.delay_spread == pytest.approx(1, abs=0.05)
    if table.first_k_db is not None:
        assert measured.first_k_db == pytest.approx(table.first_k_db, abs=1)
