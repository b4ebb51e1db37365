import numpy as np
import pytest

from shared.channels import ChannelSet
from shared.errors import InvalidArgumentError
from shared.experiments import simulate as module
from shared.experiments.simulate import simulate
from shared.scoring import Scoring


@pytest.fixture(scope="module")
def few(indoor: ChannelSet) -> ChannelSet:
    return indoor.part(0, 30)


def test_chunks_change_nothing_but_the_rounding(few: ChannelSet, monkeypatch: pytest.MonkeyPatch) -> None:
    link = "digital:soft:qpsk:rayleigh:erasure-0.3"
    (whole,) = simulate(few, "klt", link, 5, rate=64, num_reports=40, scoring=Scoring((0.0, 10.0)))
    monkeypatch.setattr(module, "CHUNK", 7)
    (cut,) = simulate(few, "klt", link, 5, rate=64, num_reports=40, scoring=Scoring((0.0, 10.0)))
    assert cut.reports.scores.bit_errors.tolist() == whole.reports.scores.bit_errors.tolist()
    assert cut.reports.erased.tolist() == whole.reports.erased.tolist()
    assert cut.reports.scores.downlink is not None
    assert cut.reports.scores.downlink.bler.shape == (40, 2)
    for name, value in whole.row().items():
        assert cut.row()[name] == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value), name


def test_channels_start_over_and_an_snr_has_noise_of_its_own(few: ChannelSet) -> None:
    ideal = simulate(few, "klt", "ideal", [0, 5], rate=64, num_reports=32, first_channel=29)
    nmse = ideal[0].reports.scores.nmse
    np.testing.assert_allclose(nmse[[0, 1]], nmse[[30, 31]], rtol=1e-6)
    np.testing.assert_allclose(nmse, ideal[1].reports.scores.nmse, rtol=1e-6)
    first, second = simulate(few, "klt", "digital:bsc", [0, 0], rate=64, num_reports=32)
    assert first.reports.scores.bit_errors.tolist() != second.reports.scores.bit_errors.tolist()


def test_what_is_not_measured_is_an_empty_cell(few: ChannelSet) -> None:
    (point,) = simulate(few, "klt", "ideal", 0, rate=64, num_reports=1)
    row = point.row()
    empty = {name for name, value in row.items() if value is None}
    assert empty == {
        "cnr_db",
        "combined_snr_db",
        *("nmse_ci95_low_db", "nmse_ci95_high_db", "sgcs_ci95_low", "sgcs_ci95_high", "rho_ci95_low", "rho_ci95_high"),
        *("ber_ci95_low", "ber_ci95_high", "nmse_full_ci95_low_db", "nmse_full_ci95_high_db"),
        *(f"{rate}_{end}" for rate in ("crc_fail_rate", "undetected_error_rate") for end in ENDS),
    }
    (point,) = simulate(few, "klt", "digital:bsc:erasure-0.999", 0, rate=64, num_reports=3)
    assert point.reports.erased.all()
    assert (point.row()["ber"], point.row()["bler_value"], point.row()["erasure_rate_value"]) == (None, 1.0, 1.0)


def test_a_report_of_symbols_has_a_channel_and_no_bits(few: ChannelSet) -> None:
    noisy, clean = simulate(few, "klt-analog", "analog:uplink", [-10, 20], rate=64, num_reports=32)
    assert noisy.reports.scores.nmse.mean() > clean.reports.scores.nmse.mean()
    row = clean.row()
    assert [row[name] for name in ("ber", "bler_value", "ebno_db", "crc_fail_rate_value")] == [None] * 4
    assert row["combined_snr_db"] == pytest.approx(20 + 10 * np.log10(8))
    assert [row[f"{name}_per_report"] for name in ("info_bits", "coded_bits", "channel_uses")] == [0.0, 0.0, 64.0]


ENDS = ("value", "ci95_low", "ci95_high")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"snr_db": 81}, "`snr_db` must be in"),
        ({"num_reports": 0}, "`num_reports` must be at least 1; got 0"),
        ({"rate": 5}, "`rate` of codec klt must be in"),
        ({"estimator": "ls"}, "`cnr_db` must be given with estimator ls"),
        ({"scoring": Scoring(num_subbands=5)}, "`num_subbands` must divide 32 subcarriers; got 5"),
        ({"scoring": Scoring((0.0,), 3), "num_reports": 4}, "`num_reports` must be a multiple of `downlink_num_ue`, 3"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(few: ChannelSet, arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        simulate(few, "klt", "ideal", **({"snr_db": 0.0} | arguments))  # type: ignore[arg-type]
