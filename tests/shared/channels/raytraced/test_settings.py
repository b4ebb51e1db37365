from dataclasses import replace
from typing import Any

import pytest

from shared.channels.raytraced import PRESETS, SCENES, settings_of
from shared.channels.raytraced.settings import Rectangle, numbers, rectangle
from shared.errors import InvalidArgumentError


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_has_a_site_that_the_settings_accept(scene: str) -> None:
    settings = settings_of(None, scene)
    assert settings.scene == scene
    assert settings.title == f"ray-traced {scene}, 3.5 GHz, 32-antenna ULA, 20 MHz"


@pytest.mark.parametrize(
    ("preset", "carrier_hz", "band_hz", "counts"),
    [("street-3g5", 3.5e9, 100e6, [28_000, 4_000, 8_000]), ("street-28g", 28e9, 50e6, [12_670, 5_430])],
)
def test_a_preset_has_its_papers_band_size_and_splits(
    preset: str, carrier_hz: float, band_hz: float, counts: list[int]
) -> None:
    settings = settings_of(preset, None)
    assert (settings.carrier_frequency_hz, settings.bandwidth_hz) == (carrier_hz, band_hz)
    assert (settings.num_tx_ant, settings.num_subcarriers, settings.num_delay_taps) == (32, 32, 32)
    assert settings.max_paths == 10
    assert [int(split.partition("=")[2]) for split in PRESETS[preset].splits] == counts


@pytest.mark.parametrize(
    ("preset", "scene", "sentence"),
    [
        (None, None, "`preset` .* or `scene` .* must be given, not both"),
        ("street-28g", "munich", "`preset` .* or `scene` .* must be given, not both"),
        ("nope", None, "`preset` must be one of street-3g5, street-28g; got 'nope'"),
        (None, "nope", "`scene` must be one of simple_street_canyon, .*; got 'nope'"),
    ],
)
def test_one_known_preset_or_scene_is_wanted(preset: str | None, scene: str | None, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        settings_of(preset, scene)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"area": ()}, "`area` must hold at least one rectangle; got none"),
        ({"bs_position_m": (0.0, float("nan"), 6.0)}, r"`bs_position_m` must be in \[-10000, 10000\]; got nan"),
        ({"array_azimuth_deg": 361.0}, r"`array_azimuth_deg` must be in \[-360, 360\]; got 361"),
        ({"scale": 0.0}, r"`scale` must be in \[0\.1, 10\]; got 0"),
        ({"num_tx_ant": 0}, r"`num_tx_ant` must be in \[1, 1024\]; got 0"),
        ({"carrier_frequency_hz": 60e9}, r"`carrier_frequency_hz` must be in \[1e\+09, 4e\+10\]; got 6e\+10"),
        ({"bandwidth_hz": 1e9}, r"`bandwidth_hz` must be in \[1000, 3\.5e\+08\]; got 1e\+09"),
        ({"num_subcarriers": 16}, r"`num_delay_taps` must be in \[1, 16\]; got 32"),
        ({"ue_height_m": 0.0}, r"`ue_height_m` must be in \[0\.1, 1000\]; got 0"),
        ({"grid_spacing_m": 0.001}, r"`grid_spacing_m` must be in \[0\.01, 100\]; got 0\.001"),
        ({"max_paths": 0}, r"`max_paths` must be in \[1, 1000\]; got 0"),
        ({"max_depth": 11}, r"`max_depth` must be in \[0, 10\]; got 11"),
        ({"num_rays": 1}, r"`num_rays` must be in \[100, 4e\+06\]; got 1"),
    ],
)
def test_a_value_out_of_range_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        replace(settings_of(None, "munich"), **given)


def test_a_rectangle_reads_as_it_is_written() -> None:
    assert rectangle("-0.5,40,-5,1e1") == Rectangle(-0.5, 40.0, -5.0, 10.0)
    assert rectangle(Rectangle(0.1, 40.25, -5.0, 1e-3).text) == Rectangle(0.1, 40.25, -5.0, 1e-3)


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "1,2,x,4", "1,2,nan,4", "1,2,0,inf"])
def test_what_is_no_rectangle_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="`area` must be 4 numbers with commas between; got "):
        rectangle(text)
    with pytest.raises(InvalidArgumentError, match="`bs` must be 7 numbers"):
        numbers("bs", text, 7)


@pytest.mark.parametrize("text", ["1,1,0,4", "2,1,0,4", "0,1,4,4"])
def test_an_empty_rectangle_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="`area` must be X0,X1,Y0,Y1 with X0 < X1 and Y0 < Y1; got "):
        rectangle(text)
