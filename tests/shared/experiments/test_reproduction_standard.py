import math
from pathlib import Path

import pytest
from PIL import Image

from shared.experiments.reproduction_standard import DOWNLINK_DB, NUM_SUBBANDS, draw_standard, gain, standard_section

REFERENCE = [(60.0, 0.5), (120.0, 0.7), (240.0, 0.6)]  # the last spends more and is worse


def row(codec: str, rate: int, bits: float, sgcs: float, nmse_db: str = "") -> dict[str, str]:
    subbands = {f"sgcs_layer1_subband{i}of{NUM_SUBBANDS}_value": str(sgcs) for i in range(NUM_SUBBANDS)}
    downlink = {
        f"downlink_{at}db_spectral_efficiency_{which}": str(value)
        for at in DOWNLINK_DB
        for which, value in (("value", 1 + at), ("perfect", 2 + at))
    }
    cells = {"codec": codec, "rate": str(rate), "info_bits_per_report": str(bits), "nmse_mean_db": nmse_db}
    return cells | subbands | downlink


@pytest.mark.parametrize(
    ("bits", "sgcs", "wanted"),
    [
        (59.0, 0.9, None),
        (60.0, 0.55, 0.1),
        (60 * math.sqrt(2), 0.6, 0.0),  # half way over the logarithm
        (120.0, 0.35, -0.5),
        (180.0, 0.77, 0.1),  # against the best of those with fewer bits
        (1000.0, 0.7, 0.0),
    ],
)
def test_a_gain_is_over_the_best_that_the_reference_has_at_those_bits(
    bits: float, sgcs: float, wanted: float | None
) -> None:
    found = gain(row("learned", 128, bits, sgcs), REFERENCE)
    assert found == (None if wanted is None else pytest.approx(wanted))


def test_the_section_has_each_configuration_once_and_a_panel_for_each_data_set(tmp_path: Path) -> None:
    rows = [row("etype2", rate, bits, sgcs) for rate, (bits, sgcs) in zip((63, 128, 256), REFERENCE, strict=True)]
    rows += [row("etype2", 69, *REFERENCE[0]), row("learned", 128, 120.0, 0.77, "-3.5"), row("learned", 100, 99, 0.6)]
    lines = [",".join(rows[0]), *(",".join(one.values()) for one in rows)]
    for name in ("street", "narrow", "uma", "uma_dual"):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    text = standard_section(tmp_path, "What came out.")
    assert text.count("| etype2 | 60 | 0.500 | - | 1.00 | 11.00 | - |") == 4
    assert text.count("| learned | 120 | 0.770 | +10.0 % | 1.00 | 11.00 | -3.50 |") == 4
    assert "| learned | 99 |" not in text
    assert text.count("Perfect CSI: 2.00, 12.00 bit/s/Hz.") == 4
    draw_standard(tmp_path, tmp_path / "standard.png")
    with Image.open(tmp_path / "standard.png") as picture:
        width, height = picture.size
    assert 1.5 < width / height < 2.0  # two by two
