from dataclasses import replace
from typing import Any

import pytest

from shared.channels.tr38901 import PRESETS, SCENARIOS, Tr38901, settings_of
from shared.errors import InvalidArgumentError


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_has_defaults_that_it_accepts_and_a_title(scenario: str) -> None:
    settings = settings_of(None, scenario)
    assert settings.scenario == scenario
    assert (settings.delay_spread_s is None) != scenario.startswith(("cdl", "tdl"))
    assert settings.title.startswith("3GPP TR 38.901 ")


def test_the_easy_preset_is_the_open_office_and_the_hard_one_a_street_without_line_of_sight() -> None:
    easy, hard = PRESETS["easy"], PRESETS["hard"]
    assert easy == settings_of("easy", None) == Tr38901("indoor-open")
    assert (hard.scenario, hard.los) == ("umi", "nlos")
    assert easy.title == "3GPP TR 38.901 indoor office (InH open), 3.5 GHz, 32-antenna ULA, 20 MHz"


@pytest.mark.parametrize(
    ("preset", "scenario", "sentence"),
    [
        (None, None, "`preset` .* or `scenario` .* must be given, not both"),
        ("easy", "umi", "`preset` .* or `scenario` .* must be given, not both"),
        ("nope", None, "`preset` must be one of easy, hard; got 'nope'"),
        (None, "nope", "`scenario` must be one of indoor-open, .*; got 'nope'"),
    ],
)
def test_one_known_preset_or_scenario_is_wanted(preset: str | None, scenario: str | None, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        settings_of(preset, scenario)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"los": "maybe"}, r"`los` must be one of auto, los, nlos; got 'maybe'"),
        ({"num_tx_ant": 0}, r"`num_tx_ant` must be in \[1, 1024\]; got 0"),
        ({"polarization": "cross"}, r"`polarization` must be one of single, dual; got 'cross'"),
        ({"polarization": "dual", "num_tx_ant": 31}, r"`polarization` must be single of an odd `num_tx_ant`; got dual"),
        (
            {"polarization": "dual", "scenario": "tdl-a", "delay_spread_s": 1e-7},
            r"`polarization` must be single for a TDL, whose antennas have none; got dual",
        ),
        ({"num_rx_ant": 65}, r"`num_rx_ant` must be in \[1, 64\]; got 65"),
        ({"carrier_frequency_hz": 1e8}, r"`carrier_frequency_hz` must be in \[5e\+08, 1e\+11\]; got 1e\+08"),
        ({"bandwidth_hz": 4e8}, r"`bandwidth_hz` must be in \[1000, 3\.5e\+08\]; got 4e\+08"),
        ({"bandwidth_hz": float("nan")}, r"`bandwidth_hz` must be .*; got nan"),
        ({"num_subcarriers": 16}, r"`num_delay_taps` must be in \[1, 16\]; got 32"),
        ({"speed_m_s": -1.0}, r"`speed_m_s` must be in \[0, 140\]; got -1"),
        ({"speed_m_s": 1.0}, r"`speed_m_s` above 0 and `reports_per_drop` above 1 go together: .* got 1 and 1"),
        ({"reports_per_drop": 2}, r"`speed_m_s` above 0 and `reports_per_drop` above 1 go together: .* got 0 and 2"),
        ({"delay_spread_s": 1e-7}, r"`delay_spread_s` belongs to the CDL and TDL profiles: indoor-open draws its own"),
        ({"num_tx_ant": 1024, "num_rx_ant": 64, "num_subcarriers": 2048}, r"must be at most 67108864; got 134217728"),
        (
            {"num_tx_ant": 1024, "num_rx_ant": 64, "num_subcarriers": 1, "num_delay_taps": 1}
            | {"speed_m_s": 1.0, "reports_per_drop": 100},
            r"`num_subcarriers` \(at least 24, for the paths\) must be at most 67108864; got 157286400",
        ),
    ],
)
def test_a_value_out_of_its_range_is_one_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        replace(Tr38901(), **given)


def test_a_profile_needs_a_delay_spread_and_decides_its_line_of_sight() -> None:
    with pytest.raises(InvalidArgumentError, match="`delay_spread_s` must be given for cdl-c; got none"):
        Tr38901("cdl-c")
    with pytest.raises(InvalidArgumentError, match="`los` must be auto for tdl-d"):
        replace(settings_of(None, "tdl-d"), los="los")


def test_the_rural_tables_end_at_30_ghz() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`carrier_frequency_hz` must be in \[5e\+08, 3e\+10\]"):
        replace(settings_of(None, "rma"), carrier_frequency_hz=60e9)


def test_only_whole_drops_are_generated() -> None:
    settings = replace(Tr38901(), speed_m_s=1.0, reports_per_drop=5)
    settings.require_whole_drops(10)
    for wrong, sentence in ((12, "a multiple of 5, the reports of a drop; got 12"), (0, "above 0; got 0")):
        with pytest.raises(InvalidArgumentError, match=sentence):
            settings.require_whole_drops(wrong)
