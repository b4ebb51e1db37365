from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from shared.channels import ChannelSet
from shared.errors import InvalidArgumentError, ModelMismatchError
from shared.experiments import simulate as module
from shared.experiments.simulate import Simulated, simulate
from shared.model_files import load_model
from shared.refinement import RefinerFile, save_refiner
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


@pytest.mark.parametrize("fallback", ["mean", "last"])
def test_a_point_of_precoders_has_all_but_an_nmse(few: ChannelSet, fallback: Literal["mean", "last"]) -> None:
    link, scoring = "digital:soft:crc", Scoring((0.0,))
    assert few.card is not None
    few = replace(few, card=few.card.model_copy(update={"time_correlation": True}))
    (point,) = simulate(few, "etype2", link, 6, rate=171, num_reports=30, scoring=scoring, fallback=fallback)
    row = point.row()
    assert [row[name] for name in ("nmse_mean", "nmse_mean_db", "nmse_median_db", "nmse_full_mean", "rho_value")] == [
        None
    ] * 5
    assert isinstance(row["sgcs"], float)
    assert 0 < row["sgcs"] < 1
    assert isinstance(row["bler_value"], float)
    assert 0 < row["bler_value"] <= point.reports.fallback.mean()  # the CRC alone may be wrong
    assert isinstance(row["held"], int)
    assert (row["held"] > 0) == (fallback == "last")


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


def test_reports_are_refined_by_the_label_and_again_alike(
    few: ChannelSet, untrained_refiner: Callable[..., RefinerFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    refiner = untrained_refiner(load_model("klt").card)

    def run(refinement: str, snr_db: list[float], link: str = "digital:soft:erasure-0.3") -> list[Simulated]:
        return simulate(few, "klt", link, snr_db, rate=64, num_reports=30, refinement=refinement, refiner=refiner)

    plain, refined = run("never", [0, 10]), run("snr:from-5:steps-3", [0, 10])
    assert [point.key.refinement for point in refined] == ["snr:from-5:steps-3"] * 2
    np.testing.assert_array_equal(refined[0].reports.scores.nmse, plain[0].reports.scores.nmse)
    steps, erased = refined[1].reports.num_steps, refined[1].reports.erased
    assert steps.tolist() == np.where(erased, 0, 3).tolist()
    assert 0 < erased.sum() < 30
    changed = refined[1].reports.scores.nmse != plain[1].reports.scores.nmse
    assert changed.tolist() == (~erased).tolist()
    assert refined[1].row()["refined_rate_value"] == (~erased).mean()
    assert refined[1].row()["mean_num_steps"] == steps.mean()
    monkeypatch.setattr(module, "CHUNK", 7)
    again = run("snr:steps-3:from-5.0", [0, 10])
    np.testing.assert_allclose(again[1].reports.scores.nmse, refined[1].reports.scores.nmse, rtol=1e-4)


def test_a_refiner_in_a_file_or_of_another_model(
    few: ChannelSet, untrained_refiner: Callable[..., RefinerFile], tmp_path: Path
) -> None:
    save_refiner(untrained_refiner(load_model("klt").card), tmp_path)
    path = str(tmp_path / "small.safetensors")
    (point,) = simulate(few, "klt", "ideal", 5, rate=64, num_reports=4, refinement="always", refiner=path)
    assert point.reports.num_steps.tolist() == [1] * 4
    with pytest.raises(ModelMismatchError, match="holds for model angular-topk, none; got 'always'"):
        simulate(few, "angular-topk", "ideal", 5, rate=64, num_reports=4, refinement="always", refiner=path)


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
